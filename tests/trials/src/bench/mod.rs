//! What things cost, measured side by side: the programs as port, C, std and tokio; the ways to pass bytes
//! between two processes; servers with more clients and longer messages. All of it runs on one processor, and
//! in rounds: each round measures everything once, so that what disturbs the machine disturbs all alike. A
//! figure is the median of the rounds. A ratio is that of the pairs of one round, with its quartiles.

pub mod growth;
pub mod programs;
pub mod report;
pub mod transports;

use std::fmt::{self, Display};
use std::fs;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use statrs::statistics::{Data, OrderStatistics};

/// How long one step may take.
pub const LIMIT: Duration = Duration::from_secs(10);

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// At most so many rounds, but at least three; fewer once a pair or a part has taken this time.
    pub rounds: usize,
    pub time: Duration,
    /// Exchanges of one run.
    pub exchanges: usize,
    /// Exchanges of a run that is traced or counted.
    pub watched: usize,
    /// Whether instructions are counted: that takes a minute.
    pub instructions: bool,
}

impl Size {
    pub const FULL: Size = Size { rounds: 25, time: Duration::from_secs(8), exchanges: 3000, watched: 200, instructions: true };
    pub const QUICK: Size = Size { rounds: 3, time: Duration::from_millis(1500), exchanges: 500, watched: 20, instructions: false };

    /// The numbers of the rounds that there is time for.
    pub fn rounds(self) -> impl Iterator<Item = usize> {
        let start = Instant::now();
        (0..self.rounds).take_while(move |round| *round < 3 || start.elapsed() < self.time)
    }
}

/// What was measured: the words that `bench.tsv` has for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct What {
    pub part: &'static str,
    /// A pair of programs, a direction, a server.
    pub of: String,
    /// With its unit.
    pub quantity: &'static str,
    /// Bytes or clients; 0 if neither.
    pub at: usize,
    /// Port, C, std, tokio; a transport.
    pub who: &'static str,
}

/// All that was measured, each with the numbers of its rounds in their order.
#[derive(Debug, Default)]
pub struct Figures(pub Vec<(What, Vec<f64>)>);

impl Figures {
    pub fn add(&mut self, what: What, value: f64) {
        match self.0.iter_mut().find(|(known, _)| *known == what) {
            Some((_, values)) => values.push(value),
            None => self.0.push((what, vec![value])),
        }
    }

    pub fn get(&self, what: &What) -> Option<&[f64]> {
        self.0.iter().find(|(known, _)| known == what).map(|(_, values)| values.as_slice())
    }

    /// The ratio to another, round by round.
    pub fn ratio(&self, what: &What, reference: &What) -> Option<Spread> {
        let (values, others) = (self.get(what)?, self.get(reference)?);
        Some(Spread::of(values.iter().zip(others).map(|(value, other)| value / other).collect()))
    }

    pub fn tsv(&self) -> String {
        let row = |what: &What, round: usize, value: &f64| format!("{}\t{}\t{}\t{}\t{}\t{round}\t{value:.4}\n", what.part, what.of, what.quantity, what.at, what.who);
        let rows = self.0.iter().flat_map(|(what, values)| values.iter().enumerate().map(move |(round, value)| row(what, round, value)));
        "part\tof\tquantity\tat\twho\tround\tvalue\n".to_owned() + &rows.collect::<String>()
    }
}

/// A median, with the quartiles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Spread {
    pub fn of(values: Vec<f64>) -> Spread {
        let mut data = Data::new(values);
        Spread { median: data.median(), low: data.lower_quartile(), high: data.upper_quartile() }
    }
}

/// A ratio: `1.31 (1.28–1.33)`, or `same (0.97–1.02)` if it may be 1, as it is shown.
impl Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let [low, high] = [self.low, self.high].map(|value| (value * 100.).round() as i64);
        match ((low..=high).contains(&100), low == high) {
            (true, true) => write!(f, "same"),
            (true, false) => write!(f, "same ({:.2}–{:.2})", self.low, self.high),
            (false, true) => write!(f, "{:.2}", self.median),
            (false, false) => write!(f, "{:.2} ({:.2}–{:.2})", self.median, self.low, self.high),
        }
    }
}

/// The processor's model, how many there are, and the kernel.
pub fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or(std::env::consts::ARCH, |(_, model)| model);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{model}, {} processors, Linux {}", available_parallelism().map_or(1, usize::from), kernel.trim())
}

/// How many KiB a process has in memory, counted page by page.
fn resident(pid: i32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let rss = text.lines().find_map(|line| line.strip_prefix("Rss:")?.trim().strip_suffix(" kB")?.parse().ok());
    rss.context("no Rss in smaps_rollup")
}

/// Keeps this process, and those that it starts, on one processor: the last of those that it may use.
pub fn stay_on_one_processor() -> Result<()> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    let Some(last) = (0..CpuSet::count()).rev().find(|cpu| allowed.is_set(*cpu).unwrap_or_default()) else { bail!("this process may use no processor") };
    let mut one = CpuSet::new();
    one.set(last)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &one)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_may_be_the_same() {
        let all = [(1.3, 1.3, 1.3, "1.30"), (0.985, 0.95, 0.996, "same (0.95–1.00)"), (0.98, 0.95, 0.99, "0.98 (0.95–0.99)")];
        for (median, low, high, shown) in all {
            assert_eq!(Spread { median, low, high }.to_string(), shown);
        }
    }
}
