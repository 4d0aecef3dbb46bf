//! `gdmarket migrate`: brings the database's schema up to date and ends. It is safe to repeat, and to run alongside a
//! server. With `--restored` the operator declares that the database is an older copy.

use crate::compose::store_options;
use crate::config::Config;
use crate::output::{Console, Failure};
use crate::runtime::runtime;
use clap::Args;
use gdmarket_commands::NUMBERED;
use gdmarket_store::{Migrated, Restored, Store, StoreOptions, WalTrust};
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  gdmarket migrate                    before servers that run with --no-migrate
  gdmarket migrate --restored         after an older copy of the database was put back
  gdmarket migrate --restored --with-wal    the copy has a log.db-wal of its own";

/// The arguments of `migrate`.
#[derive(Debug, Clone, Copy, Default, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct MigrateArgs {
    /// The database was restored from an older copy: start a new epoch of its log. End the servers first.
    #[arg(long)]
    restored: bool,
    /// The write-ahead log next to log.db was copied together with it: trust it.
    #[arg(long)]
    with_wal: bool,
}

pub(in crate::cli) fn run(
    config: &Config,
    args: MigrateArgs,
    console: Console,
) -> Result<(), Failure> {
    let runtime = runtime()?;
    let wal = match (args.with_wal, args.restored) {
        (true, _) => WalTrust::Always,
        (false, true) => WalTrust::UnlessLeftOver,
        (false, false) => WalTrust::default(),
    };
    let options = StoreOptions { wal, ..store_options(config, args.restored) };
    let migrated = runtime.block_on(Store::migrate_with(&options, &NUMBERED))?;
    let Migrated { applied, schema } = migrated;
    let restored =
        if args.restored { Some(runtime.block_on(Store::restored(&options))?) } else { None };
    if console.is_json() {
        let epoch = restored.map(|restored| restored.epoch);
        let rebuilds = restored.map(|restored| restored.rebuilds);
        let (head, read_to) = restored.map(|restored| (restored.head, restored.read_to)).unzip();
        Console::result_json(&json!({
            "applied": applied, "schema": schema, "epoch": epoch, "rebuilds": rebuilds, "head": head,
            "readTo": read_to
        }));
        return Ok(());
    }
    let place = schema
        .map_or_else(String::new, |schema| format!(" The tables are in the schema {schema}."));
    if applied.is_empty() {
        console.note(&format!("The schema is up to date.{place}"));
    } else {
        console.note(&format!("Applied: {}.{place}", applied.join(", ")));
    }
    if let Some(restored) = restored {
        console.note(&restored_note(restored));
    }
    Ok(())
}

fn restored_note(Restored { epoch, rebuilds, head, read_to }: Restored) -> String {
    let views = if rebuilds { "didn't fit it and are built again" } else { "fit it" };
    format!(
        "The log is whole and ends at position {head}; views and managers had read up to {read_to}. \
         It is in epoch {epoch} now; views and checkpoints {views}."
    )
}
