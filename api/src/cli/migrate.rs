//! `gdmarket migrate`: brings the database's schema up to date and ends. Safe beside a running server,
//! and to repeat.

use super::serve::runtime;
use super::{Console, Exit, Failure};
use crate::config::Config;
use crate::wiring::store_options;
use gdmarket_store::Store;
use serde_json::json;

pub(super) fn run(config: &Config, console: Console) -> Result<(), Failure> {
    let runtime = runtime()?;
    let folder = &config.server.data_dir;
    if config.database.url.is_none() {
        std::fs::create_dir_all(folder).map_err(|error| {
            Failure::new(Exit::Failed, format!("{}: {error}", folder.display()))
                .next("name a folder you may write to with --data-dir")
        })?;
    }
    let applied = runtime.block_on(Store::migrate(&store_options(config, false)))?;
    if console.is_json() {
        Console::result_json(&json!({"applied": applied}));
    } else if applied.is_empty() {
        console.note("The schema is up to date.");
    } else {
        console.note(&format!("Applied: {}.", applied.join(", ")));
    }
    Ok(())
}
