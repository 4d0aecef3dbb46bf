//! The read side and the reactions, on both engines: what is delivered twice, cut off, poisoned,
//! overtaken or late, and what is told in the end.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on fails")]

#[cfg(feature = "failpoints")]
mod crash;
mod deadlines;
mod delivery;
#[cfg(feature = "failpoints")]
mod dies_beside;
mod golden;
#[cfg(feature = "failpoints")]
mod killed;
mod looking;
mod market;
mod parked;
mod plain_sql;
mod port;
mod queued;
mod replay;
mod runners;
mod story;
mod views;
