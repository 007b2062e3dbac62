//! The tool `trials`; `cargo trials help` tells what it does.

mod commands;
mod peer;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use commands::{Faults, Hostile, Load, Memory, Random, Reverts};
use lab::sock::Sock;
use peer::Peer;

/// Tries what can go wrong: on the ports and, with --originals, on the C programs.
#[derive(Parser)]
#[command(name = "cargo trials", bin_name = "cargo trials", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Makes the programs' calls fail, one after the other
    Faults(Faults),
    /// Plays adversarial input: what no well-behaved client, server or shell would do
    Hostile(Hostile),
    /// Plays exchanges drawn at random
    Random(Random),
    /// Watches the programs' memory in the scenes
    Memory(Memory),
    /// Sends messages from many clients at once, and ^C at random moments
    Load(Load),
    /// Puts each fix back to what C does, and sees that a check notices
    Reverts(Reverts),
    /// For scenes, which call it as `lab peer`
    #[command(subcommand, hide = true)]
    Peer(Peer),
    /// For scenes, which call it as `lab sock`
    #[command(hide = true)]
    Sock(Sock),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Task::Faults(options) => options.run(),
        Task::Hostile(options) => options.run(),
        Task::Random(options) => options.run(),
        Task::Memory(options) => options.run(),
        Task::Load(options) => options.run(),
        Task::Reverts(options) => options.run(),
        Task::Peer(peer) => return lab::exit("lab", peer.run()),
        Task::Sock(sock) => return lab::exit("lab", sock.run()),
    };
    lab::exit("trials", outcome)
}
