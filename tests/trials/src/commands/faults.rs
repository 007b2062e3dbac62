//! `lab faults`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use lab::programs::{self, Binaries, PROGRAMS, Profile};
use lab::scene::{self, Scene, names, only};
use lab::stage::Privacy;
use lab::strace;
use trials::faults::{self, Row};
use trials::tally::{Figure, Tally};
use trials::verdict::{self, Baseline, Cast};

use lab::programs::originals;

#[derive(clap::Args)]
pub struct Faults {
    /// Programs whose calls to make fail; none: all
    #[arg(value_name = "PROGRAM")]
    names: Vec<String>,
    /// Do the same to the C programs here, each among ports, and count what becomes of them
    #[arg(long, value_name = "DIR")]
    originals: Option<PathBuf>,
    /// Try each row of tests/trials/faults.tsv once: its first error, at the first of its times
    #[arg(long)]
    once: bool,
    /// Which build of the ports
    #[arg(long, value_enum, default_value = "release")]
    profile: Profile,
    /// Take the ports from this folder, by file name, instead of building them
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
}

/// What a run of the faults of one program yields.
#[derive(Default)]
struct Yield {
    tried: usize,
    /// Those that end by a signal, as in C.
    signals: usize,
    wrong: Vec<String>,
    c: Tally,
    /// What the C program does otherwise.
    wrong_in_c: Vec<String>,
}

impl Faults {
    pub fn run(&self) -> Result<()> {
        strace::available()?;
        if let Some(name) = self.names.iter().find(|name| programs::find(name).is_none()) {
            bail!("no program is called '{name}'; 'cargo lab list' names them");
        }
        let scenes = scene::read_all(programs::root())?;
        let rows = faults::rows(programs::root())?;
        let chosen: Vec<&str> = PROGRAMS.iter().map(|program| program.name).filter(|name| self.names.is_empty() || self.names.iter().any(|chosen| chosen == name)).collect();
        let rows: Vec<(&Row, &Scene)> = rows.iter().filter(|row| chosen.contains(&row.program.as_str())).map(|row| Ok((row, scene_of(row, &scenes)?))).collect::<Result<_>>()?;
        let played: Vec<&Scene> = rows.iter().map(|(_, scene)| *scene).collect();
        let names = names(&played);
        let c = self.originals.as_ref().map(|folder| originals(folder, &names)).transpose()?;
        let ports = match &self.programs {
            Some(folder) => programs::search(folder, &names)?,
            None => programs::build(&names, self.profile)?,
        };
        let privacy = Privacy::find(true);
        let mut figures = Vec::new();
        let mut all = Yield::default();
        for name in chosen {
            let of_program: Vec<_> = rows.iter().filter(|(row, _)| row.program == name).copied().collect();
            let got = self.try_program(name, &of_program, privacy, &ports, c.as_ref())?;
            let in_c = c.as_ref().map(|_| format!("; in C: {}", got.c)).unwrap_or_default();
            anstream::eprintln!("{name}: {} faults{in_c}", got.tried);
            figures.push((name, Figure { tried: got.tried, c: c.as_ref().map(|_| got.c.clone()) }));
            all.add(got);
        }
        if !all.wrong.is_empty() {
            bail!("{} times otherwise than tests/trials/faults.tsv says\n     {}", all.wrong.len(), all.wrong.join("\n     "));
        }
        // Of all programs it is too much to read.
        if !self.names.is_empty() {
            all.wrong_in_c.iter().for_each(|line| anstream::println!("in C: {line}"));
        }
        anstream::println!("{} faults, {} of them ended by SIGPIPE or SIGINT as in C: the ports do what tests/trials/faults.tsv says", all.tried, all.signals);
        if c.is_some() {
            anstream::println!("in C: {}", all.c);
        }
        Ok(())
    }

    fn try_program(&self, name: &str, rows: &[(&Row, &Scene)], privacy: Privacy, ports: &Binaries, c: Option<&Binaries>) -> Result<Yield> {
        let mut got = Yield::default();
        let (mut baselines, mut c_baselines) = (BTreeMap::new(), BTreeMap::new());
        for (row, scene) in rows {
            let ports = &only(ports, scene);
            if !baselines.contains_key(&row.scene) {
                baselines.insert(&row.scene, Baseline::play(scene, privacy, Cast { ports, c: None })?);
            }
            if let Some(c) = c
                && !c_baselines.contains_key(&(&row.scene, row.who()))
            {
                c_baselines.insert((&row.scene, row.who()), Baseline::play(scene, privacy, Cast { ports, c: Some((&only(c, scene), row.who())) })?);
            }
        }
        let just_rows: Vec<&Row> = rows.iter().map(|(row, _)| *row).collect();
        if just_rows.is_empty() {
            got.wrong.push(format!("{name}: no row"));
        }
        got.wrong.extend(faults::gaps(&just_rows, |row| baselines[&row.scene].trace(&row.process).cloned()));
        let few = if self.once { 1 } else { usize::MAX };
        for (row, scene) in rows {
            let ports = &only(ports, scene);
            let baseline = &baselines[&row.scene];
            for fault in baseline.trace(&row.process).map(|trace| row.in_trace(trace)).unwrap_or_default().iter().take(few) {
                got.tried += 1;
                got.signals += usize::from(matches!(fault.end(), faults::End::Signal(_)));
                let wrong = verdict::try_out(fault, scene, privacy, Cast { ports, c: None }, baseline)?;
                got.wrong.extend(wrong.map(|wrong| format!("{fault}: {wrong}")));
            }
            let Some(c) = c else { continue };
            // The C program may make the call another number of times, or never.
            let baseline = &c_baselines[&(&row.scene, row.who())];
            for fault in baseline.trace(&row.process).map(|trace| row.in_trace(trace)).unwrap_or_default().iter().take(few) {
                let wrong = verdict::try_out(fault, scene, privacy, Cast { ports, c: Some((&only(c, scene), row.who())) }, baseline)?;
                got.c.count(wrong.as_ref().map(|wrong| wrong.fate));
                got.wrong_in_c.extend(wrong.map(|wrong| format!("{fault}: {wrong}")));
            }
        }
        Ok(got)
    }
}

impl Yield {
    fn add(&mut self, other: Yield) {
        self.tried += other.tried;
        self.signals += other.signals;
        self.wrong.extend(other.wrong);
        self.c.alike += other.c.alike;
        for (fate, times) in other.c.otherwise {
            *self.c.otherwise.entry(fate).or_default() += times;
        }
        self.wrong_in_c.extend(other.wrong_in_c);
    }
}

fn scene_of<'a>(row: &Row, scenes: &'a [Scene]) -> Result<&'a Scene> {
    scenes.iter().find(|scene| scene.name == row.scene).with_context(|| format!("{row}: no scene is called {}", row.scene))
}
