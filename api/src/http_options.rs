//! The options of the HTTP side. The program fills them from its configuration; this crate reads no file, variable or
//! flag.

use std::time::Duration;

/// The limits of the HTTP side, and the names of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpOptions {
    /// Whether the server may listen on an address beyond loopback.
    pub allow_open: bool,
    /// The names in `Host` that are accepted in addition to the address of the server.
    pub hosts: Vec<String>,
    /// How long a server keeps serving after shutdown was requested.
    pub drain_delay: Duration,
    /// How long it then waits for requests in flight.
    pub finish_within: Duration,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// How many connections may be open at once.
    pub connections: usize,
    /// The share of every limit that one address may take, in percent.
    pub address_share_percent: usize,
    /// How long a connection stays open between two requests.
    pub keep_alive: Duration,
    /// How long a client may read next to nothing of its answer.
    pub stalled_reader: Duration,
    /// How many bodies are received at once.
    pub reading: usize,
    /// How many requests may wait at once.
    pub waiting: usize,
    /// How many requests are processed at once.
    pub concurrency: usize,
    /// How many callers may follow the events at once.
    pub event_streams: usize,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            allow_open: false,
            hosts: Vec::new(),
            drain_delay: Duration::ZERO,
            finish_within: Duration::from_secs(30),
            request_timeout: Duration::from_secs(30),
            connections: 8_192,
            address_share_percent: 50,
            keep_alive: Duration::from_secs(75),
            stalled_reader: Duration::from_secs(90),
            reading: 1_024,
            waiting: 1_024,
            concurrency: 1_024,
            event_streams: 256,
        }
    }
}
