//! `lab strace`, `lab check` and `lab record`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use lab::compare::{self, Row};
use lab::golden;
use lab::play::{self, Stdout};
use lab::programs::{self, Binaries, ORIGINALS, Profile, originals};
use lab::scene::{self, Parting, Scene, names, only, select};
use lab::stage::Privacy;
use lab::strace;
use lab::trace::{self, Trace};

use super::side::Side;

#[derive(clap::Args)]
pub struct Strace {
    /// A scene, or a program: then all scenes that run it; or a file with scenes
    #[arg(value_name = "SCENE|PROGRAM|FILE")]
    name: String,
    /// Where the built C programs are, by file name at any depth; compares with them
    #[arg(long, value_name = "DIR")]
    originals: Option<PathBuf>,
    /// Let this actor play the C program, and the others the ports [may be repeated]
    #[arg(long, value_name = "ACTOR", requires = "originals")]
    c: Vec<String>,
    /// Leave out what the loader, malloc and stdio call
    #[arg(long)]
    calls_only: bool,
    /// What the programs' standard output is
    #[arg(long, value_enum, default_value = "terminal")]
    stdout: Stdout,
    /// Which build of the ports
    #[arg(long, value_enum, default_value = "release")]
    profile: Profile,
    /// Take the ports from this folder, by file name, instead of building them
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// How long a program may take for a step, in seconds
    #[arg(long, value_name = "S", default_value_t = 10)]
    limit: u64,
    /// Play on the network and the /tmp that everyone has
    #[arg(long)]
    no_namespaces: bool,
}

impl Strace {
    pub fn run(&self) -> Result<()> {
        strace::available()?;
        let is_file = Path::new(&self.name).is_file();
        let all = if is_file { scene::read_file(Path::new(&self.name))? } else { scene::read_all(programs::root())? };
        let scenes: Vec<&Scene> = all.iter().filter(|scene| is_file || scene.name == self.name || scene.programs().contains(&self.name.as_str())).collect();
        if scenes.is_empty() {
            bail!("no scene or program is called '{}'; 'cargo lab list' names them", self.name);
        }
        if let Some(name) = self.c.iter().find(|name| !scenes.iter().any(|scene| scene.steps.iter().any(|step| step.actor == **name))) {
            bail!("no actor is called '{name}' there");
        }
        let names = names(&scenes);
        let c = self.originals.as_ref().map(|folder| originals(folder, &names)).transpose()?;
        let ports = match &self.programs {
            Some(folder) => programs::search(folder, &names)?,
            None => programs::build(&names, self.profile)?,
        };
        let privacy = Privacy::find(!self.no_namespaces);
        let options = play::Options { limit: Duration::from_secs(self.limit), stdout: self.stdout, ..Default::default() };
        let (mut differ, mut otherwise) = (false, false);
        for scene in scenes {
            let side = Side::new(scene);
            let wanted = |trace: &Trace| is_file || self.name == scene.name || trace.program == self.name;
            let (ports, none) = (only(&ports, scene), Binaries::new());
            match &c {
                None => {
                    let traces = trace::run(scene, privacy, &ports, &none, &options)?;
                    for trace in traces.iter().filter(|trace| wanted(trace)) {
                        side.show(trace, &self.lines(trace));
                    }
                }
                Some(c) => {
                    let c = only(c, scene);
                    let in_c = trace::run_c(scene, privacy, &none, &c, None, &options)?;
                    let here = match self.c.as_slice() {
                        [] => trace::run(scene, privacy, &ports, &none, &options)?,
                        actors => trace::run_c(scene, privacy, &ports, &c, Some(actors), &options)?,
                    };
                    for (in_c, here) in compare::pair(in_c, here).iter().filter(|(c, _)| wanted(c)) {
                        let rows = compare::rows(&self.lines(in_c), &self.lines(here));
                        let judgement = compare::judge(&in_c.own(), &here.own(), scene.parting(&in_c.who));
                        side.compare(in_c, &rows, scene.parting(&in_c.who), judgement.as_deref());
                        differ |= rows.iter().any(|row| !matches!(row, Row::Same(_)));
                        otherwise |= judgement.is_some();
                    }
                }
            }
        }
        match (differ, otherwise) {
            (_, true) => bail!("the traces differ"),
            (true, false) => bail!("the traces differ, as the scenes say"),
            (false, false) => Ok(()),
        }
    }

