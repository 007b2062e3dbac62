//! `lab random`.

use std::path::PathBuf;

use anyhow::Result;

use lab::programs::{self, Profile};
use lab::stage::Privacy;
use lab::strace;
use trials::exchange::Family;
use trials::random::{self, Players};
use trials::tally::{Figure, Tally};

#[derive(clap::Args)]
pub struct Random {
    /// Servers, with their clients, to draw exchanges of; none: all
    #[arg(value_enum, value_name = "FAMILY")]
    families: Vec<Family>,
    /// How many exchanges to draw of each
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// Draw those of this number [default: another each time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Play each with the C programs here, too, and compare whole traces
    #[arg(long, value_name = "DIR")]
    originals: Option<PathBuf>,
    /// Which build of the ports
    #[arg(long, value_enum, default_value = "release")]
    profile: Profile,
    /// Take the ports from this folder, by file name, instead of building them
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
}

impl Random {
    pub fn run(&self) -> Result<()> {
        let families = if self.families.is_empty() { Family::ALL.to_vec() } else { self.families.clone() };
        let names: Vec<&str> = families.iter().flat_map(|family| family.clients().iter().copied().chain([family.server()])).collect();
        let c = match &self.originals {
            Some(folder) => {
                strace::available()?;
                Some(lab::programs::originals(folder, &names)?)
            }
            None => None,
        };
        let ports = match &self.programs {
            Some(folder) => programs::search(folder, &names)?,
            None => programs::build(&names, self.profile)?,
        };
        let seed = self.seed.unwrap_or_else(rand_seed);
        let players = Players { privacy: Privacy::find(true), ports: &ports, c: c.as_ref() };
        let mut figures = Vec::new();
        for family in families {
            let played = random::run(family, self.count, seed, &players, |played| {
                if played.exchanges % 50 == 0 {
                    anstream::eprintln!("{}: {} of {} exchanges", family.server(), played.exchanges, self.count);
                }
            })?;
            anstream::println!("{}: {} exchanges of {} steps in all went as they should (seed {seed})", family.server(), played.exchanges, played.steps);
            if c.is_some() {
                anstream::println!("{}: {} calls, the same in C", family.server(), played.calls);
            }
            let tally = c.as_ref().map(|_| Tally { alike: played.exchanges, ..Tally::default() });
            figures.push((family.server(), Figure { tried: played.exchanges, c: tally }));
        }
        Ok(())
    }
}

/// Another number each time.
fn rand_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    // Of 32 bits, which a person can type.
    RandomState::new().hash_one(()) >> 32
}
