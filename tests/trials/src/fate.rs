//! What becomes of the C programs in a scene that the ports play as it stands.

use anyhow::Result;

use crate::tally::Fate;
use lab::play::{self, Options, Otherwise};
use lab::programs::Binaries;
use lab::scene::Scene;
use lab::stage::{Privacy, Stage};
use lab::trace::{self, Trace};

/// A scene played by the C programs.
#[derive(Debug)]
pub struct Played {
    /// What became of them; nothing if all went as the scene says.
    pub fate: Option<Fate>,
    /// Their traces, if it did and they were traced.
    pub traces: Vec<Trace>,
    /// How it went otherwise, for a person to read.
    pub difference: String,
}

/// Plays a scene with the C programs in place of all ports.
///
/// A case in which what C does is not defined and looks right this time counts as such.
///
/// # Errors
///
/// If it cannot be played at all: as [`Stage::set`], and as [`trace::read`].
pub fn play(scene: &Scene, privacy: Privacy, c: &Binaries, options: &Options) -> Result<Played> {
    let options = Options { c: scene.steps.iter().map(|step| step.actor.clone()).collect(), ..options.clone() };
    let played = if options.trace {
        trace::run(scene, privacy, &Binaries::new(), c, &options)
    } else {
        let _stage = Stage::set(privacy, &Binaries::new(), c)?;
        play::play(scene, &options, &mut ()).map(|_| Vec::new())
    };
    match played {
        Ok(traces) => Ok(Played { fate: None, traces, difference: String::new() }),
        Err(error) => match error.downcast_ref::<Otherwise>().map(judge) {
            Some(fate) => Ok(Played { fate: Some(fate), traces: Vec::new(), difference: format!("{error:#}") }),
            None => Err(error),
        },
    }
}

/// A crash tells more than what it is seen by, and so does a loop. Who waits for the next line as if
/// nothing were wrong does not hang.
fn judge(otherwise: &Otherwise) -> Fate {
    match otherwise {
        Otherwise { killed: true, .. } => Fate::Crashes,
        Otherwise { at_rest: false, .. } => Fate::Loops,
        Otherwise { late: true, awaits_keys: false, .. } => Fate::Hangs,
        _ => Fate::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use lab::scene;

    /// What becomes of a command that is to print "x" and end.
    fn of(command: &str) -> Option<Fate> {
        let text = format!("```scene s\nactor $ {command}\nactor > x\nactor = 0\n```\n");
        let scene = scene::parse("group", Path::new("README.md"), &text).unwrap().remove(0);
        let options = Options { limit: Duration::from_millis(500), ..Options::default() };
        let error = play::play(&scene, &options, &mut ()).err()?;
        Some(judge(error.downcast_ref::<Otherwise>().expect("it was played")))
    }

    #[test]
    fn each_fate_is_told_from_the_others() {
        for (command, fate) in [
            ("echo x", None),
            ("echo y", Some(Fate::Wrong)),
            ("sh -c 'echo x; exit 1'", Some(Fate::Wrong)),
            ("cat", Some(Fate::Wrong)),
            ("sleep 5", Some(Fate::Hangs)),
            ("sh -c 'while :; do :; done'", Some(Fate::Loops)),
            ("sh -c 'while :; do echo y; done'", Some(Fate::Loops)),
            ("sh -c 'echo y; kill -SEGV $$'", Some(Fate::Crashes)),
        ] {
            assert_eq!(of(command), fate, "{command}");
        }
    }
}