    fn lines(&self, trace: &Trace) -> Vec<String> {
        if self.calls_only { trace.own() } else { trace.whole() }
    }
}

#[derive(clap::Args)]
pub struct Check {
    /// Scenes to check; none: all
    #[arg(value_name = "SCENE")]
    names: Vec<String>,
    /// Compare whole traces with those of the C programs here, not the own calls with the goldens
    #[arg(long, value_name = "DIR")]
    originals: Option<PathBuf>,
    /// Let this actor play the C program, and the others the ports [may be repeated]
    #[arg(long, value_name = "ACTOR", requires = "originals")]
    c: Vec<String>,
    /// What the programs' standard output is
    #[arg(long, value_enum, default_value = "terminal")]
    stdout: Stdout,
    /// Which build of the ports
    #[arg(long, value_enum, default_value = "release")]
    profile: Profile,
    /// Take the ports from this folder, by file name, instead of building them [may be repeated]
    #[arg(long, value_name = "DIR")]
    programs: Vec<PathBuf>,
}

impl Check {
    pub fn run(&self) -> Result<()> {
        strace::available()?;
        let all = scene::read_all(programs::root())?;
        let mut scenes = select(&all, &self.names)?;
        // Before anything is built, which may take long.
        let c = self.originals.as_ref().map(|folder| programs::look_for(folder, &names(&scenes))).transpose()?;
        if let (Some(c), Some(folder)) = (&c, &self.originals) {
            with_originals(&mut scenes, c, folder)?;
        }
        let names = names(&scenes);
        let builds = match self.programs.as_slice() {
            [] => vec![programs::build(&names, self.profile)?],
            folders => folders.iter().map(|folder| programs::search(folder, &names)).collect::<Result<_>>()?,
        };
        let privacy = Privacy::find(true);
        let options = play::Options { stdout: self.stdout, ..Default::default() };
        let (mut processes, mut calls, mut wrong) = (0, 0, Vec::new());
        for scene in &scenes {
            let none = Binaries::new();
            let in_c = match &c {
                Some(c) => trace::run_c(scene, privacy, &none, &only(c, scene), None, &options)?,
                None => golden::read(&golden::path(programs::root(), &scene.name, self.stdout))?,
            };
            for ports in &builds {
                let ports = only(ports, scene);
                let here = match &c {
                    Some(c) if !self.c.is_empty() => trace::run_c(scene, privacy, &ports, &only(c, scene), Some(&self.c), &options)?,
                    _ => trace::run(scene, privacy, &ports, &none, &options)?,
                };
                if c.is_none() && scene.parts() {
                    let recorded = golden::read(&golden::port_path(programs::root(), &scene.name, self.stdout))?;
                    for (recorded, here) in compare::pair(recorded, parted(scene, &here)) {
                        wrong.extend(compare::judge_port(&recorded.lines, &here.lines).map(|why| format!("{}: {} ({}): {why}", scene.name, here.who, here.program)));
                    }
                }
                for (in_c, here) in compare::pair(in_c.clone(), here) {
                    // Of what is not defined the golden has nothing, or what was the same nevertheless.
                    let recorded = c.is_none() && !in_c.lines.is_empty();
                    let parting = scene.parting(&in_c.who).filter(|parting| !(recorded && **parting == Parting::Undefined));
                    let (in_c_lines, here_lines) = match (&c, parting) {
                        (Some(_), None) => (in_c.whole(), here.whole()),
                        (Some(_), Some(_)) => (in_c.own(), here.own()),
                        (None, _) => (in_c.lines.clone(), here.own()),
                    };
                    processes += 1;
                    calls += here_lines.iter().filter(|line| trace::is_call(line)).count();
                    wrong.extend(compare::judge(&in_c_lines, &here_lines, parting).map(|why| format!("{}: {} ({}): {why}", scene.name, in_c.who, in_c.program)));
                }
            }
        }
        if !wrong.is_empty() {
            bail!("{}", wrong.join("\n     "));
        }
        let with = if c.is_some() { "the C programs" } else { "the goldens" };
        anstream::println!("{} scenes, {processes} processes, {calls} calls: as {with} have them, but for what the scenes say", scenes.len());
        Ok(())
    }
}

