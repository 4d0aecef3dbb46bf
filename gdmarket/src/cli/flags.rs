//! The flags that override settings, and the settings with these overrides.

use crate::cli::core_dumps;
use crate::config::{Config, DatabaseUrl, Flag, LoadedConfig, Sources};
use crate::output::{Console, Exit, Failure};
use clap::Args;
use clap::builder::FalseyValueParser;
use std::path::PathBuf;

/// The heading in the help for the flags of every subcommand.
const COMMON_HEADING: &str = "With every command";

/// The flags of every subcommand.
#[derive(Debug, Clone, Args)]
pub(super) struct Common {
    /// Read settings from this file instead of ./gdmarket.toml.
    #[arg(long, global = true, help_heading = COMMON_HEADING, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Keep the SQLite files in this folder.
    #[arg(long, global = true, help_heading = COMMON_HEADING, value_name = "FOLDER")]
    pub(super) data_dir: Option<String>,
    /// Keep everything in this PostgreSQL database.
    #[arg(long, global = true, help_heading = COMMON_HEADING, value_name = "URL")]
    database_url: Option<String>,
    /// Answer in JSON, for programs.
    #[arg(long, global = true, help_heading = COMMON_HEADING)]
    pub(super) json: bool,
    /// Print only results and errors.
    #[arg(long, global = true, help_heading = COMMON_HEADING)]
    pub(super) quiet: bool,
    /// Never use colours.
    #[arg(long, global = true, help_heading = COMMON_HEADING, env = "NO_COLOR", hide_env = true,
        value_parser = FalseyValueParser::new())]
    pub(super) no_color: bool,
}

impl Common {
    /// Warns of a password in a flag: other users of the machine can read the command line of every process.
    pub(super) fn warn_of_password(&self, console: Console) {
        let url = self.database_url.as_deref().and_then(|url| url.parse::<DatabaseUrl>().ok());
        if url.is_some_and(|url| url.has_password()) {
            console.note(
                "Other users of this machine can read a password in --database-url: set \
                 GDMARKET__DATABASE__URL_FILE to a file that holds the URL instead.",
            );
        }
    }
}

/// The flags of `serve`.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct ServeArgs {
    /// Listen on this address and port.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(super) listen: Option<String>,
    /// Listen beyond loopback although there are no log-ins: all who reach the port may do anything.
    #[arg(long)]
    allow_open: bool,
    /// Leave the database's schema as it is; refuse to serve if it is too old.
    #[arg(long)]
    no_migrate: bool,
    /// Run only these services of the market: item, reservation, payment, alarm.
    #[arg(long, value_name = "NAMES")]
    services: Option<String>,
}

impl ServeArgs {
    /// Merges the flags: those after `serve` override those before it.
    pub(super) fn or(self, before: Self) -> Self {
        Self {
            listen: self.listen.or(before.listen),
            allow_open: self.allow_open || before.allow_open,
            no_migrate: self.no_migrate || before.no_migrate,
            services: self.services.or(before.services),
        }
    }
}

/// Loads the settings, with these flags as overrides.
pub(super) fn settings(common: &Common, serve: &ServeArgs) -> Result<LoadedConfig, Failure> {
    let given = |flag, key, value: Option<String>| value.map(|value| Flag { flag, key, value });
    let flags = [
        given("--data-dir", "server.data_dir", common.data_dir.clone()),
        given("--database-url", "database.url", common.database_url.clone()),
        given("--listen", "server.listen", serve.listen.clone()),
        given("--allow-open", "server.allow_open", serve.allow_open.then(|| "true".to_owned())),
        given("--services", "server.services", serve.services.clone()),
        given("--no-migrate", "server.migrate", serve.no_migrate.then(|| "false".to_owned())),
    ];
    let flags = flags.into_iter().flatten().collect();
    let sources = Sources { file: common.config.clone(), flags, reads_environment: true };
    let loaded =
        Config::load(&sources).map_err(|faults| Failure::new(Exit::Usage, faults.to_string()))?;
    if loaded.config.telemetry.core_dumps {
        core_dumps::permit()
            .map_err(|error| Failure::new(Exit::Failed, format!("core dumps: {error}")))?;
    }
    Ok(loaded)
}
