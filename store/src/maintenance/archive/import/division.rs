//! Filling a log with its part of an archive whose log is divided: each new log gets the streams of its aggregates, and
//! each subscriber continues in every log that it reads where it was in the one log.
//!
//! Positions stay as they were, so that one checkpoint becomes one per log: the last event of that log up to it. Parked
//! keys, the events behind them and deadlines go to the subscription at the log of their event.

use super::ArchiveBatch;
use crate::log::{Identity, RecordedEvent};
use crate::maintenance::archive::ArchiveError;
use crate::maintenance::archive::line::{
    CheckpointLine, DeadlineLine, DroppedLine, ParkedLine, WaitingLine,
};
use crate::subscription::SubscriptionId;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// How many positions are remembered of each log at least; what a subscriber has not read must be among them.
const REMEMBERED: usize = 1_000_000;

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
    /// Its id, which is the same whoever computes it.
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

/// The positions of the events of one of the logs, the latest of them.
#[derive(Debug, Default)]
struct Positions {
    latest: Vec<i64>,
    are_all: bool,
}

impl Positions {
    fn add(&mut self, position: i64) {
        if self.latest.len() == 2 * REMEMBERED {
            self.latest.drain(..REMEMBERED);
            self.are_all = false;
        }
        self.latest.push(position);
    }

    /// The last one up to this position; 0 if there is none, nothing if it is too long ago.
    fn up_to(&self, position: i64) -> Option<i64> {
        let count = self.latest.partition_point(|of| *of <= position);
        let found = count.checked_sub(1).and_then(|index| self.latest.get(index).copied());
        found.or_else(|| self.are_all.then_some(0))
    }

    fn contains(&self, position: i64) -> bool {
        self.latest.binary_search(&position).is_ok()
    }
}

/// A division while its archive is read.
pub(super) struct Divider<'a> {
    division: &'a Division,
    before: Identity,
    /// Of the own log, then of the others.
    positions: Vec<Positions>,
    /// The parked keys by subscription and key, each at the log of its first event.
    parked: BTreeMap<(String, String), ParkedLine>,
    /// The subscriptions and keys that are parked in the log that is filled.
    placed: BTreeSet<(String, String)>,
}

impl<'a> Divider<'a> {
    pub(super) fn new(division: &'a Division, before: Identity) -> Self {
        let positions = || Positions { latest: vec![], are_all: true };
        Self {
            division,
            before,
            positions: (0..=division.others.len()).map(|_| positions()).collect(),
            parked: BTreeMap::new(),
            placed: BTreeSet::new(),
        }
    }

    /// The logs, the own one first, each in the new epoch with the positions of its events.
    fn logs(&self) -> impl Iterator<Item = (&'a DividedLog, &Positions)> {
        std::iter::once(&self.division.own).chain(&self.division.others).zip(&self.positions)
    }

    /// The identity of one of the logs, once its own import has raised its epoch.
    pub(super) const fn identity(&self, log: &DividedLog) -> Identity {
        Identity { log_id: log.log_id, epoch: self.before.epoch + 1 }
    }

    /// The other logs, by the names of their services.
    pub(super) fn sources(&self) -> Vec<(&'static str, Identity)> {
        self.division.others.iter().map(|log| (log.name, self.identity(log))).collect()
    }

    /// What of a batch belongs to the log that is filled, in batches of the same order.
    pub(super) fn own_part(
        &mut self,
        batch: ArchiveBatch,
    ) -> Result<Vec<ArchiveBatch>, ArchiveError> {
        let own = &self.division.own.aggregates;
        Ok(vec![match batch {
            ArchiveBatch::Events(mut events) => {
                for event in &events {
                    self.note(event)?;
                }
                events.retain(|event| own.contains(event.stream.kind.as_ref()));
                ArchiveBatch::Events(events)
            }
            ArchiveBatch::Receipts(mut receipts) => {
                receipts.retain(|receipt| own.contains(receipt.stream.kind.as_ref()));
                ArchiveBatch::Receipts(receipts)
            }
            ArchiveBatch::Names(mut names) => {
                names.retain(|name| own.contains(name.aggregate.as_ref()));
                ArchiveBatch::Names(names)
            }
            ArchiveBatch::WriteOnceRecords(_) if !self.division.has_books => return Ok(vec![]),
            ArchiveBatch::Deadlines(lines) => ArchiveBatch::Deadlines(self.deadlines(lines)?),
            ArchiveBatch::Checkpoints(lines) => {
                ArchiveBatch::Checkpoints(self.checkpoints(&lines)?)
            }
            ArchiveBatch::Parked(lines) => ArchiveBatch::Parked(self.parked(lines)?),
            ArchiveBatch::Waiting(lines) => return self.waiting(lines),
            ArchiveBatch::Dropped(lines) => ArchiveBatch::Dropped(self.dropped(lines)?),
            other => other,
        }])
    }

    /// Remembers which log an event goes to.
    fn note(&mut self, event: &RecordedEvent) -> Result<(), ArchiveError> {
        let aggregate = event.stream.kind.as_ref();
        let index = self.logs().position(|(log, _)| log.aggregates.contains(aggregate));
        let positions = index.and_then(|index| self.positions.get_mut(index));
        positions.ok_or_else(|| unknown(aggregate))?.add(event.position);
        Ok(())
    }

