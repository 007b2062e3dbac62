//! `lab load`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use fastrand::Rng;

use lab::play::Stdout;
use lab::programs::{self, Binaries, Profile};
use lab::signals;
use lab::stage::{Privacy, Stage};
use trials::interrupts::{self, Print};
use trials::load::{Carried, LOADS};
use trials::tally::{Fate, Figure, Tally};

#[derive(clap::Args)]
pub struct Load {
    /// Servers to load; none: all that are known here
    #[arg(value_name = "PROGRAM")]
    names: Vec<String>,
    /// Do the same to the C programs here, in turn with the ports
    #[arg(long, value_name = "DIR")]
    originals: Option<PathBuf>,
    /// Messages for the servers of many clients; the slower ones get a part of that
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1000..=100_000_000))]
    size: u32,
    /// How many clients send at once
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=128))]
    clients: u16,
    /// How often to interrupt each of the servers that count
    #[arg(long, value_name = "N", default_value_t = 1000)]
    interrupts: usize,
    /// How often to do it all [default: 1, with C programs 3]
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Draw the same moments again
    #[arg(long)]
    seed: Option<u64>,
    /// Which build of the ports
    #[arg(long, value_enum, default_value = "release")]
    profile: Profile,
    /// Take the ports from this folder, by file name, instead of building them
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
}

/// The port, or the C program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Port,
    C,
}

impl Side {
    /// "udpserver", "udpserver in C"
    fn name(self, program: &str) -> String {
        match self {
            Side::Port => program.to_owned(),
            Side::C => format!("{program} in C"),
        }
    }
}

/// Where a program is loaded, and its binaries.
struct Place {
    privacy: Privacy,
    ports: Binaries,
    /// None without originals.
    c: Binaries,
}

impl Place {
    fn set(&self) -> Result<Stage> {
        Stage::set(self.privacy, &self.ports, &self.c)
    }

    fn sides(&self) -> &[Side] {
        if self.c.is_empty() { &[Side::Port] } else { &[Side::Port, Side::C] }
    }
}

impl Load {
    pub fn run(&self) -> Result<()> {
        if let Some(name) = self.names.iter().find(|name| !LOADS.iter().any(|load| load.program == **name)) {
            bail!("no load for '{name}'; there are {}", LOADS.map(|load| load.program).join(", "));
        }
        let loads: Vec<_> = LOADS.iter().filter(|load| self.names.is_empty() || self.names.iter().any(|name| name == load.program)).collect();
        let names: Vec<&str> = loads.iter().map(|load| load.program).collect();
        let c = match &self.originals {
            Some(folder) => lab::programs::originals(folder, &names)?,
            None => Binaries::new(),
        };
        let ports = match &self.programs {
            Some(folder) => programs::search(folder, &names)?,
            None => programs::build(&names, self.profile)?,
        };
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
        let mut figures = Vec::new();
        let mut wrong = Vec::new();
        let privacy = Privacy::find(true);
        for load in loads {
            let only = |binaries: &Binaries| binaries.iter().filter(|(name, _)| *name == load.program).map(|(name, path)| (name.clone(), path.clone())).collect();
            let place = Place { privacy, ports: only(&ports), c: only(&c) };
            let mut figure = Figure { tried: 0, c: self.originals.is_some().then(Tally::default) };
            self.carry(load, &place, &mut figure, &mut wrong)?;
            if load.uncounted.is_some() && self.interrupts > 0 {
                self.interrupt(load, &place, seed, &mut figure, &mut wrong)?;
            }
            if let Some(c) = &figure.c {
                anstream::println!("{}: {} messages and interrupts; in C {c}", load.program, figure.tried);
            }
            // What became of the C program is told in words: one that ends leaves all the messages
            // behind that unanswered.
            figures.push((load.program, Figure { c: None, ..figure }));
        }
        if !wrong.is_empty() {
            bail!("{} (seed {seed})", wrong.join("\n     "));
        }
        Ok(())
    }

    /// Loads the port and the C program in turn.
    fn carry(&self, load: &trials::load::Load, place: &Place, figure: &mut Figure, wrong: &mut Vec<String>) -> Result<()> {
        let rounds = self.rounds.unwrap_or(if self.originals.is_some() { 3 } else { 1 });
        let messages = self.size as usize / load.share;
        let mut ratios = Vec::new();
        for round in 1..=rounds {
            let mut times = Vec::new();
            for side in place.sides() {
                let who = side.name(load.program);
                let _stage = place.set()?;
                let mut progress = |done| eprintln!("{who}: {done} of {messages} messages, round {round} of {rounds}");
                let carried = load.carry(*side == Side::C, usize::from(self.clients), messages, &mut progress).with_context(|| who.clone())?;
                report(&who, &carried);
                times.push((carried.lost == 0).then_some((carried.busy, carried.time)));
                match side {
                    Side::Port => {
                        figure.tried += messages;
                        wrong.extend(carried.complaints.iter().map(|complaint| format!("{who}: {complaint}")));
                    }
                    Side::C => count(figure.c.get_or_insert_default(), &carried),
                }
            }
            if let [Some(port), Some(c)] = times[..] {
                ratios.push((ratio(c.0, port.0), ratio(c.1, port.1)));
            }
        }
        if !ratios.is_empty() {
            let (busy, time) = (median(ratios.iter().map(|ratio| ratio.0)), median(ratios.iter().map(|ratio| ratio.1)));
            anstream::println!("{}: C takes {busy:.2} times as much of a processor as the port, and {time:.2} times as long; medians of {} rounds", load.program, ratios.len());
        }
        Ok(())
    }

