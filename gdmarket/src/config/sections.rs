//! The sections of the configuration, each read key by key. A section with a fault is none, and its
//! other keys are read all the same.

use super::sources::Reader;
use super::values::{flag, list, log_filter, log_format, parsed, share, within};
use super::{
    Config, Database, DatabaseUrl, Market, Outside, Payment, Reservation, Server, Telemetry,
};
use gdmarket_api::HttpOptions;
use std::borrow::Cow;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;

/// No waiting time is longer than a day.
const MAX_MS: u64 = 86_400_000;

impl Reader {
    fn millis(&mut self, key: &str) -> Option<Duration> {
        self.read(key, |text| within(text, 0, MAX_MS)).map(Duration::from_millis)
    }

    fn outside(&mut self, section: &str) -> Option<Outside> {
        let answer_within = self.millis(&format!("{section}.answer_within_ms"));
        let timeout = self.millis(&format!("{section}.timeout_ms"));
        let delay = self.millis(&format!("{section}.delay_ms"));
        let jitter = self.millis(&format!("{section}.jitter_ms"));
        let fail_rate = self.read(&format!("{section}.fail_rate"), share);
        Some(Outside {
            answer_within: answer_within?,
            timeout: timeout?,
            delay: delay?,
            jitter: jitter?,
            fail_rate: fail_rate?,
        })
    }

    fn payment(&mut self, server: Option<&Server>) -> Option<Payment> {
        let gateway = self.outside("payment");
        let decline_rate = self.read("payment.decline_rate", share);
        let in_folder = server?.data_dir.join("payments.ledger");
        let (named, ledger_set_by) = self.retired("payment.ledger").unzip();
        let old_ledgers = named.map(PathBuf::from).into_iter().chain([in_folder]).collect();
        let decline_rate = decline_rate?;
        Some(Payment { gateway: gateway?, decline_rate, old_ledgers, ledger_set_by })
    }

    fn server(&mut self) -> Option<Server> {
        let listen = self.read("server.listen", |text| {
            parsed(text, "must be an address and a port, like 127.0.0.1:8080")
        });
        let allow_open = self.read("server.allow_open", flag);
        let hosts = self.read("server.hosts", |text| Ok(list(text)));
        let data_dir = self.read("server.data_dir", |text| match text {
            "" => Err("must name a folder".to_owned()),
            text => Ok(PathBuf::from(text)),
        });
        let migrate = self.read("server.migrate", flag);
        let drain_delay = self.millis("server.drain_delay_ms");
        let finish_within = self.millis("server.finish_within_ms");
        let request_timeout = self.millis("server.request_timeout_ms");
        let connections = self.read("server.connections", |text| within(text, 1, 65_536));
        let share = self.read("server.address_share_percent", |text| within(text, 1, 100));
        let keep_alive = self.millis("server.keep_alive_ms");
        let stalled_reader = self
            .read("server.stalled_reader_ms", |text| within(text, 1_000, MAX_MS))
            .map(Duration::from_millis);
        let reading = self.read("server.reading", |text| within(text, 1, 65_536));
        let waiting = self.read("server.waiting", |text| within(text, 1, 65_536));
        let concurrency = self.read("server.concurrency", |text| within(text, 1, 65_536));
        let event_streams = self.read("server.event_streams", |text| within(text, 0, 65_536));
        let http = HttpOptions {
            allow_open: allow_open?,
            hosts: hosts?,
            drain_delay: drain_delay?,
            finish_within: finish_within?,
            request_timeout: request_timeout?,
            connections: usize::try_from(connections?).ok()?,
            address_share_percent: usize::try_from(share?).ok()?,
            keep_alive: keep_alive?,
            stalled_reader: stalled_reader?,
            reading: usize::try_from(reading?).ok()?,
            waiting: usize::try_from(waiting?).ok()?,
            concurrency: usize::try_from(concurrency?).ok()?,
            event_streams: usize::try_from(event_streams?).ok()?,
        };
        Some(Server { listen: listen?, data_dir: data_dir?, migrate: migrate?, http })
    }

    fn database(&mut self) -> Option<Database> {
        let url = self.read("database.url", |text| match text {
            "" => Ok(None),
            text => DatabaseUrl::from_str(text).map(Some).map_err(Cow::into_owned),
        });
        let read_connections = self.read("database.read_connections", |t| within(t, 1, 1_000));
        let cache_entries = self.read("database.cache_entries", |t| within(t, 1, 100_000_000));
        Some(Database {
            url: url?,
            read_connections: u32::try_from(read_connections?).ok()?,
            cache_entries: cache_entries?,
        })
    }

    pub(super) fn config(&mut self) -> Option<Config> {
        let server = self.server();
        let database = self.database();
        let time_zone = self
            .read("market.time_zone", |text| parsed(text, "must be a time zone, like Asia/Seoul"));
        let payment = self.payment(server.as_ref());
        let alarm = self.outside("alarm");
        let pay_within = self.read("reservation.pay_within_s", |t| within(t, 1, 31_536_000));
        let log = self.read("telemetry.log", log_filter);
        let format = self.read("telemetry.format", log_format);
        let core_dumps = self.read("telemetry.core_dumps", flag);
        Some(Config {
            server: server?,
            database: database?,
            market: Market { time_zone: time_zone? },
            payment: payment?,
            alarm: alarm?,
            reservation: Reservation { pay_within: Duration::from_secs(pay_within?) },
            telemetry: Telemetry { log: log?, format: format?, core_dumps: core_dumps? },
        })
    }
}
