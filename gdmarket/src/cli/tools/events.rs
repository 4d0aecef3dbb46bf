//! `gdmarket events`: the log, for people and programs, read alongside a running server.

mod export;
mod filter;
mod import;
mod list;
mod show;
mod stats;
mod tail;
mod verify;

use super::with_readable_store;
use crate::config::Config;
use crate::output::{Console, Exit, Failure};
use clap::Subcommand;
use gdmarket_store::ArchiveError;

/// The subcommands of `events`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum EventsCommand {
    /// Show events in the order of the log, page by page.
    List(list::ListArgs),
    /// Show everything about one event.
    Show(show::ShowArgs),
    /// Show the newest events, and with --follow every new one until Ctrl-C.
    Tail(tail::TailArgs),
    /// Count what the log holds.
    Stats(stats::StatsArgs),
    /// Write the whole log to a file, with all that is needed to continue elsewhere.
    Export(export::ExportArgs),
    /// Fill an empty log from an exported file.
    Import(import::ImportArgs),
    /// Prove that an exported file is whole, without a database.
    Verify(verify::VerifyArgs),
}

pub(in crate::cli) fn run(
    config: &Config,
    command: &EventsCommand,
    console: Console,
) -> Result<(), Failure> {
    match command {
        EventsCommand::List(args) => with_readable_store(config, console, async |store| {
            list::run(&store, args, console).await
        }),
        EventsCommand::Show(args) => with_readable_store(config, console, async |store| {
            show::run(&store, args, console).await
        }),
        EventsCommand::Tail(args) => with_readable_store(config, console, async |store| {
            tail::run(&store, args, console).await
        }),
        EventsCommand::Stats(_) => {
            with_readable_store(config, console, async |store| stats::run(&store, console).await)
        }
        EventsCommand::Export(args) => export::run(config, args, console),
        EventsCommand::Import(args) => import::run(config, args, console),
        EventsCommand::Verify(args) => verify::run(args, console),
    }
}

/// The failure of an archive, with the next step.
fn archive_failure(error: ArchiveError) -> Failure {
    let message = error.to_string();
    match error {
        ArchiveError::Store(error) => error.into(),
        ArchiveError::Io(_) => Failure::new(Exit::Failed, message),
        ArchiveError::Line { .. } | ArchiveError::Contradiction(_) => {
            Failure::new(Exit::Usage, message)
                .next("nothing was imported; take another copy of the file, or export it again")
        }
        ArchiveError::Entry { next, .. } => Failure::new(Exit::Usage, message).next(next),
        ArchiveError::Newer(_) => {
            Failure::new(Exit::Usage, message).next("install the newer gdmarket")
        }
        ArchiveError::NotEmpty(_) => Failure::new(Exit::Usage, message)
            .next("name an empty place with --data-dir or --database-url"),
        ArchiveError::InUse(_) => Failure::new(Exit::Failed, message)
            .next("end what works on it; a killed server counts as alive for some seconds"),
    }
}
