//! What `lab` is told on its command line, a module for each command that takes options. What they
//! do is in the library.

mod comparison;
mod faults;
mod hostile;
mod load;
mod long;
mod memory;
mod random;
mod read;
mod replay;
mod reverts;
mod side;

pub use comparison::{Check, Record, Strace};
pub use faults::Faults;
pub use hostile::Hostile;
pub use load::Load;
pub use long::Long;
pub use memory::Memory;
pub use random::Random;
pub use read::Read;
pub use replay::Replay;
pub use reverts::Reverts;
