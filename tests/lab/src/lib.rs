//! `lab`: plays the scenes of the READMEs with the real programs.
//!
//! Data flows one way. A README's text becomes a [`scene::Scene`]. A [`cast::Cast`] says which binary
//! plays each actor. A [`sandbox::Sandbox`] gives the scene a network and folders of its own, as far as the
//! machine's [`sandbox::Isolation`] allows. The [`player`] lets each step happen at an [`actor::Actor`]'s
//! terminal and returns what was [`player::Played`], with the [`trace`]s, which [`compare`] holds to the
//! [`golden`]s or to those of the C programs. `lab page` and `lab diagram` draw the [`sequence`] of steps and
//! messages that the traces tell of.

pub mod actor;
pub mod args;
pub mod call;
pub mod cast;
pub mod compare;
pub mod folder;
pub mod golden;
pub mod mask;
pub mod memory;
pub mod placeholders;
pub mod player;
pub mod proc;
pub mod programs;
pub mod questions;
pub mod sandbox;
pub mod scene;
pub mod sequence;
pub mod signals;
pub mod sock;
pub mod sockets;
pub mod sources;
pub mod strace;
pub mod terminal;
pub mod time_wait;
pub mod trace;

use std::io::{self, Write};
use std::process::{self, ExitCode};

use anstyle::AnsiColor;

/// How a tool of this name ends: an error is one message on standard error, and status 1.
pub fn exit(tool: &str, outcome: anyhow::Result<()>) -> ExitCode {
    // Everything is cleaned up by now, so a signal that has come may end us.
    signals::obey();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // The reader has seen enough, as with `| head`.
        Err(error) if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) => ExitCode::SUCCESS,
        Err(error) => {
            let bold = AnsiColor::Red.on_default().bold();
            anstream::eprintln!("{bold}{tool}:{bold:#} {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints to standard output; if that fails, says so.
pub fn print(text: &str) {
    match anstream::stdout().write_all(text.as_bytes()) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => process::exit(0),
        Err(error) => {
            eprintln!("lab: cannot write to standard output: {error}");
            process::exit(1);
        }
    }
}
