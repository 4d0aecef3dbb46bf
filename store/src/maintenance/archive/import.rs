//! Filling an empty log from an archive: all of it becomes visible at once, or nothing.
//!
//! On PostgreSQL it is one transaction, and the tables are locked against all others until it ends. On SQLite the
//! data folder is locked, and the file of checkpoints is committed before the log: where the process is killed in
//! between, the log is still empty and can be imported into again; in the other order its reactions would run a
//! second time.

mod divider;
mod division;
mod kept_positions;
mod postgres;
mod rows;
mod sqlite;
mod target;

use super::line::Header;
use super::manifest::Manifest;
use super::reader::{ArchiveBatch, ArchiveReader};
use super::{ArchiveError, line};
use crate::log::{Identity, NumberKind};
use crate::options::StoreOptions;
use divider::Divider;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use target::Target;

pub use division::{DividedLog, DividedReader, Division};

/// Facts about the program that continues with the log.
#[derive(Debug, Clone, Copy)]
pub struct ImportOptions<'a> {
    /// Kinds of numbers that are allocated, each with their users: allocation continues after the
    /// highest number in the archive.
    pub numbered: &'a [NumberKind<'a>],
    /// Subscriptions that act on events. They never act on imported events, so that one without a checkpoint
    /// in the archive starts at its end.
    pub acting: &'a [&'a str],
    /// Which subscriptions have state that is derived from the events: their rows of another log are deleted.
    pub is_derived: fn(&str) -> bool,
    /// Where the log is divided: which part of it is filled in. Nothing where the whole log continues.
    pub division: Option<&'a Division>,
}

/// A finished import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The log's identity now, in a new epoch: that of the archive unless the log is divided.
    pub identity: Identity,
    /// The manifest of the archive.
    pub manifest: Manifest,
}

/// Fills the empty log that `options` name, creating its schema if there is none. `progress` is called with
/// the number of events that are written.
pub async fn import(
    options: &StoreOptions,
    settings: ImportOptions<'_>,
    archive: ArchiveReader,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Imported, ArchiveError> {
    let mut target = Target::open(options, settings.is_derived).await?;
    let mut source = ImportSource::new(archive, settings.division, progress);
    match Box::pin(fill(&mut target, settings, &mut source)).await {
        Ok(imported) => {
            target.commit().await?;
            Ok(imported)
        }
        Err(error) => {
            target.abandon().await;
            Err(error)
        }
    }
}

async fn fill(
    target: &mut Target,
    settings: ImportOptions<'_>,
    source: &mut ImportSource<'_>,
) -> Result<Imported, ArchiveError> {
    // The log keeps its id, which events name as their cause. It gets another epoch: a reader that followed it
    // elsewhere must not continue here as if nothing had happened.
    let Header { log_id, epoch, .. } = source.archive.header().clone();
    let before = Identity { log_id, epoch };
    let identity = match settings.division {
        Some(division) => Identity { log_id: division.own.log_id, epoch: epoch + 1 },
        None => Identity { log_id, epoch: epoch + 1 },
    };
    let mut next = source.next().await?;
    let manifest = loop {
        next = match next {
            ArchiveBatch::Events(events) => target.events(events, source).await?,
            ArchiveBatch::Receipts(receipts) => target.receipts(receipts, source).await?,
            ArchiveBatch::End(manifest) => break manifest,
            ArchiveBatch::Checkpoints(mut checkpoints) => {
                let own = |line: &&mut line::CheckpointLine| before.is(&line.source, line.epoch);
                checkpoints.iter_mut().filter(own).for_each(|line| line.epoch = identity.epoch);
                target.checkpoints(&checkpoints).await?;
                source.next().await?
            }
            other => {
                target.rows(&other).await?;
                source.next().await?
            }
        };
    };
    target.checkpoints(&source.unknown(settings.acting, &identity)?).await?;
    target.note_sources(&source.other_logs()).await?;
    target.raise_numbers(&source.highest(settings.numbered)).await?;
    target.raise_numbers_in_use(settings.numbered).await?;
    target.check_sequences().await?;
    target.become_log(&identity, manifest.last_position).await?;
    Ok(Imported { identity, manifest })
}

/// The batches of an archive, and the facts that are remembered of them.
struct ImportSource<'a> {
    archive: ArchiveReader,
    progress: &'a (dyn Fn(u64) + Sync),
    events: u64,
    last_position: i64,
    /// The highest number of each kind of stream.
    highest: BTreeMap<String, i64>,
    /// The subscriptions that the archive has a checkpoint of.
    known: BTreeSet<String>,
    divider: Option<Divider<'a>>,
    /// What is left of the last batch.
    divided: VecDeque<ArchiveBatch>,
}

