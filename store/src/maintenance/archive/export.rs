//! Reads one snapshot of everything that is needed to continue elsewhere, in parts of bounded size.
//!
//! No checkpoint in it is further than its events. On SQLite one may be behind by what happened between two reads:
//! after an import these events are reacted to again, under the same command ids.
//!
//! On SQLite a snapshot keeps the write-ahead log from being checkpointed, and a reader of the archive may be slow.
//! So everything but the events is written to a temporary file first, and the snapshot ends with that; events never
//! change, and are read a page at a time.

mod parts;
mod spool;

use super::chain::Chain;
use super::line::{ArchiveLine, Header};
use super::manifest::Manifest;
use super::sequences::{Gap, Sequences};
use super::{ArchiveError, FORMAT, FORMAT_VERSION};
use crate::db::{Db, Tx};
use crate::error::StoreError;
use crate::log::Identity;
use crate::maintenance::snapshot::Snapshot;
use crate::on_tx;
use parts::ArchivePart;
use spool::Spool;

/// The parts of an export in addition to events and receipts.
#[derive(Debug, Clone, Copy)]
pub struct ExportOptions {
    /// Whether names of persons are written too.
    pub with_personal_data: bool,
    /// Which subscriptions are left out, since their state is derived from the events.
    pub is_derived: fn(&str) -> bool,
}

/// An export in progress. Dropped, it ends its snapshot.
#[derive(Debug)]
pub struct Export {
    snapshot: Option<Snapshot>,
    /// Where events are read without the snapshot, and the last one of them.
    events: Option<(Db, i64)>,
    /// Everything but the events, where there is no snapshot any more.
    spool: Option<Spool>,
    options: ExportOptions,
    header: Header,
    manifest: Manifest,
    chain: Chain,
    sequences: Sequences,
    part: ArchivePart,
}

impl Export {
    /// Begins: later writes aren't exported.
    pub(crate) async fn of(
        log: &Db,
        views: &Db,
        options: ExportOptions,
    ) -> Result<Self, ArchiveError> {
        let mut snapshot = Snapshot::by_key(log, views).await?;
        let identity = Identity::read_in(&mut snapshot.log).await?;
        let events: i64 = on_tx!(&mut snapshot.log, connection => {
            sqlx::query_scalar("SELECT count(*) FROM events").fetch_one(connection).await?
        });
        let header = Header {
            format: FORMAT.to_owned(),
            version: FORMAT_VERSION,
            log_id: identity.log_id,
            epoch: identity.epoch,
            events: u64::try_from(events).unwrap_or(0),
            personal_data: options.with_personal_data,
            written_by: concat!("gdmarket ", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        let (manifest, chain) = (header.begin_manifest(), Chain::default());
        let last: i64 = on_tx!(&mut snapshot.log, connection => {
            let sql = "SELECT coalesce(max(position), 0) FROM events";
            sqlx::query_scalar(sql).fetch_one(connection).await?
        });
        let blocks_checkpoints = matches!(&snapshot.log, Tx::Sqlite(_));
        let mut export = Self {
            snapshot: Some(snapshot),
            events: blocks_checkpoints.then(|| (log.clone(), last)),
            spool: None,
            options,
            header,
            manifest,
            chain,
            sequences: Sequences::default(),
            part: ArchivePart::Header,
        };
        if blocks_checkpoints {
            export.spool = Some(export.spooled().await?);
            export.snapshot = None;
        }
        Ok(export)
    }

    fn snapshot(&mut self) -> Result<&mut Snapshot, ArchiveError> {
        let ended = || StoreError::Unavailable("the snapshot has ended".to_owned());
        self.snapshot.as_mut().ok_or_else(|| ended().into())
    }

    /// The header of the archive; known from the beginning.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The manifest of the lines so far; complete once [`Export::next`] has nothing more.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The first of the gaps in the events so far, and how many there are. An archive with gaps can't be
    /// imported.
    pub fn gaps(&self) -> (&[Gap], u64) {
        self.sequences.gaps()
    }

    /// The next lines, each with its end; `None` after the last one. The lines before are only an
    /// archive together with the last one.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, ArchiveError> {
        let mut lines = Vec::new();
        while lines.is_empty() && !matches!(self.part, ArchivePart::Done) {
            self.read(&mut lines).await?;
        }
        Ok((!lines.is_empty()).then_some(lines))
    }

    /// Adds a line to those that are returned.
    fn put(&mut self, lines: &mut Vec<u8>, line: &ArchiveLine<'_>) -> Result<(), ArchiveError> {
        let start = lines.len();
        line.write(lines)?;
        line.count_in(&mut self.manifest);
        // Lines of the spool are chained when they are returned, and each without its end.
        if self.snapshot.is_none() || self.events.is_none() {
            self.chain.add(lines.get(start..lines.len().saturating_sub(1)).unwrap_or_default());
        }
        Ok(())
    }
}
