//! What a process manager is: a table from events and deadlines to what is to be done, without state.
//!
//! Reading, sending, retrying and parking are [`crate::reactor`]'s; a manager only says what follows
//! from what, so every table can be read and tested as one.

use crate::refusal::Rule;
use chrono::{DateTime, Utc};
use gdmarket_domain::{MarketCommand, MarketEvent, PaymentNo};
use serde_json::Value;
use std::time::Duration;

/// A table of reactions.
pub(crate) trait Manager: Send + Sync + 'static {
    /// Its name: actor of its commands, name of its subscription, part of its command ids.
    fn name(&self) -> &'static str;

    /// The aggregates whose events it reads.
    fn sources(&self) -> &'static [&'static str];

    /// Whether it also parks the rows of the log that are of no aggregate that this program knows: one
    /// manager does, so that each is parked once.
    fn parks_unknown(&self) -> bool {
        false
    }

    /// What follows from an event, if anything does.
    fn react(&self, event: &MarketEvent, moment: Moment) -> Option<Reactions>;

    /// What follows from a deadline that is due; `None` if its row can't be read.
    fn due(&self, key: &str, data: &Value, moment: Moment) -> Option<Due>;
}

/// The time that a reaction may speak of. What time it is on the server is no reaction's concern.
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
pub(crate) struct Reactions {
    /// Events of one turn are reacted to one after another.
    pub(crate) turn: String,
    /// What parks alone when it can't go on: never more than one turn.
    pub(crate) key: String,
    /// Whether its order among neighbours of the same kind in its turn is nobody's concern: many who
    /// want one item at once are then answered at once.
    pub(crate) abreast: bool,
    /// What is to be done, in order.
    pub(crate) steps: Vec<Reaction>,
}

impl Reactions {
    /// One reaction, whose turn is its key.
    pub(crate) fn of(key: String, step: Reaction) -> Self {
        Self { turn: key.clone(), key, abreast: false, steps: vec![step] }
    }
}

/// One thing to be done.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reaction {
    /// Send something.
    Do(Step),
    /// Have [`Manager::due`] called at a time; a deadline of the same key is replaced.
    SetDeadline { key: String, due_at: DateTime<Utc>, data: Value },
    /// Forget a deadline.
    ClearDeadline { key: String },
}

/// Something that goes through the port.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// A command, and the row of the table that says what its refusal means.
    Send(Rule, MarketCommand),
    /// Give an attempt's money back; may take long, so it never holds up its batch.
    Refund(PaymentNo),
    /// Ask for an attempt's outcome.
    Settle(PaymentNo),
}

impl Step {
    /// Which row of the table of refusals counts.
    pub(crate) const fn rule(&self) -> Rule {
        match self {
            Self::Send(rule, _) => *rule,
            Self::Refund(_) => Rule::Refund,
            Self::Settle(_) => Rule::Settle,
        }
    }

    /// Whether it is done beside the batches, as work that waits in the database.
    pub(crate) const fn takes_long(&self) -> bool {
        match self {
            Self::Refund(_) => true,
            Self::Send(..) | Self::Settle(_) => false,
        }
    }
}

/// What follows from a deadline.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Due {
    /// What is to be done, in order.
    pub(crate) steps: Vec<Step>,
    /// How long from now it is due again, by the database's clock, and with which data; never, if `None`.
    pub(crate) again: Option<(Duration, Value)>,
}