#[derive(clap::Args)]
pub struct Record {
    /// Where the built C programs are, by file name at any depth
    #[arg(long, value_name = "DIR")]
    originals: PathBuf,
    /// Scenes to record; none: all
    #[arg(value_name = "SCENE")]
    names: Vec<String>,
}

impl Record {
    pub fn run(&self) -> Result<()> {
        strace::available()?;
        let all = scene::read_all(programs::root())?;
        let mut scenes = select(&all, &self.names)?;
        let c = programs::look_for(&self.originals, &names(&scenes))?;
        with_originals(&mut scenes, &c, &self.originals)?;
        let names = names(&scenes);
        let ports = programs::build(&names, Profile::Release)?;
        let privacy = Privacy::find(true);
        for scene in scenes {
            let (c, ports, none) = (only(&c, scene), only(&ports, scene), Binaries::new());
            let record = |stdout| -> Result<(String, String)> {
                let options = play::Options { stdout, ..Default::default() };
                let in_c = trace::run_c(scene, privacy, &none, &c, None, &options)?;
                // Where the traces part, what C does later is not recorded: it may be without end.
                let here = if scene.parts() { trace::run(scene, privacy, &ports, &none, &options)? } else { Vec::new() };
                let own = |trace: &Trace| {
                    let here = here.iter().find(|here| here.who == trace.who).map(Trace::own).unwrap_or_default();
                    Trace { lines: compare::up_to_parting(trace.own(), &here, scene.parting(&trace.who)), ..trace.clone() }
                };
                Ok((golden::text(&in_c.iter().map(own).collect::<Vec<_>>()), golden::text(&parted(scene, &here))))
            };
            for stdout in [Stdout::Terminal, Stdout::Pipe] {
                let (in_c, here) = record(stdout)?;
                golden::write(&golden::path(programs::root(), &scene.name, stdout), &in_c)?;
                golden::write(&golden::port_path(programs::root(), &scene.name, stdout), &here)?;
            }
            anstream::println!("{}", scene.name);
        }
        Ok(())
    }
}

/// The own calls of the processes that do otherwise than in C, as the scene says.
fn parted(scene: &Scene, traces: &[Trace]) -> Vec<Trace> {
    let parted = traces.iter().filter(|trace| scene.parting(&trace.who).is_some());
    parted.map(|trace| Trace { lines: trace.own(), ..trace.clone() }).collect()
}

/// Takes those of the scenes away whose C programs are not there, and says so; some must be left.
fn with_originals(scenes: &mut Vec<&Scene>, c: &Binaries, folder: &Path) -> Result<()> {
    let all = names(scenes);
    let before = scenes.len();
    scenes.retain(|scene| programs::missing(c, &scene.programs()).is_none());
    if let Some(missing) = programs::missing(c, &all) {
        let why = format!("no executable called {missing} under {}", folder.display());
        if scenes.is_empty() {
            return Err(anyhow!(why)).context(ORIGINALS);
        }
        anstream::eprintln!("{} scenes left out: {why}", before - scenes.len());
    }
    Ok(())
}
