//! `trials`: the long runs on the ports: faults, adversarial input, random sessions, memory, load, and
//! each fix taken away again. `lab` plays their scenes.

pub mod fate;
pub mod faults;
pub mod fixes;
pub mod hostile;
pub mod interrupts;
pub mod load;
pub mod reverts;
pub mod sessions;
mod script;
pub mod tally;
pub mod verdict;
