//! Hostile input: what no friendly client or server would send, and arguments, descriptors and paths
//! that nobody means. Each case is a scene, made here, with what each program must print and answer
//! worked out beside it; an honest exchange before or after it must be exact.

mod datagram_clients;
mod datagram_servers;
mod messages;
mod stream_clients;
mod stream_servers;

use std::path::Path;

use anyhow::{Context, Result};

use crate::script::Script;
use lab::programs;
use lab::scene::{self, Scene};

/// A scene, and the program that it is hostile to.
#[derive(Debug, Clone)]
pub struct Case {
    pub program: &'static str,
    /// Its name is that of the program and of what is done to it: `udpserver/datagram-of-4096`.
    pub scene: Scene,
    /// The scene as a README would have it.
    pub text: String,
}

/// All cases, by program.
///
/// # Errors
///
/// If one is no scene, which the tests would show.
pub fn cases() -> Result<Vec<Case>> {
    cases_of(|_| true)
}

/// The cases of some programs.
///
/// # Errors
///
/// As [`cases`].
pub fn cases_of(is_wanted: impl Fn(&str) -> bool) -> Result<Vec<Case>> {
    let mut cases = Cases { is_wanted: &is_wanted, made: Vec::new() };
    datagram_servers::add(&mut cases);
    datagram_clients::add(&mut cases);
    stream_servers::add(&mut cases);
    stream_clients::add(&mut cases);
    let mut cases = cases.made.iter().map(|(program, what, script)| case(program, what, script)).collect::<Result<Vec<_>>>()?;
    cases.sort_by_key(|case| programs::PROGRAMS.iter().position(|program| program.name == case.program));
    Ok(cases)
}

/// The cases in the making: a program, what is done to it, and the scene of that.
struct Cases<'a> {
    is_wanted: &'a dyn Fn(&str) -> bool,
    made: Vec<(&'static str, String, Script)>,
}

impl Cases<'_> {
    fn want(&self, program: &str) -> bool {
        (self.is_wanted)(program)
    }

    fn add(&mut self, program: &'static str, what: impl Into<String>, script: Script) {
        if self.want(program) {
            self.made.push((program, what.into(), script));
        }
    }
}

fn case(program: &'static str, what: &str, script: &Script) -> Result<Case> {
    let name = format!("{program}/{what}");
    let group = programs::find(program).with_context(|| format!("no program is called {program}"))?.group;
    let text = script.scene(&name);
    let scene = scene::parse(group, Path::new(&name), &text)?.pop().context("a case has a scene")?;
    Ok(Case { program, scene, text })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_program_has_cases_of_different_names() {
        let cases = cases().unwrap();
        let names: BTreeSet<&str> = cases.iter().map(|case| case.scene.name.as_str()).collect();
        assert_eq!(names.len(), cases.len());
        for program in programs::PROGRAMS {
            assert!(cases.iter().filter(|case| case.program == program.name).count() >= 3, "{}", program.name);
        }
        for case in &cases {
            assert!(case.scene.programs().contains(&case.program), "{}", case.scene.name);
        }
    }
}
