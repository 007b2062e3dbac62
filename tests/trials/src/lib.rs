//! `trials`: the long runs on the ports: faults, adversarial input, random sessions, memory, soak, and
//! each fix put back; and what the ports cost. `lab` plays their scenes; [`verdict`] judges what became of the programs. An `Err` is
//! what could not be played, built or read; what a program does wrong is a verdict, or a line of a report.

pub mod adversarial;
pub mod bench;
pub mod faults;
pub mod memory;
pub mod reverts;
pub mod sessions;
pub mod soak;
pub mod verdict;
