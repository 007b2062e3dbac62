//! The figures that the long runs yield, in `tests/figures.tsv`: how many cases each tried on each
//! program, and what became of the C program in them.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::programs::PROGRAMS;

const FILE: &str = "tests/figures.tsv";
const HEAD: &str = "run\tprogram\ttried\talike\thangs\tloops\tcrashes\twrong\tmemory";

/// What a long run does to each program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Run {
    /// Calls that fail or are cut short.
    Faults,
    /// Input that nobody would call friendly.
    Hostile,
    /// Exchanges drawn at random.
    Random,
    /// Scenes and hostile input under memcheck.
    Memory,
    /// Datagrams under load.
    Load,
}

impl Run {
    pub const ALL: [Run; 5] = [Run::Faults, Run::Hostile, Run::Random, Run::Memory, Run::Load];

    pub fn name(self) -> &'static str {
        match self {
            Run::Faults => "faults",
            Run::Hostile => "hostile",
            Run::Random => "random",
            Run::Memory => "memory",
            Run::Load => "load",
        }
    }
}

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

impl Fate {
    pub const ALL: [Fate; 5] = [Fate::Hangs, Fate::Loops, Fate::Crashes, Fate::Wrong, Fate::Memory];
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

    fn of(&self, fate: Fate) -> usize {
        self.otherwise.get(&fate).copied().unwrap_or(0)
    }
}

/// "350 as the port, hangs 31, crashes 6".
impl Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} as the port", self.alike)?;
        self.otherwise.iter().try_for_each(|(fate, times)| write!(f, ", {fate} {times}"))
    }
}

/// All figures, by run and program.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Figures(BTreeMap<(Run, String), Figure>);

impl Figures {
    /// Reads what the runs have written.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or has a row of another form.
    pub fn read(root: &Path) -> Result<Figures> {
        let text = fs::read_to_string(root.join(FILE)).with_context(|| format!("cannot read {FILE}"))?;
        let rows = text.lines().skip(1).map(|line| row(line).with_context(|| format!("{FILE}: {line}")));
        Ok(Figures(rows.collect::<Result<_>>()?))
    }

    /// Puts a run's figures of one program in the place of its earlier ones.
    pub fn set(&mut self, run: Run, program: &str, figure: Figure) {
        self.0.insert((run, program.to_owned()), figure);
    }

    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn write(&self, root: &Path) -> Result<()> {
        fs::write(root.join(FILE), self.to_string()).with_context(|| format!("cannot write {FILE}"))
    }

    /// The table of the main README: a row for each program, a column for each run and, if the C
    /// programs were tried, one for what became of them.
    pub fn table(&self) -> String {
        let runs: Vec<(Run, bool)> = Run::ALL.into_iter().filter(|run| self.of(*run).count() > 0).map(|run| (run, self.of(run).any(|figure| figure.c.is_some()))).collect();
        let mut table = "| program |".to_owned();
        let mut rule = "|---|".to_owned();
        for (run, with_c) in &runs {
            table += &format!(" {} |{}", run.name(), if *with_c { " in C |" } else { "" });
            rule += if *with_c { "--:|---|" } else { "--:|" };
        }
        table += &format!("\n{rule}\n");
        for program in &PROGRAMS {
            let figures = runs.iter().map(|(run, with_c)| (self.0.get(&(*run, program.name.to_owned())).cloned(), *with_c));
            table += &line(program.name, figures);
        }
        table + &line("all", runs.iter().map(|(run, with_c)| (Some(self.sum(*run)), *with_c)))
    }

    fn of(&self, run: Run) -> impl Iterator<Item = &Figure> {
        self.0.iter().filter(move |((of, _), _)| *of == run).map(|(_, figure)| figure)
    }

    fn sum(&self, run: Run) -> Figure {
        let mut sum = Figure::default();
        for figure in self.of(run) {
            sum.tried += figure.tried;
            if let Some(c) = &figure.c {
                let all = sum.c.get_or_insert_default();
                all.alike += c.alike;
                for (fate, times) in &c.otherwise {
                    *all.otherwise.entry(*fate).or_default() += times;
                }
            }
        }
        sum
    }
}

/// As the file has them.
impl Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "{HEAD}")?;
        for ((run, program), figure) in &self.0 {
            write!(f, "{}\t{program}\t{}", run.name(), figure.tried)?;
            match &figure.c {
                Some(c) => {
                    write!(f, "\t{}", c.alike)?;
                    Fate::ALL.iter().try_for_each(|fate| write!(f, "\t{}", c.of(*fate)))?;
                }
                None => write!(f, "{}", "\t-".repeat(1 + Fate::ALL.len()))?,
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

fn row(line: &str) -> Result<((Run, String), Figure)> {
    let cells: Vec<&str> = line.split('\t').collect();
    ensure!(cells.len() == HEAD.split('\t').count(), "another number of columns");
    let run = Run::ALL.into_iter().find(|run| run.name() == cells[0]).with_context(|| format!("no run is called '{}'", cells[0]))?;
    let number = |cell: &str| cell.parse::<usize>().with_context(|| format!("'{cell}' is no number"));
    let c = match cells[3] {
        "-" => None,
        alike => {
            let mut tally = Tally { alike: number(alike)?, ..Tally::default() };
            for (fate, cell) in Fate::ALL.into_iter().zip(&cells[4..]) {
                match number(cell)? {
                    0 => {}
                    times => _ = tally.otherwise.insert(fate, times),
                }
            }
            Some(tally)
        }
    };
    Ok(((run, cells[1].to_owned()), Figure { tried: number(cells[2])?, c }))
}

/// A row of the README's table: figures, and whether what became of C stands beside them.
fn line(name: &str, figures: impl Iterator<Item = (Option<Figure>, bool)>) -> String {
    let mut line = format!("| {name} |");
    for (figure, with_c) in figures {
        let tried = figure.as_ref().map(|figure| figure.tried.to_string()).unwrap_or_default();
        line += &format!(" {tried} |");
        if with_c {
            let c = match figure.and_then(|figure| figure.c) {
                None => String::new(),
                Some(c) if c.otherwise.is_empty() => "0".to_owned(),
                Some(c) => c.otherwise.iter().map(|(fate, times)| format!("{fate} {times}")).collect::<Vec<_>>().join(", "),
            };
            line += &format!(" {c} |");
        }
    }
    line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut figures = Figures::default();
        let c = Tally { alike: 7, otherwise: BTreeMap::from([(Fate::Hangs, 2), (Fate::Memory, 1)]) };
        figures.set(Run::Faults, "udpserver", Figure { tried: 10, c: Some(c) });
        figures.set(Run::Load, "udpserver", Figure { tried: 1000, c: None });
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("tests")).unwrap();
        figures.write(root.path()).unwrap();
        assert_eq!(Figures::read(root.path()).unwrap(), figures);
        let table = figures.table();
        assert!(table.contains("\n| udpserver | 10 | hangs 2, memory 1 | 1000 |\n"), "{table}");
        assert!(table.ends_with("\n| all | 10 | hangs 2, memory 1 | 1000 |\n"), "{table}");
    }
}
