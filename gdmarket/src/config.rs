//! The configuration: settings, their sources, and their checks.
//!
//! Defaults < `./gdmarket.toml` or `--config FILE` < `GDMARKET__SECTION__KEY` < flags. Unknown keys are faults, and all
//! faults are reported at once, before a port opens. Only this module reads the environment; the other crates get plain
//! values.

mod layers;
mod loaded;
mod nats;
mod provider;
mod secret;
mod sections;
mod services;
mod settings;
mod sources;
mod toml_file;
mod values;

pub use loaded::{Faults, LoadedConfig};
pub use nats::{NatsConfig, NatsUrl};
pub use provider::{ProviderKey, ProviderUrl};
pub use secret::{DatabaseUrl, masked};
pub use sections::Shown;
pub use services::ServicesConfig;
pub use settings::{RETIRED, SETTINGS, Setting};
pub use sources::{Flag, Sources};
pub(crate) use values::list;

use chrono_tz::Tz;
use gdmarket_api::HttpOptions;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// All settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// The HTTP side and the data folder.
    pub server: Server,
    /// The services of this process, and where the others are.
    pub services: ServicesConfig,
    /// NATS, as the fast path of events between services.
    pub nats: NatsConfig,
    /// Where the log is; without a URL in the data folder.
    pub database: Database,
    /// The market's own rules.
    pub market: MarketConfig,
    /// The payment gateway.
    pub payment: PaymentConfig,
    /// The alarm.
    pub alarm: Outside,
    /// Reservations.
    pub reservation: ReservationConfig,
    /// Log lines and core dumps.
    pub telemetry: Telemetry,
}

/// The HTTP side and the data folder.
#[derive(Debug, Clone, Deserialize)]
pub struct Server {
    /// The address to listen on.
    #[serde(deserialize_with = "values::address")]
    pub listen: SocketAddr,
    /// Where SQLite's files are.
    #[serde(deserialize_with = "values::folder")]
    pub data_dir: PathBuf,
    /// Whether `serve` brings the database's schema up to date.
    #[serde(deserialize_with = "values::flag")]
    pub migrate: bool,
    /// The limits of the HTTP side.
    #[serde(skip)]
    pub http: HttpOptions,
}

/// Where the log is.
#[derive(Debug, Clone, Deserialize)]
pub struct Database {
    /// PostgreSQL; without it SQLite in the data folder.
    #[serde(deserialize_with = "values::optional")]
    pub url: Option<DatabaseUrl>,
    /// How many connections read at once.
    #[serde(deserialize_with = "values::within::<1, 1_000, _, _>")]
    pub read_connections: u32,
    /// How many aggregates of each type are kept in memory.
    #[serde(deserialize_with = "values::within::<1, 100_000_000, _, _>")]
    pub cache_entries: u64,
}

/// The market's own rules.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct MarketConfig {
    /// Where the market's days begin and end.
    #[serde(deserialize_with = "values::time_zone")]
    pub time_zone: Tz,
}

/// A service outside the market, and how the implementation inside this program simulates it.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Outside {
    /// How long a caller waits.
    #[serde(rename = "answer_within_ms", deserialize_with = "values::millis::<0, _>")]
    pub answer_within: Duration,
    /// How long a call may take.
    #[serde(rename = "timeout_ms", deserialize_with = "values::millis::<0, _>")]
    pub timeout: Duration,
    /// How long each simulated call takes.
    #[serde(rename = "delay_ms", deserialize_with = "values::millis::<0, _>")]
    pub delay: Duration,
    /// How much longer it may take, at random.
    #[serde(rename = "jitter_ms", deserialize_with = "values::millis::<0, _>")]
    pub jitter: Duration,
    /// Which share of the calls fails.
    #[serde(deserialize_with = "values::share")]
    pub fail_rate: f64,
}

/// The payment gateway.
#[derive(Debug, Clone)]
pub struct PaymentConfig {
    /// The provider; without its URL the gateway is in this program.
    pub provider: ProviderConfig,
    /// Its limits, and how it is simulated.
    pub gateway: Outside,
    /// Which share of the charges is declined.
    pub decline_rate: f64,
    /// Files to which older programs wrote charges and refunds.
    pub old_ledgers: Vec<PathBuf>,
    /// The source that still names such a file.
    pub ledger_set_by: Option<String>,
}

/// The payment provider.
#[derive(Debug, Clone, Deserialize)]
pub struct ProviderConfig {
    /// Where it is.
    #[serde(rename = "provider_url", deserialize_with = "values::optional")]
    pub url: Option<ProviderUrl>,
    /// The key that it knows this market by.
    #[serde(rename = "provider_key", deserialize_with = "values::optional")]
    pub key: Option<ProviderKey>,
}

/// Reservations.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct ReservationConfig {
    /// How long one may stay unpaid.
    #[serde(rename = "pay_within_s", deserialize_with = "values::seconds")]
    pub pay_within: Duration,
}

/// Log lines and core dumps.
#[derive(Debug, Clone, Deserialize)]
pub struct Telemetry {
    /// Which log lines are written, as `tracing` filters them.
    #[serde(deserialize_with = "values::log_filter")]
    pub log: String,
    /// The format of log lines.
    #[serde(deserialize_with = "values::log_format")]
    pub format: LogFormat,
    /// Whether core dumps may be written, which hold secrets and names.
    #[serde(deserialize_with = "values::flag")]
    pub core_dumps: bool,
}

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// One JSON object a line.
    Json,
    /// Text.
    Pretty,
}

impl Config {
    /// Reads all sources and checks everything.
    pub fn load(sources: &Sources) -> Result<LoadedConfig, Faults> {
        loaded::load(sources)
    }

    /// Where the database is, for people: its URL without the password, or the folder of its files.
    pub fn database_place(&self) -> String {
        let folder = || self.server.data_dir.display().to_string();
        self.database.url.as_ref().map_or_else(folder, ToString::to_string)
    }

    /// As [`Config::database_place`], with the name of the engine where the place doesn't show it.
    pub fn described_database(&self) -> String {
        let folder = || format!("SQLite in {}", self.server.data_dir.display());
        self.database.url.as_ref().map_or_else(folder, ToString::to_string)
    }

    /// The database's URL in the form that the store takes.
    pub fn store_url(&self) -> String {
        self.database.url.as_ref().map_or_else(
            || format!("sqlite:{}", self.server.data_dir.display()),
            |url| url.expose().to_owned(),
        )
    }
}
