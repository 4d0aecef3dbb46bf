//! `gdmarket migrate`: brings the database's schema up to date and ends. Safe beside a running server,
//! and to repeat. With `--restored` it also says that the database is an older copy, which nobody but
//! the operator knows.

use super::serve::runtime;
use super::{Console, Exit, Failure};
use crate::config::Config;
use crate::wiring::store_options;
use clap::Args;
use gdmarket_store::{Restored, Store};
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  gdmarket migrate                    before the servers of a new program, which may not migrate themselves
  gdmarket migrate --restored         after an older copy of the database was put back";

/// What to do beyond bringing the schema up to date.
#[derive(Debug, Clone, Copy, Default, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct MigrateArgs {
    /// The database was restored from an older copy: begin a new epoch of its log. End the servers first.
    #[arg(long)]
    restored: bool,
}

pub(super) fn run(config: &Config, args: MigrateArgs, console: Console) -> Result<(), Failure> {
    let runtime = runtime()?;
    let folder = &config.server.data_dir;
    if config.database.url.is_none() {
        std::fs::create_dir_all(folder).map_err(|error| {
            Failure::new(Exit::Failed, format!("{}: {error}", folder.display()))
                .next("name a folder you may write to with --data-dir")
        })?;
    }
    let options = store_options(config, args.restored);
    let applied = runtime.block_on(Store::migrate(&options))?;
    let restored =
        if args.restored { Some(runtime.block_on(Store::restored(&options))?) } else { None };
    if console.is_json() {
        let epoch = restored.map(|restored| restored.epoch);
        let rebuilds = restored.map(|restored| restored.rebuilds);
        Console::result_json(&json!({"applied": applied, "epoch": epoch, "rebuilds": rebuilds}));
        return Ok(());
    }
    if applied.is_empty() {
        console.note("The schema is up to date.");
    } else {
        console.note(&format!("Applied: {}.", applied.join(", ")));
    }
    if let Some(restored) = restored {
        console.note(&told(restored));
    }
    Ok(())
}

fn told(Restored { epoch, rebuilds }: Restored) -> String {
    let views = if rebuilds { "didn't fit it and are made anew" } else { "fit it" };
    format!("The log is in epoch {epoch}; views and checkpoints {views}.")
}
