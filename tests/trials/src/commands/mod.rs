//! What `trials` is told on its command line, a module for each command.

mod hostile;
mod load;
mod memory;
mod reverts;

pub use hostile::Hostile;
pub use load::Load;
pub use memory::Memory;
pub use reverts::Reverts;
