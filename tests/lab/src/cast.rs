//! Who plays what: decided once for a scene.

use std::path::PathBuf;

use crate::programs::{Binaries, Builds};
use crate::scene::Scene;

/// Whose programs play a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side<'a> {
    Ports,
    C,
    /// The C programs play these actors; ports play the others.
    Mixed(&'a [String]),
}

/// The folder of the C programs in the working folder, which itself holds the ports.
pub const C_FOLDER: &str = "c";

/// Which binary plays each actor of a scene.
#[derive(Debug, Clone, Default)]
pub struct Cast {
    pub ports: Binaries,
    pub c: Binaries,
    /// The actors that play the C programs.
    actors: Vec<String>,
}

impl Cast {
    pub fn new(scene: &Scene, builds: &Builds, side: Side) -> Cast {
        let only = |binaries: &Binaries| scene.programs().into_iter().filter_map(|name| Some((name.to_owned(), binaries.get(name)?.clone()))).collect();
        let c = || builds.c.as_ref().map(only).unwrap_or_default();
        match side {
            Side::Ports => Cast { ports: only(&builds.ports), ..Cast::default() },
            Side::C => Cast { ports: Binaries::new(), c: c(), actors: scene.steps.iter().map(|step| step.actor.clone()).collect() },
            Side::Mixed(actors) => Cast { ports: only(&builds.ports), c: c(), actors: actors.to_vec() },
        }
    }

    /// Where the program of an actor is, from the working folder.
    pub fn binary(&self, actor: &str, program: &str) -> PathBuf {
        [if self.actors.iter().any(|c| c == actor) { "./c" } else { "." }, program].iter().collect()
    }
}
