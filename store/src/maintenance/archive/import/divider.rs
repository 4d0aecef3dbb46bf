//! Filling a log with its part of an archive whose log is divided: each new log gets the streams of its aggregates, and
//! each subscriber continues in every log that it reads where it was in the one log.
//!
//! Positions stay as they were, so that one checkpoint becomes one per log: the last event of that log up to it. Parked
//! keys, the events behind them and deadlines go to the subscription at the log of their event.

mod open_work;

use super::ArchiveBatch;
use super::division::{DividedLog, DividedReader, Division};
use super::kept_positions::{KEPT, KeptPositions};
use crate::log::{Identity, RecordedEvent};
use crate::maintenance::archive::ArchiveError;
use crate::maintenance::archive::line::{CheckpointLine, ParkedLine};
use crate::subscription::SubscriptionId;
use std::collections::{BTreeMap, BTreeSet};

/// A division while its archive is read.
pub(super) struct Divider<'a> {
    division: &'a Division,
    before: Identity,
    /// Of the own log, then of the others.
    positions: Vec<KeptPositions>,
    /// The parked keys by subscription and key, each at the log of its first event.
    parked: BTreeMap<(String, String), ParkedLine>,
    /// The subscriptions and keys that are parked in the log that is filled.
    placed: BTreeSet<(String, String)>,
}

impl<'a> Divider<'a> {
    pub(super) fn new(division: &'a Division, before: Identity) -> Self {
        Self {
            division,
            before,
            positions: (0..=division.others.len()).map(|_| KeptPositions::default()).collect(),
            parked: BTreeMap::new(),
            placed: BTreeSet::new(),
        }
    }

    /// The logs, the own one first, each in the new epoch with the positions of its events.
    fn logs(&self) -> impl Iterator<Item = (&'a DividedLog, &KeptPositions)> {
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
}

fn reads(reader: &DividedReader, log: &DividedLog) -> bool {
    reader.aggregates.iter().any(|aggregate| log.aggregates.contains(aggregate))
}

fn unknown(aggregate: &str) -> ArchiveError {
    ArchiveError::Contradiction(format!("no log of the division takes the streams of {aggregate}"))
}

fn too_far(subscription: &str, position: i64) -> ArchiveError {
    ArchiveError::Contradiction(format!(
        "{subscription} refers to position {position}, and only the last {KEPT} events of each log are \
         remembered: let the market catch up, and export it again"
    ))
}
