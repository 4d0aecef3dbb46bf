//! What a process manager is: a table from events and deadlines to what is to be done, without state.
//!
//! The reactor reads, sends, retries and parks; a manager only returns what follows from what, so that
//! every table can be read and tested as one.

use chrono::{DateTime, Utc};
use gdmarket_domain::MarketEvent;
use serde_json::Value;
use std::fmt::Debug;
use std::time::Duration;

/// A table of reactions.
pub(crate) trait Manager: Send + Sync + 'static {
    /// What it does.
    type Step: ProcessStep;

    /// Its name: actor of its commands, name of its subscription, part of its command ids.
    fn name(&self) -> &'static str;

    /// The aggregates whose events it reads.
    fn sources(&self) -> &'static [&'static str];

    /// Whether it also parks the rows of the log whose aggregate this program doesn't know: one manager
    /// does, so that each is parked once.
    fn parks_unknown(&self) -> bool {
        false
    }

    /// What follows from an event, if anything does.
    fn react(&self, event: &MarketEvent, moment: Moment) -> Option<Reactions<Self::Step>>;

    /// What follows from a deadline that is due; `None` if its row can't be read.
    fn due(&self, key: &str, data: &Value, moment: Moment) -> Option<Due<Self::Step>>;

    /// What makes up for the refusal of a step, given by its code.
    fn compensate(&self, step: &Self::Step, refusal: &str) -> Remedy<Self::Step>;
}

/// Something that a manager does through a [`super::Port`].
pub(crate) trait ProcessStep: Debug + Clone + PartialEq + Send + Sync + 'static {
    /// Whether it is done in the background of the batches, as work that waits in the database.
    fn takes_long(&self) -> bool;
}

/// What is done about the refusal of a step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Remedy<S> {
    /// Nothing: something else has happened, or is on its way.
    Done,
    /// Another step is taken, under the command id of the one that was refused.
    Compensate {
        step: S,
        /// What is reported if that step is refused, too.
        refused: &'static str,
    },
    /// It needs manual action; the text says what was refused.
    Park(String),
}

/// The time that a reaction may use; the server's current time is none of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// When the event was recorded, or the deadline was due, by the database's clock: the same at every
    /// delivery.
    pub(crate) recorded_at: DateTime<Utc>,
}

impl Moment {
    /// Of an event or a deadline as the database has it, in microseconds.
    pub(crate) fn of(recorded_at: i64) -> Self {
        Self { recorded_at: DateTime::from_timestamp_micros(recorded_at).unwrap_or_default() }
    }
}

/// What follows from one event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reactions<S> {
    /// The events of one partition of a batch are reacted to one after another.
    pub(crate) partition: String,
    /// What is parked alone when it is blocked: never more than one partition.
    pub(crate) key: String,
    /// Whether neighbours of the same kind in its partition may be reacted to concurrently: their order
    /// has no meaning.
    pub(crate) is_concurrent: bool,
    /// What is to be done, in order.
    pub(crate) steps: Vec<Reaction<S>>,
}

impl<S> Reactions<S> {
    /// One reaction, whose partition is its key.
    pub(crate) fn of(key: String, step: Reaction<S>) -> Self {
        Self { partition: key.clone(), key, is_concurrent: false, steps: vec![step] }
    }
}

/// One thing to be done.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reaction<S> {
    /// Take a step.
    Do(S),
    /// Have [`Manager::due`] called at a time; a deadline of the same key is replaced.
    SetDeadline { key: String, due_at: DateTime<Utc>, data: Value },
    /// Forget a deadline.
    ClearDeadline { key: String },
}

/// What follows from a deadline.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Due<S> {
    /// What is to be done, in order.
    pub(crate) steps: Vec<S>,
    /// In how long it is due again, by the database's clock, and with which data; never, if `None`.
    pub(crate) again: Option<(Duration, Value)>,
}
