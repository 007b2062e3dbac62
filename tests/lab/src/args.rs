//! Reading a command line: options, values, and one line for what is wrong.

use std::ffi::OsString;
use std::fmt::Display;
use std::path::PathBuf;
use std::process;
use std::str::FromStr;

use anyhow::{Result, anyhow};
pub use lexopt::Arg::{Long, Short, Value};
use lexopt::{Arg, Parser, ValueExt};
use strsim::levenshtein;

/// The arguments of a command; `--help` prints its help.
pub struct Args {
    parser: Parser,
    /// "lab replay"
    command: &'static str,
    help: String,
}

impl Args {
    pub fn new(command: &'static str, help: &str, args: impl IntoIterator<Item = OsString>) -> Args {
        let args: Vec<OsString> = args.into_iter().collect();
        Args { parser: Parser::from_args(args), command, help: help.to_owned() }
    }

    /// The next option or value.
    /// Fails if it is not an argument: `--option=value` of an option that takes none.
    #[expect(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Arg<'_>>> {
        let (help, command) = (self.help.clone(), self.command);
        match self.parser.next() {
            Ok(Some(Short('h') | Long("help"))) => {
                crate::print(&help);
                process::exit(0);
            }
            Ok(arg) => Ok(arg),
            Err(error) => Err(anyhow!("{error}; 'cargo {command} --help' shows the usage")),
        }
    }

    /// The value of the option that was just read.
    /// Fails if there is none, or it is not of this type.
    pub fn parse<T: FromStr<Err: Display>>(&mut self, option: &str) -> Result<T> {
        let value = self.text(option)?;
        value.parse().map_err(|error| anyhow!("--{option} cannot be '{value}': {error}; 'cargo {} --help' says what it takes", self.command))
    }

    /// The value of `--limit`, a number of seconds from 1 on.
    /// Fails if it is not one.
    pub fn limit(&mut self) -> Result<u32> {
        let value = self.text("limit")?;
        value.parse().ok().filter(|seconds| *seconds > 0).ok_or_else(|| anyhow!("--limit takes a number of seconds, 1 or more, not '{value}'"))
    }

    /// The value of the option that was just read, as a text.
    /// Fails if there is none, or it is not UTF-8.
    pub fn text(&mut self, option: &str) -> Result<String> {
        let value = self.parser.value().and_then(|value| value.string());
        value.map_err(|_| anyhow!("{}{option} takes a value; 'cargo {} --help' says which", if option.len() == 1 { "-" } else { "--" }, self.command))
    }

    /// The same as a path.
    /// Fails if there is none.
    pub fn path(&mut self, option: &str) -> Result<PathBuf> {
        self.parser.value().map(PathBuf::from).map_err(|_| anyhow!("--{option} takes a path; 'cargo {} --help' says which", self.command))
    }
}

/// What to say to an option or value that the command does not take.
pub fn unexpected(arg: Arg, command: &str) -> anyhow::Error {
    anyhow!("{}; 'cargo {command} --help' shows the usage", arg.unexpected())
}

/// "did you mean 'udpclient'?", or where to look if no name is near.
pub fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let near = names.into_iter().map(|other| (levenshtein(name, other), other)).min().filter(|(distance, _)| *distance <= 1 + name.len() / 4);
    near.map_or("'cargo lab list' names them".to_owned(), |(_, other)| format!("did you mean '{other}'?"))
}

/// A value as a text.
/// Fails if it is not UTF-8.
pub fn text(value: OsString) -> Result<String> {
    value.string().map_err(|error| anyhow!("{error}"))
}

/// The value of this name; an error with the names that there are, if it is none of them.
pub fn one_of<T: Copy>(name: &str, values: &[(&str, T)]) -> std::result::Result<T, String> {
    let found = values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    found.ok_or_else(|| format!("it must be one of {}", values.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")))
}
