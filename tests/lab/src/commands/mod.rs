//! What `lab` is told on its command line, a module for each command that takes options. What they
//! do is in the library.

mod comparison;
mod read;
mod replay;
mod side;

pub use comparison::{Check, Record, Strace};
pub use read::Read;
pub use replay::Replay;