    /// Interrupts the port, and then the C program.
    fn interrupt(&self, load: &trials::load::Load, place: &Place, seed: u64, figure: &mut Figure, wrong: &mut Vec<String>) -> Result<()> {
        for side in place.sides() {
            let who = side.name(load.program);
            let _stage = place.set()?;
            let found = self.interrupt_one(load, *side, seed, &who)?;
            match side {
                Side::Port => {
                    figure.tried += self.interrupts;
                    wrong.extend(found.iter().flatten().map(|(_, what)| format!("{who}: {what}")));
                }
                Side::C => found.iter().for_each(|found| figure.c.get_or_insert_default().count(found.as_ref().map(|(fate, _)| *fate))),
            }
        }
        Ok(())
    }

    /// What became of the server each time, if not what should.
    fn interrupt_one(&self, load: &trials::load::Load, side: Side, seed: u64, who: &str) -> Result<Vec<Option<(Fate, String)>>> {
        eprintln!("{who}: ^C at {} moments drawn with seed {seed}", self.interrupts);
        let mut rng = Rng::with_seed(seed);
        let (mut found, mut answers, mut early, mut behind) = (Vec::new(), 0, 0, 0);
        let mut prints = BTreeMap::<Print, usize>::new();
        for number in 1..=self.interrupts {
            signals::check()?;
            // At a terminal printf writes each line; to a pipe, what fills its buffer.
            let stdout = if number % 2 == 0 { Stdout::Terminal } else { Stdout::Pipe };
            let seen = interrupts::interrupt(load, side == Side::C, usize::from(self.clients), stdout, &mut rng).with_context(|| format!("{who}, ^C {number}, seed {seed}"))?;
            answers += seen.answers;
            early += usize::from(seen.early);
            behind += usize::from(seen.behind);
            if seen.fate.is_none() && !seen.early {
                *prints.entry(seen.print).or_default() += 1;
            }
            // A line twice, or half of one, is not what happened.
            let fate = seen.fate.or((!seen.early && seen.print != Print::Whole).then_some(Fate::Wrong));
            let what = if seen.fate.is_some() { seen.what } else { format!("what it printed is {}", seen.print) };
            found.push(fate.map(|fate| (fate, format!("^C {number}: {what}"))));
            if number % 250 == 0 {
                eprintln!("{who}: {number} of {}", self.interrupts);
            }
        }
        let mut ends = Tally::default();
        found.iter().for_each(|found| ends.count(found.as_ref().map(|(fate, _)| *fate)));
        let counts = if load.alone { String::new() } else { format!("{behind} between an answer and its count; ") };
        let prints = prints.iter().map(|(print, times)| format!("{print} {times}")).collect::<Vec<_>>().join(", ");
        anstream::println!("{who}: ^C at {} moments, {answers} answers: {ends}; {early} before the handler was set; {counts}printed: {prints}", self.interrupts);
        found.iter().flatten().take(5).for_each(|(_, what)| anstream::println!("{who}: {what}"));
        Ok(found)
    }
}

fn report(who: &str, carried: &Carried) {
    let Carried { messages, right, wrong, lost, before, after, .. } = carried;
    let size = if *lost > 0 { String::new() } else { format!("; {:.0} a second; {before}, then {after}", carried.rate()) };
    anstream::println!("{who}: {messages} messages, {right} answered right, {wrong} wrong, {lost} not{size}");
    carried.complaints.iter().take(3).for_each(|complaint| anstream::println!("{who}: {complaint}"));
}

/// What became of each message in C.
fn count(tally: &mut Tally, carried: &Carried) {
    tally.alike += carried.right;
    for (fate, times) in [(Some(Fate::Wrong), carried.wrong), (carried.fate, carried.lost)] {
        if let Some(fate) = fate.filter(|_| times > 0) {
            *tally.otherwise.entry(fate).or_default() += times;
        }
    }
}

fn ratio(c: Duration, port: Duration) -> f64 {
    c.as_secs_f64() / port.as_secs_f64().max(1e-9)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
