//! What became of programs that were tried: how often each as it should, and how often what else.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

/// How a program does otherwise than it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It waits for what cannot come.
    Hangs,
    /// It runs on without end.
    Loops,
    /// A signal ends it.
    Crashes,
    /// It ends without a word, prints or sends what is not true, or loses something.
    Wrong,
    /// It uses memory that is not its own or has no value.
    Memory,
}

impl Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Fate::Hangs => "hangs",
            Fate::Loops => "loops",
            Fate::Crashes => "crashes",
            Fate::Wrong => "wrong",
            Fate::Memory => "memory",
        })
    }
}

/// How the cases tried on one program went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figure {
    pub tried: usize,
    /// What became of the C program, if it was tried: how often it did as the port, and else what.
    pub c: Option<Tally>,
}

/// How often a program did what it should, and how often what else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    pub alike: usize,
    pub otherwise: BTreeMap<Fate, usize>,
}

impl Tally {
    /// Counts one case more.
    pub fn count(&mut self, fate: Option<Fate>) {
        match fate {
            None => self.alike += 1,
            Some(fate) => *self.otherwise.entry(fate).or_default() += 1,
        }
    }
}

/// "350 as the port, hangs 31, crashes 6".
impl Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} as the port", self.alike)?;
        self.otherwise.iter().try_for_each(|(fate, times)| write!(f, ", {fate} {times}"))
    }
}