impl<'a> ImportSource<'a> {
    fn new(
        archive: ArchiveReader,
        division: Option<&'a Division>,
        progress: &'a (dyn Fn(u64) + Sync),
    ) -> Self {
        let Header { log_id, epoch, .. } = *archive.header();
        let divider = division.map(|division| Divider::new(division, Identity { log_id, epoch }));
        Self {
            archive,
            progress,
            events: 0,
            last_position: 0,
            highest: BTreeMap::new(),
            known: BTreeSet::new(),
            divider,
            divided: VecDeque::new(),
        }
    }

    /// The next batch of what the log gets; the batches before it are written by now.
    async fn next(&mut self) -> Result<ArchiveBatch, ArchiveError> {
        loop {
            if let Some(batch) = self.divided.pop_front() {
                return Ok(batch);
            }
            let batch = self.receive().await?;
            match &mut self.divider {
                Some(divider) => self.divided.extend(divider.own_part(batch)?),
                None => return Ok(batch),
            }
        }
    }

    /// The next batch of the archive, whose facts are noted.
    async fn receive(&mut self) -> Result<ArchiveBatch, ArchiveError> {
        (self.progress)(self.events);
        let gone = || std::io::Error::other("the thread that reads it is gone");
        let batch = self.archive.batches.recv().await.ok_or_else(gone)??;
        match &batch {
            ArchiveBatch::Events(events) => {
                self.events += u64::try_from(events.len()).unwrap_or(0);
                for event in events {
                    self.last_position = event.position;
                    self.note_number(&event.stream.kind, event.stream.number);
                }
            }
            ArchiveBatch::Receipts(receipts) => {
                for receipt in receipts {
                    self.note_number(&receipt.stream.kind, receipt.stream.number);
                }
            }
            ArchiveBatch::Checkpoints(checkpoints) => {
                self.check(checkpoints)?;
                self.known.extend(checkpoints.iter().map(|line| line.subscription.clone()));
            }
            _ => {}
        }
        Ok(batch)
    }

    fn note_number(&mut self, kind: &str, number: i64) {
        match self.highest.get_mut(kind) {
            Some(highest) => *highest = number.max(*highest),
            None => drop(self.highest.insert(kind.to_owned(), number)),
        }
    }

    /// A checkpoint of this log that is past its last event would skip the next ones.
    fn check(&self, checkpoints: &[line::CheckpointLine]) -> Result<(), ArchiveError> {
        let log_id = self.archive.header().log_id.to_string();
        let past = |line: &&line::CheckpointLine| {
            line.source == log_id && line.position > self.last_position
        };
        checkpoints.iter().find(past).map_or(Ok(()), |line| {
            Err(ArchiveError::Contradiction(format!(
                "the checkpoint of {} is {}, past the last event {}",
                line.subscription, line.position, self.last_position
            )))
        })
    }

    /// Checkpoints at the end for those that the archive has none of.
    fn unknown(
        &self,
        acting: &[&str],
        identity: &Identity,
    ) -> Result<Vec<line::CheckpointLine>, ArchiveError> {
        let mut lines = vec![];
        for name in acting.iter().filter(|name| !self.known.contains(**name)) {
            match &self.divider {
                Some(divider) => lines.extend(divider.in_every_log(name, self.last_position)?),
                None => lines.push(line::CheckpointLine {
                    subscription: (*name).to_owned(),
                    source: identity.log_id.to_string(),
                    epoch: identity.epoch,
                    position: self.last_position,
                }),
            }
        }
        Ok(lines)
    }

    /// The other logs that a divided log's subscriptions read, by the names of their services.
    fn other_logs(&self) -> Vec<(&'static str, Identity)> {
        self.divider.as_ref().map(Divider::sources).unwrap_or_default()
    }

    /// The highest number of a stream of each of these kinds that is in the archive.
    fn highest(&self, numbered: &[NumberKind<'_>]) -> Vec<line::NumberLine> {
        let highest = |of: &NumberKind<'_>| {
            let types = of.stream_types.iter();
            let last = types.filter_map(|stream_type| self.highest.get(*stream_type)).max()?;
            Some(line::NumberLine { kind: of.kind.to_owned(), last: *last })
        };
        numbered.iter().filter_map(highest).collect()
    }
}
