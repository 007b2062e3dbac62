//! `lab memory`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, bail};

use lab::memory::{self, Tool};
use lab::programs::{self, Build, Profile};
use lab::scene::{self, Scene, names, only};
use lab::stage::Privacy;
use trials::hostile;
use trials::tally::{Fate, Figure, Tally};

use lab::programs::originals;
use lab::scene::select;

#[derive(clap::Args)]
pub struct Memory {
    /// Scenes and cases of hostile input to play; none: all that do not use strace
    #[arg(value_name = "SCENE|CASE")]
    names: Vec<String>,
    /// What watches the programs
    #[arg(long, value_enum, default_value = "memcheck")]
    tool: Tool,
    /// Play them with the C programs here, too, and count in how many starts something is found;
    /// for asan they must have been built with it
    #[arg(long, value_name = "DIR")]
    originals: Option<PathBuf>,
    /// Take the ports from this folder, by file name, instead of building them
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
}

impl Memory {
    pub fn run(&self) -> Result<()> {
        self.tool.available()?;
        let cases = hostile::cases()?.into_iter().map(|case| case.scene);
        let all: Vec<Scene> = scene::read_all(programs::root())?.into_iter().chain(cases).collect();
        let scenes: Vec<&Scene> = select(&all, &self.names)?.into_iter().filter(|scene| memory::can_watch(scene)).collect();
        if scenes.is_empty() {
            bail!("strace runs the programs of {} already; no other tool can", self.names.join(", "));
        }
        let names = names(&scenes);
        let c = self.originals.as_ref().map(|folder| originals(folder, &names)).transpose()?;
        let ports = match &self.programs {
            Some(folder) => programs::search(folder, &names)?,
            None => Build { root: programs::root(), profile: Profile::Release, asan: self.tool == Tool::Asan, quiet: false }.run(&names)?,
        };
        let privacy = Privacy::find(true);
        let mut wrong = Vec::new();
        let mut figures = BTreeMap::<String, Figure>::new();
        for (scene, number) in scenes.iter().zip(1..) {
            for watched in memory::watch(scene, self.tool, privacy, &only(&ports, scene), false)? {
                figures.entry(watched.program.clone()).or_default().tried += 1;
                wrong.extend(watched.findings.iter().map(|finding| format!("{}: {} ({}): {finding}", scene.name, watched.who, watched.program)));
            }
            if let Some(c) = &c {
                for watched in memory::watch(scene, self.tool, privacy, &only(c, scene), true)? {
                    let tally = figures.entry(watched.program).or_default().c.get_or_insert_with(Tally::default);
                    tally.count((!watched.findings.is_empty()).then_some(Fate::Memory));
                }
            }
            if number % 100 == 0 {
                anstream::eprintln!("{number} of {} scenes and cases", scenes.len());
            }
        }
        if !wrong.is_empty() {
            bail!("{}", wrong.join("\n     "));
        }
        let starts: usize = figures.values().map(|figure| figure.tried).sum();
        anstream::println!("{} scenes and cases, {starts} starts of programs: nothing found in the ports", scenes.len());
        for (program, figure) in &figures {
            let in_c = figure.c.as_ref().map(|c| format!("; in C: {c}")).unwrap_or_default();
            anstream::println!("{program}: {} starts{in_c}", figure.tried);
        }
        Ok(())
    }
}
