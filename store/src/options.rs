//! How a store is opened. The caller fills the options in; nothing here reads the environment.

use std::fmt;
use std::time::Duration;

/// Options of [`Store::open`](crate::Store::open), with defaults that suit one server.
#[derive(Clone)]
pub struct StoreOptions {
    /// `sqlite:<folder>` (two files in it: `log.db`, `views.db`) or `postgres://…`.
    pub url: String,
    /// Connections for views and the state of subscriptions; on SQLite also for reading the log.
    pub read_connections: u32,
    /// Connections for the log on PostgreSQL, in addition to the one that appends and four that busy tasks keep.
    pub log_connections: u32,
    /// Aggregates kept in memory, per type.
    pub cache_entries: u64,
    /// Lock the data folder for this process alone (SQLite; without effect on PostgreSQL).
    pub exclusive: bool,
    /// When a write-ahead log next to SQLite's log is trusted.
    pub wal: WalTrust,
    /// Open it for reading where it can't be written (SQLite): without `views.db`, and from a copy on a
    /// medium that is read only.
    pub reading: bool,
    /// Name of the connections in PostgreSQL's own views.
    pub application_name: String,
    /// How long a caller may wait for a connection before the database counts as unavailable.
    pub acquire_timeout: Duration,
    /// How often an idle tail looks for events of other processes.
    pub poll_interval: Duration,
    /// Most events kept in memory for readers of the tail.
    pub tail_events: usize,
    /// Commands waiting for the appender before `append` itself waits.
    pub queue: usize,
}

/// Without the URL, which may carry a password.
impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { application_name, exclusive, .. } = self;
        f.debug_struct("StoreOptions")
            .field("application_name", application_name)
            .field("exclusive", exclusive)
            .finish_non_exhaustive()
    }
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            url: "sqlite:data".to_owned(),
            read_connections: 8,
            log_connections: 4,
            cache_entries: 10_000,
            exclusive: false,
            wal: WalTrust::default(),
            reading: false,
            application_name: "gdmarket".to_owned(),
            acquire_timeout: Duration::from_secs(3),
            poll_interval: Duration::from_millis(50),
            tail_events: 8_192,
            queue: 4_096,
        }
    }
}

/// Whether a write-ahead log that lies next to the log is trusted. SQLite itself always trusts it, also where it is
/// left from before a copy of the log was put in its place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WalTrust {
    /// Unless it certainly isn't the log's: what a process that died left behind must be trusted.
    #[default]
    UnlessForeign,
    /// Unless it was there before the log's file: after a restore.
    UnlessLeftOver,
    /// The operator says that both were copied together.
    Always,
}
