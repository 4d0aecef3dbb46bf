//! Helpers of the tests, never part of the program: throw-away databases on both engines
//! ([`TestDb`], [`on_each_engine!`]), a PostgreSQL server that a test may stop ([`PgCluster`]), the real
//! program as a child process ([`Server`]) or as several with a service each ([`SplitMarket`]), the gateway in front
//! of it ([`Gateway`]), the payment provider behind it ([`ProviderProcess`]), a NATS server ([`NatsServer`]), a record
//! of a program's syncs ([`Syncs`]), damaged pages ([`DamagedPages`]), and waiting for a condition
//! ([`eventually()`]).
//!
//! The crate depends on no other crate of the workspace, so all of them may use it in their tests.
//! A test whose prerequisite is missing fails and says what to install; it is never skipped.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a helper that can't do its work fails its test"
)]

mod checkers;
mod damage;
mod each_engine;
mod environment;
mod eventually;
mod foreign_writer;
mod gateway;
mod http_probe;
mod keys_file;
mod log_event;
mod market_client;
mod nats_server;
mod pg_bouncer;
mod pg_cluster;
mod provider_process;
mod random_choices;
mod rental_load;
mod request_ledger;
mod server;
mod split_market;
mod syncs;
mod test_db;

pub use checkers::{
    Attempt, ProviderEntry, alarm_violations, all_resources, assert_detects_wrong_charges,
    attempts, charge_errors, closed, difference, hold_violations, open_sagas, order_violations,
    unfinished_subscriptions, unpaid,
};
pub use damage::{DamagedPages, POSTGRES_PAGE, SQLITE_PAGE};
pub use each_engine::run;
pub use environment::{Account, TEST_DATABASE_URL, free_port, note, seed, size, times};
pub use eventually::eventually;
pub use foreign_writer::ForeignWriter;
pub use gateway::{Gateway, ServiceAddresses};
pub use http_probe::get_status;
pub use keys_file::KeysFile;
pub use log_event::{LogEvent, StreamName, joined};
pub use market_client::{Answer, MarketClient};
pub use nats_server::NatsServer;
pub use pg_bouncer::PgBouncer;
pub use pg_cluster::PgCluster;
pub use provider_process::ProviderProcess;
pub use random_choices::seeded_rng;
pub use rental_load::{CommandId, LoadOptions, Mix, RentalLoad};
pub use request_ledger::{Outcome, RequestLedger, assert_detects_lost_and_duplicated_commands};
pub use server::{Server, ServerOptions};
pub use split_market::{SERVICES, SplitMarket, SplitMarketOptions};
pub use syncs::Syncs;
pub use test_db::{Engine, TestDb};
