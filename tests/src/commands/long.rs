//! `lab long`.

use std::path::PathBuf;
use std::process::{self, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use lab::memory::Tool;
use lab::programs::PROGRAMS;
use lab::signals;
use lab::strace;

/// The runs, with the words that name each, and whether it takes C programs and keeps figures.
const RUNS: [(&[&str], bool); 7] =
    [(&["faults"], true), (&["hostile"], true), (&["random"], true), (&["memory"], true), (&["memory", "--tool", "asan"], false), (&["load"], true), (&["reverts"], false)];

#[derive(clap::Args)]
pub struct Long {
    /// Do the same to the C programs here
    #[arg(long, value_name = "DIR")]
    originals: Option<PathBuf>,
    /// Keep the figures for the main README
    #[arg(long, requires = "originals")]
    write: bool,
}

impl Long {
    /// Runs one command of lab after the other, each as a process of its own.
    pub fn run(&self) -> Result<()> {
        signals::watch();
        // What is missing is said now, not after an hour.
        strace::available()?;
        Tool::Memcheck.available()?;
        if let Some(folder) = &self.originals {
            super::comparison::originals(folder, &PROGRAMS.map(|program| program.name))?;
        }
        let start = Instant::now();
        let mut failed = Vec::new();
        for (words, takes_c) in RUNS {
            let name = words.join(" ");
            anstream::println!("== cargo lab {name}");
            // A Ctrl-C is for the whole group: the run ends by it, and so must we.
            let mut command = Command::new(format!("/proc/{}/exe", process::id()));
            command.args(words).stdin(Stdio::null());
            if takes_c && let Some(folder) = &self.originals {
                command.arg("--originals").arg(folder);
                if self.write {
                    command.arg("--write");
                }
            }
            let status = command.status().with_context(|| format!("cannot run lab {name}"))?;
            signals::check()?;
            if !status.success() {
                failed.push(name);
            }
        }
        if !failed.is_empty() {
            bail!("failed: {}", failed.join(", "));
        }
        anstream::println!("all done in {} minutes", start.elapsed().as_secs().div_ceil(60));
        Ok(())
    }
}
