//! `lab hostile`.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};

use lab::compare;
use lab::play::{self, Options};
use lab::programs::{self, Binaries, PROGRAMS, Profile};
use lab::scene::{Scene, names, only};
use lab::stage::{Privacy, Stage};
use lab::strace;
use lab::trace;
use trials::fate;
use trials::hostile::{self, Case};
use trials::tally::{Fate, Figure, Tally};

use lab::programs::originals;

#[derive(clap::Args)]
pub struct Hostile {
    /// Programs or cases; none: all
    #[arg(value_name = "PROGRAM|CASE")]
    names: Vec<String>,
    /// Do the same to the C programs here, say what becomes of them, and compare the calls
    #[arg(long, value_name = "DIR")]
    originals: Option<PathBuf>,
    /// Only list the cases
    #[arg(long, conflicts_with_all = ["originals", "show"])]
    list: bool,
    /// Only show the cases, as scenes
    #[arg(long, conflicts_with = "originals")]
    show: bool,
    /// Show how the C programs do otherwise
    #[arg(long, requires = "originals")]
    details: bool,
    /// Which build of the ports
    #[arg(long, value_enum, default_value = "release")]
    profile: Profile,
    /// Take the ports from this folder, by file name, instead of building them
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
}

/// How long a C program has for a step: it may never take it.
const C_LIMIT: Duration = Duration::from_secs(3);

/// What came of the cases of one program.
#[derive(Default)]
struct Outcome {
    figure: Figure,
    /// Where C did as the port: how many traces were compared, and how many of those were the same.
    traces: (usize, usize),
}

impl Hostile {
    pub fn run(&self) -> Result<()> {
        let cases = chosen(&self.names)?;
        if self.list || self.show {
            let mut out = io::stdout().lock();
            for case in &cases {
                if self.show { write!(out, "{}", case.text)? } else { writeln!(out, "{}", case.scene.name)? }
            }
            return Ok(());
        }
        let scenes: Vec<&Scene> = cases.iter().map(|case| &case.scene).collect();
        let names = names(&scenes);
        if scenes.iter().any(|scene| scene.uses("strace")) {
            strace::available()?;
        }
        let c = self.originals.as_ref().map(|folder| strace::available().and_then(|()| originals(folder, &names))).transpose()?;
        let ports = match &self.programs {
            Some(folder) => programs::search(folder, &names)?,
            None => programs::build(&names, self.profile)?,
        };
        let privacy = Privacy::find(true);
        let mut outcomes = BTreeMap::<&str, Outcome>::new();
        let mut wrong = Vec::new();
        for (index, case) in cases.iter().enumerate() {
            progress(index, cases.len(), &case.scene.name);
            let outcome = outcomes.entry(case.program).or_default();
            if let Err(error) = self.try_case(case, privacy, &ports, c.as_ref(), outcome) {
                wrong.push(format!("{error:#}"));
            }
        }
        progress(cases.len(), cases.len(), "");
        if !wrong.is_empty() {
            bail!("{} of {} cases went otherwise\n{}", wrong.len(), cases.len(), wrong.join("\n"));
        }
        for (program, outcome) in PROGRAMS.iter().filter_map(|program| Some((program.name, outcomes.get(program.name)?))) {
            let in_c = outcome.figure.c.as_ref().map(|c| format!("; in C {c}; {} of {} traces the same", outcome.traces.1, outcome.traces.0)).unwrap_or_default();
            anstream::println!("{program}: {} cases{in_c}", outcome.figure.tried);
        }
        anstream::println!("{} cases, and the ports do in each what they must", cases.len());
        Ok(())
    }

    /// Plays a case with the ports and, if they are there, with the C programs.
    fn try_case(&self, case: &Case, privacy: Privacy, ports: &Binaries, c: Option<&Binaries>, outcome: &mut Outcome) -> Result<()> {
        let (ports, none) = (only(ports, &case.scene), Binaries::new());
        let Some(c) = c else {
            let _stage = Stage::set(privacy, &ports, &none)?;
            play::play(&case.scene, &Options::default(), &mut ())?;
            outcome.figure.tried += 1;
            return Ok(());
        };
        let here = trace::run(&case.scene, privacy, &ports, &none, &Options::default())?;
        let played = fate::play(&case.scene, privacy, &only(c, &case.scene), &Options { limit: C_LIMIT, trace: true, ..Options::default() })?;
        outcome.figure.tried += 1;
        outcome.figure.c.get_or_insert_with(Tally::default).count(played.fate);
        let details = |what: &dyn std::fmt::Display| {
            if self.details {
                anstream::println!("{}: {what}", case.scene.name);
            }
        };
        if let Some(fate) = played.fate {
            details(&format!("in C {}: {}", said(fate), played.difference));
        }
        for (in_c, here) in compare::pair(played.traces, here).iter().filter(|_| played.fate.is_none()) {
            let difference = compare::judge(&in_c.own(), &here.own(), None);
            outcome.traces.0 += 1;
            outcome.traces.1 += usize::from(difference.is_none());
            if let Some(difference) = difference {
                details(&format!("{}: {difference}", in_c.who));
            }
        }
        Ok(())
    }
}

fn said(fate: Fate) -> String {
    match fate {
        Fate::Wrong => "it does otherwise".to_owned(),
        fate => format!("it {fate}"),
    }
}

/// The cases that are named, or whose program is; all if there is no name.
fn chosen(names: &[String]) -> Result<Vec<Case>> {
    let program = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
    let mut cases = hostile::cases_of(|of| names.is_empty() || names.iter().any(|name| program(name) == of))?;
    let is_named = |case: &Case, name: &str| case.program == name || case.scene.name == name;
    if let Some(name) = names.iter().find(|name| !cases.iter().any(|case| is_named(case, name))) {
        bail!("no case or program is called '{name}'; 'cargo trials hostile --list' names them");
    }
    cases.retain(|case| names.is_empty() || names.iter().any(|name| is_named(case, name)));
    Ok(cases)
}

/// Says at a terminal where we are.
fn progress(done: usize, all: usize, name: &str) {
    if io::stderr().is_terminal() {
        anstream::eprint!("\r\x1b[K{}", if done < all { format!("{done} of {all} {name}") } else { String::new() });
    } else if done > 0 && done.is_multiple_of(100) {
        anstream::eprintln!("{done} of {all} cases");
    }
}