    /// Where the subscriptions that continue here are in each log that they read.
    fn checkpoints(&self, lines: &[CheckpointLine]) -> Result<Vec<CheckpointLine>, ArchiveError> {
        let mut divided = vec![];
        for line in lines {
            if !self.before.is(&line.source, line.epoch) {
                let fault = format!(
                    "{} has read the log {} too, so this log is one of several already",
                    line.subscription, line.source
                );
                return Err(ArchiveError::Contradiction(fault));
            }
            divided.extend(self.in_every_log(&line.subscription, line.position)?);
        }
        Ok(divided)
    }

    /// The checkpoints of a subscription that has read everything up to a position.
    pub(super) fn in_every_log(
        &self,
        subscription: &str,
        position: i64,
    ) -> Result<Vec<CheckpointLine>, ArchiveError> {
        let Some(reader) = self.reader(subscription) else { return Ok(vec![]) };
        let read = self.logs().filter(|(log, _)| reads(reader, log));
        read.map(|(log, positions)| {
            let reached =
                positions.up_to(position).ok_or_else(|| too_far(subscription, position))?;
            let Identity { log_id, epoch } = self.identity(log);
            let source = log_id.to_string();
            Ok(CheckpointLine {
                subscription: subscription.to_owned(),
                source,
                epoch,
                position: reached,
            })
        })
        .collect()
    }

    fn reader(&self, subscription: &str) -> Option<&'a DividedReader> {
        self.division.readers.iter().find(|reader| reader.name == subscription)
    }

    /// The name of a subscription at the log of an event; none if it doesn't continue here.
    fn at_log_of(&self, subscription: &str, position: i64) -> Result<Option<String>, ArchiveError> {
        if self.reader(subscription).is_none() {
            return Ok(None);
        }
        let mut logs = self.logs().enumerate();
        let found = logs.find(|(_, (_, positions))| positions.contains(position));
        let (index, (log, _)) = found.ok_or_else(|| too_far(subscription, position))?;
        let source = (index > 0).then_some(log.name);
        Ok(Some(SubscriptionId::new(subscription, source).to_string()))
    }

    fn deadlines(&self, lines: Vec<DeadlineLine>) -> Result<Vec<DeadlineLine>, ArchiveError> {
        let mut own = vec![];
        for line in lines {
            let position = (self.division.deadline_position)(&line.payload);
            if let Some(manager) = self.at_log_of(&line.manager, position)? {
                own.push(DeadlineLine { manager, ..line });
            }
        }
        Ok(own)
    }

    fn parked(&mut self, lines: Vec<ParkedLine>) -> Result<Vec<ParkedLine>, ArchiveError> {
        let mut own = vec![];
        for line in lines {
            let before = (line.subscription.clone(), line.key.clone());
            let Some(subscription) = self.at_log_of(&line.subscription, line.since_position)?
            else {
                continue;
            };
            let line = ParkedLine { subscription, ..line };
            self.placed.insert((line.subscription.clone(), line.key.clone()));
            self.parked.insert(before, line.clone());
            own.push(line);
        }
        Ok(own)
    }

    /// The events behind parked keys. A key whose events are in several logs is parked at each of them.
    fn waiting(&mut self, lines: Vec<WaitingLine>) -> Result<Vec<ArchiveBatch>, ArchiveError> {
        let (mut parked, mut own) = (vec![], vec![]);
        for line in lines {
            let Some(subscription) = self.at_log_of(&line.subscription, line.position)? else {
                continue;
            };
            let first = self.parked.get(&(line.subscription, line.key.clone()));
            if let Some(first) = first
                && self.placed.insert((subscription.clone(), line.key.clone()))
            {
                let (since_position, subscription) = (line.position, subscription.clone());
                parked.push(ParkedLine { subscription, since_position, ..first.clone() });
            }
            own.push(WaitingLine { subscription, ..line });
        }
        Ok(vec![ArchiveBatch::Parked(parked), ArchiveBatch::Waiting(own)])
    }

    fn dropped(&self, lines: Vec<DroppedLine>) -> Result<Vec<DroppedLine>, ArchiveError> {
        let mut own = vec![];
        for line in lines {
            if let Some(subscription) = self.at_log_of(&line.subscription, line.position)? {
                own.push(DroppedLine { subscription, ..line });
            }
        }
        Ok(own)
    }
}

fn reads(reader: &DividedReader, log: &DividedLog) -> bool {
    reader.aggregates.iter().any(|aggregate| log.aggregates.contains(aggregate))
}

fn unknown(aggregate: &str) -> ArchiveError {
    ArchiveError::Contradiction(format!("no log of the division takes the streams of {aggregate}"))
}

fn too_far(subscription: &str, position: i64) -> ArchiveError {
    ArchiveError::Contradiction(format!(
        "{subscription} refers to position {position}, and only the last {REMEMBERED} events of each log are \
         remembered: let the market catch up, and export it again"
    ))
}
