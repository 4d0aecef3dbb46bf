//! The table of all settings: key, default, help. `config show`, the documents and the check for unknown keys read it.

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// `section.key`, as in the file; `GDMARKET__SECTION__KEY` in the environment.
    pub key: &'static str,
    /// The value if no source sets it; empty means none.
    pub default: &'static str,
    /// The help text.
    pub help: &'static str,
    /// Whether it may be given as the name of a file that holds it (`key_file`).
    pub secret: bool,
}

const fn setting(key: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting { key, default, help, secret: false }
}

/// All settings.
pub const SETTINGS: &[Setting] = &[
    setting("server.listen", "127.0.0.1:8080", "address and port to listen on"),
    setting("server.allow_open", "false", "listen beyond loopback although there are no log-ins"),
    setting("server.hosts", "", "further names this server is called by, separated by commas"),
    setting("server.data_dir", "./gdmarket-data", "folder of the SQLite files"),
    setting("server.migrate", "true", "bring the database's schema up to date before serving"),
    setting(
        "server.services",
        "item,reservation,payment,alarm",
        "which services this process runs, separated by commas",
    ),
    setting("server.drain_delay_ms", "0", "serve on for this long after a shutdown is requested"),
    setting("server.finish_within_ms", "30000", "then wait this long for what is in flight"),
    setting("server.request_timeout_ms", "30000", "how long one request may take"),
    setting("server.connections", "8192", "how many connections may be open at once"),
    setting(
        "server.address_share_percent",
        "50",
        "which share of every limit one address may take; 100 behind a gateway",
    ),
    setting("server.keep_alive_ms", "75000", "how long a connection stays open between requests"),
    setting(
        "server.stalled_reader_ms",
        "90000",
        "how long a client may take next to nothing of its answer",
    ),
    setting("server.reading", "1024", "how many bodies are received at once"),
    setting("server.waiting", "1024", "how many requests may wait for an outcome at once"),
    setting("server.concurrency", "1024", "how many requests are worked on at once"),
    setting("server.event_streams", "256", "how many may follow the events at once"),
    setting("services.item.url", "", "where the item service is, if it isn't in this process"),
    setting("services.reservation.url", "", "where the reservation service is"),
    setting("services.payment.url", "", "where the payment service is"),
    setting("services.alarm.url", "", "where the alarm service is"),
    setting("services.keys_file", "", "the file of the keys that all services share"),
    Setting {
        key: "nats.url",
        default: "",
        help: "NATS servers, separated by commas; without them events of other services are polled",
        secret: true,
    },
    setting("nats.credentials_file", "", "file of the credentials for NATS"),
    setting("nats.ca_file", "", "file of further certificates that NATS's may be signed by"),
    setting("nats.keep_h", "72", "how many hours of events NATS keeps"),
    setting("nats.keep_mib", "1024", "how many mebibytes of events NATS keeps"),
    setting("nats.replicas", "1", "how many NATS servers keep the events"),
    Setting {
        key: "database.url",
        default: "",
        help: "PostgreSQL; without it SQLite in the data folder",
        secret: true,
    },
    setting("database.read_connections", "8", "how many connections read at once"),
    setting("database.cache_entries", "10000", "how many aggregates of a type stay in memory"),
    setting("market.time_zone", "Asia/Seoul", "where the market's days begin and end"),
    setting("payment.provider_url", "", "payment provider; without it the gateway in this program"),
    Setting {
        key: "payment.provider_key",
        default: "",
        help: "the key that the provider knows this market by",
        secret: true,
    },
    setting("payment.answer_within_ms", "610", "how long a renter waits for the gateway"),
    setting("payment.timeout_ms", "60000", "how long a call to the gateway may take"),
    setting("payment.delay_ms", "0", "how long the gateway inside this program takes"),
    setting("payment.jitter_ms", "0", "how much longer it may take, at random"),
    setting("payment.fail_rate", "0", "which share of its calls fails, 0 to 1"),
    setting("payment.decline_rate", "0", "which share of its charges is declined, 0 to 1"),
    setting("alarm.answer_within_ms", "610", "how long a registration waits for the alarm"),
    setting("alarm.timeout_ms", "60000", "how long a call to the alarm may take"),
    setting("alarm.delay_ms", "0", "how long the alarm inside this program takes"),
    setting("alarm.jitter_ms", "0", "how much longer it may take, at random"),
    setting("alarm.fail_rate", "0", "which share of its calls fails, 0 to 1"),
    setting("reservation.pay_within_s", "900", "how long a reservation may stay unpaid"),
    setting("telemetry.log", "warn,gdmarket=info", "which log lines are written"),
    setting("telemetry.format", "auto", "auto, json or pretty"),
    setting("telemetry.core_dumps", "false", "write core dumps, which hold passwords and names"),
];

/// Settings of older programs: accepted, and reported as no longer used.
pub const RETIRED: &[&str] = &["payment.ledger"];

impl Setting {
    /// The setting with this key.
    pub fn of(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }

    /// Its name in the environment.
    pub fn variable(&self) -> String {
        format!("GDMARKET__{}", self.key.replace('.', "__").to_uppercase())
    }
}
