//! A process manager: a table from events and deadlines to reactions, without state.
//!
//! The reactor reads, sends, retries and parks; a manager only returns the reactions to an event, so that
//! its table can be read and tested as one.

use chrono::{DateTime, Utc};
use gdmarket_domain::MarketEvent;
use serde_json::Value;
use std::fmt::Debug;
use std::time::Duration;

/// A table of reactions.
pub(crate) trait Manager: Send + Sync + 'static {
    /// The steps that it takes.
    type Step: ProcessStep;

    /// The manager's name: the actor of its commands, the name of its subscription, part of its command ids.
    fn name(&self) -> &'static str;

    /// The aggregates whose events it reads.
    fn sources(&self) -> &'static [&'static str];

    /// The reactions to an event, if there are any.
    fn react(&self, event: &MarketEvent, moment: Moment) -> Option<Reactions<Self::Step>>;

    /// The reactions to a deadline that is due; `None` if its row can't be read.
    fn due(&self, key: &str, data: &Value, moment: Moment) -> Option<Due<Self::Step>>;

    /// The remedy for the refusal of a step, by the code of the refusal.
    fn compensate(&self, step: &Self::Step, refusal: &str) -> Remedy<Self::Step>;
}

/// An action of a manager, taken through a [`super::Port`].
pub(crate) trait ProcessStep: Debug + Clone + PartialEq + Send + Sync + 'static {
    /// Whether it runs in the background of the batches, as work that is queued in the database.
    fn takes_long(&self) -> bool;
}

/// The remedy for the refusal of a step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Remedy<S> {
    /// Nothing: another event made the step unnecessary, or will.
    Done,
    /// Another step is taken, under the command id of the refused one.
    Compensate {
        step: S,
        /// The text that is reported if that step is refused, too.
        refused: &'static str,
    },
    /// It needs manual action; the text describes the refusal.
    Park(String),
}

/// The time that a reaction may use. It is never the server's current time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// When the event was recorded, or the deadline was due, by the database's clock: the same at every
    /// delivery.
    pub(crate) recorded_at: DateTime<Utc>,
}

impl Moment {
    /// The moment of an event or a deadline, from the database's microseconds.
    pub(crate) fn of(recorded_at: i64) -> Self {
        Self { recorded_at: DateTime::from_timestamp_micros(recorded_at).unwrap_or_default() }
    }
}

/// The reactions to one event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reactions<S> {
    /// Events of one partition are handled one after another.
    pub(crate) partition: String,
    /// The key that is parked when a reaction is blocked: a part of one partition.
    pub(crate) key: String,
    /// Whether it may run concurrently with such neighbours in its partition, since their order has no
    /// meaning.
    pub(crate) is_concurrent: bool,
    /// The reactions, in order.
    pub(crate) steps: Vec<Reaction<S>>,
}

impl<S> Reactions<S> {
    /// One reaction, whose partition is its key.
    pub(crate) fn of(key: String, step: Reaction<S>) -> Self {
        Self { partition: key.clone(), key, is_concurrent: false, steps: vec![step] }
    }
}

/// One reaction.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reaction<S> {
    /// Takes a step.
    Do(S),
    /// Calls [`Manager::due`] at a time; replaces a deadline of the same key.
    SetDeadline { key: String, due_at: DateTime<Utc>, data: Value },
    /// Clears a deadline.
    ClearDeadline { key: String },
}

/// The reactions to a deadline.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Due<S> {
    /// The steps, in order.
    pub(crate) steps: Vec<S>,
    /// After which time, by the database's clock, it is due again, and with which data; `None` for never.
    pub(crate) again: Option<(Duration, Value)>,
}
