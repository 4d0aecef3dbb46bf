//! How a log is divided into several: which log gets which streams, and which subscriptions continue in the one that is filled.

use std::collections::BTreeSet;
use uuid::Uuid;

/// How a log is divided, from the side of one of the new logs.
#[derive(Debug, Clone)]
pub struct Division {
    /// The log that is filled.
    pub own: DividedLog,
    /// The others.
    pub others: Vec<DividedLog>,
    /// The subscriptions that act on events and continue here.
    pub readers: Vec<DividedReader>,
    /// Whether the records that are written once go along.
    pub has_books: bool,
    /// The position of the event that set a deadline, from the deadline's payload.
    pub deadline_position: fn(&str) -> i64,
}

/// One of the logs that a log is divided into.
#[derive(Debug, Clone)]
pub struct DividedLog {
    /// The service by whose name other services know it.
    pub name: &'static str,
    /// Its id, which every import of the same archive computes alike.
    pub log_id: Uuid,
    /// The types of its streams.
    pub aggregates: BTreeSet<&'static str>,
}

/// A subscription that acts on events, and what it reads.
#[derive(Debug, Clone, Copy)]
pub struct DividedReader {
    /// Its name in the log that is divided.
    pub name: &'static str,
    /// The types of the streams that it reads.
    pub aggregates: &'static [&'static str],
}
