//! `lab`: plays the scenes of the READMEs with the real programs.
//!
//! Data flows one way: a README's text becomes a [`scene::Scene`], [`programs`] builds what it
//! names, a [`stage::Stage`] gives it a network and folders of its own, and [`play`] lets each
//! step happen at an [`actor::Actor`]'s terminal.

pub mod actor;
pub mod compare;
pub mod exchange;
pub mod fate;
pub mod faults;
pub mod figures;
pub mod fixes;
pub mod folder;
pub mod golden;
pub mod hostile;
pub mod interrupts;
pub mod load;
pub mod mask;
pub mod memory;
pub mod numbers;
pub mod peer;
pub mod play;
pub mod programs;
pub mod random;
pub mod reverts;
pub mod scene;
mod script;
pub mod signals;
pub mod sockets;
pub mod stage;
pub mod strace;
pub mod table;
pub mod time_wait;
pub mod trace;
pub mod verdict;
