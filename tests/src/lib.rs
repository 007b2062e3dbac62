//! `lab`: plays the scenes of the READMEs with the real programs.
//!
//! Data flows one way: a README's text becomes a [`scene::Scene`], [`programs`] builds what it
//! names, a [`stage::Stage`] gives it a network and folders of its own, and [`play`] lets each
//! step happen at an [`actor::Actor`]'s terminal.

pub mod actor;
pub mod compare;
pub mod faults;
pub mod figures;
pub mod fixes;
pub mod golden;
pub mod mask;
pub mod numbers;
pub mod peer;
pub mod play;
pub mod programs;
pub mod scene;
pub mod sockets;
pub mod stage;
pub mod strace;
pub mod table;
pub mod time_wait;
pub mod trace;
pub mod verdict;
