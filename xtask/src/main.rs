//! `cargo xtask man` writes the manual pages of `gdmarket`, which are committed and shipped in the program.

mod man;

use clap::{Parser, Subcommand};

/// Tasks of this repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Xtask {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Write the manual pages into gdmarket/man.
    Man,
}

fn main() -> anyhow::Result<()> {
    match Xtask::parse().task {
        Task::Man => man::write_all(),
    }
}
