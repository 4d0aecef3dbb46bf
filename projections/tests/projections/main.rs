//! Views, process managers and inspection on both engines: repeated delivery, crashes, broken events, fenced
//! runners, deadlines, and the answers of queries.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that can't continue fails")]

#[cfg(feature = "failpoints")]
mod background_crashes;
#[cfg(feature = "failpoints")]
mod crash;
mod deadlines;
mod delivery;
mod golden;
mod inspection;
#[cfg(feature = "failpoints")]
mod killed_runners;
#[cfg(feature = "failpoints")]
mod killed_sources;
mod market;
mod parked;
mod plain_sql;
mod queued_events;
mod rebuild;
mod runners;
mod scenario;
mod sources;
mod test_feed;
mod test_port;
mod views;
