//! What `lab` is told on its command line, a module for each command or family of them.

pub mod ask;
pub mod comparison;
pub mod completions;
pub mod diagram;
pub mod page;
pub mod read;
pub mod replay;
mod side;
