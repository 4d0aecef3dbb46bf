//! The parts of an export in their order, each read by key, a page at a time.

use super::Export;
use crate::error::StoreError;
use crate::log::{Receipt, RecordedEvent, StreamId};
use crate::maintenance::archive::ArchiveError;
use crate::maintenance::archive::line::{
    ArchiveLine, BookLine, CheckpointLine, DeadlineLine, DroppedLine, EventLine, NameLine,
    NumberLine, ParkedLine, PersonLine, ReceiptLine, WaitingLine,
};
use crate::{on_db, on_tx};

/// Rows per page: some hundred KiB, as events go.
const PAGE: i64 = 1000;

/// A parked key as the table has it.
type ParkedRow = (String, String, String, String, i64, i64, i64, i64);

/// The part that is read next, and the key after which it is read.
#[derive(Debug, Clone)]
pub(super) enum ArchivePart {
    Header,
    Events(i64),
    Receipts(Vec<u8>),
    Numbers,
    Deadlines(String, String),
    Checkpoints,
    Parked(String, String),
    Waiting(String, String, i64),
    Dropped(String, String, i64),
    WriteOnceRecords(i64),
    Persons(i64),
    Names(String, String),
    Spool,
    Manifest,
    Done,
}

/// A position behind a key of a subscription.
struct PositionOfKey {
    subscription: String,
    key: String,
    position: i64,
}

impl Export {
    /// Reads a page, or continues with the next part.
    pub(super) async fn read(&mut self, lines: &mut Vec<u8>) -> Result<(), ArchiveError> {
        self.part = match self.part.clone() {
            ArchivePart::Header => {
                let header = self.header.clone();
                self.put(lines, &ArchiveLine::Header(header))?;
                ArchivePart::Events(0)
            }
            ArchivePart::Events(after) => self.events(lines, after).await?,
            ArchivePart::Receipts(after) => self.receipts(lines, after).await?,
            ArchivePart::Numbers => self.numbers(lines).await?,
            ArchivePart::Deadlines(manager, key) => self.deadlines(lines, manager, key).await?,
            ArchivePart::Checkpoints => self.checkpoints(lines).await?,
            ArchivePart::Parked(subscription, key) => self.parked(lines, subscription, key).await?,
            ArchivePart::Waiting(subscription, key, position) => {
                self.waiting(lines, PositionOfKey { subscription, key, position }).await?
            }
            ArchivePart::Dropped(subscription, key, position) => {
                self.dropped(lines, PositionOfKey { subscription, key, position }).await?
            }
            ArchivePart::WriteOnceRecords(after) => self.books(lines, after).await?,
            ArchivePart::Persons(after) => self.persons(lines, after).await?,
            ArchivePart::Names(kind, id) => self.names(lines, kind, id).await?,
            ArchivePart::Spool => self.unspool(lines)?,
            ArchivePart::Manifest => {
                self.manifest.chain = self.chain.hex();
                ArchiveLine::Manifest(self.manifest.clone()).write(lines)?;
                ArchivePart::Done
            }
            ArchivePart::Done => ArchivePart::Done,
        };
        Ok(())
    }

    async fn events(
        &mut self,
        lines: &mut Vec<u8>,
        after: i64,
    ) -> Result<ArchivePart, ArchiveError> {
        let columns = RecordedEvent::COLUMNS;
        let sql = format!(
            "SELECT {columns} FROM events WHERE position > $1 AND position <= $2 \
             ORDER BY position LIMIT $3"
        );
        let events: Result<Vec<RecordedEvent>, StoreError> = match &self.events {
            Some((db, last)) => on_db!(db, pool => {
                let query = sqlx::query(&sql).bind(after).bind(*last).bind(PAGE);
                query.fetch_all(pool).await?.iter().map(RecordedEvent::from_row).collect()
            }),
            None => on_tx!(&mut self.snapshot()?.log, connection => {
                let query = sqlx::query(&sql).bind(after).bind(i64::MAX).bind(PAGE);
                query.fetch_all(connection).await?.iter().map(RecordedEvent::from_row).collect()
            }),
        };
        let events = events?;
        for event in &events {
            if let Some(reason) = event.damage_reason() {
                // An archive without this row would look complete.
                let what = format!("the row at position {}: {reason}", event.position);
                return Err(StoreError::Corrupt(what).into());
            }
            self.sequences.add(event);
            self.put(lines, &ArchiveLine::Event(EventLine::new(event)))?;
        }
        Ok(match events.last() {
            Some(event) => ArchivePart::Events(event.position),
            None if self.spool.is_some() => ArchivePart::Spool,
            None => ArchivePart::Receipts(vec![]),
        })
    }

    async fn receipts(
        &mut self,
        lines: &mut Vec<u8>,
        after: Vec<u8>,
    ) -> Result<ArchivePart, ArchiveError> {
        let columns = Receipt::COLUMNS;
        let sql = format!(
            "SELECT {columns} FROM receipts WHERE command_id > $1 ORDER BY command_id LIMIT $2"
        );
        let receipts: Result<Vec<Receipt>, StoreError> = on_tx!(&mut self.snapshot()?.log, connection => {
            let query = sqlx::query(&sql).bind(after).bind(PAGE);
            query.fetch_all(connection).await?.iter().map(Receipt::from_row).collect()
        });
        let receipts = receipts?;
        for receipt in &receipts {
            self.put(lines, &ArchiveLine::Receipt(ReceiptLine::new(receipt)))?;
        }
        let last = receipts.last().map(|receipt| receipt.command_id.as_bytes().to_vec());
        Ok(last.map_or(ArchivePart::Numbers, ArchivePart::Receipts))
    }

    async fn numbers(&mut self, lines: &mut Vec<u8>) -> Result<ArchivePart, ArchiveError> {
        let sql = "SELECT kind, last FROM numbers ORDER BY kind";
        let rows: Vec<(String, i64)> = on_tx!(&mut self.snapshot()?.log, connection => {
            sqlx::query_as(sql).fetch_all(connection).await?
        });
        for (kind, last) in rows {
            self.put(lines, &ArchiveLine::Number(NumberLine { kind, last }))?;
        }
        Ok(ArchivePart::Deadlines(String::new(), String::new()))
    }

    async fn deadlines(
        &mut self,
        lines: &mut Vec<u8>,
        manager: String,
        key: String,
    ) -> Result<ArchivePart, ArchiveError> {
        let sql = "SELECT manager, key, due_at, payload FROM deadlines \
                   WHERE (manager, key) > ($1, $2) ORDER BY manager, key LIMIT $3";
        let rows: Vec<(String, String, i64, String)> = on_tx!(self.snapshot()?.views(), connection => {
            let query = sqlx::query_as(sql).bind(manager).bind(key).bind(PAGE);
            query.fetch_all(connection).await?
        });
        let next = rows.last().map(|row| ArchivePart::Deadlines(row.0.clone(), row.1.clone()));
        for (manager, key, due_at, payload) in rows {
            self.put(
                lines,
                &ArchiveLine::Deadline(DeadlineLine { manager, key, due_at, payload }),
            )?;
        }
        Ok(next.unwrap_or(ArchivePart::Checkpoints))
    }

    async fn checkpoints(&mut self, lines: &mut Vec<u8>) -> Result<ArchivePart, ArchiveError> {
        let sql = "SELECT subscription, source, log_epoch, position FROM checkpoints \
                   ORDER BY subscription, source";
        let rows: Vec<(String, String, i64, i64)> = on_tx!(self.snapshot()?.views(), connection => {
            sqlx::query_as(sql).fetch_all(connection).await?
        });
        for (subscription, source, epoch, position) in rows {
            if !(self.options.is_derived)(&subscription) {
                let line = CheckpointLine { subscription, source, epoch, position };
                self.put(lines, &ArchiveLine::Checkpoint(line))?;
            }
        }
        Ok(ArchivePart::Parked(String::new(), String::new()))
    }

    async fn parked(
        &mut self,
        lines: &mut Vec<u8>,
        subscription: String,
        key: String,
    ) -> Result<ArchivePart, ArchiveError> {
        let sql = "SELECT subscription, key, state, reason, since_position, since_time, attempts, \
                   next_try_at FROM parked WHERE (subscription, key) > ($1, $2) \
                   ORDER BY subscription, key LIMIT $3";
        let rows: Vec<ParkedRow> = on_tx!(self.snapshot()?.views(), connection => {
            let query = sqlx::query_as(sql).bind(subscription).bind(key).bind(PAGE);
            query.fetch_all(connection).await?
        });
        let after = rows.last().map(|row| ArchivePart::Parked(row.0.clone(), row.1.clone()));
        for row in rows {
            let (subscription, key, state, reason, since_position, since_time, attempts, next) =
                row;
            if !(self.options.is_derived)(&subscription) {
                let line = ParkedLine {
                    subscription,
                    key,
                    state,
                    reason,
                    since_position,
                    since_time,
                    attempts,
                    next_try_at: next,
                };
                self.put(lines, &ArchiveLine::Parked(line))?;
            }
        }
        Ok(after.unwrap_or(ArchivePart::Waiting(String::new(), String::new(), 0)))
    }

    async fn waiting(
        &mut self,
        lines: &mut Vec<u8>,
        after: PositionOfKey,
    ) -> Result<ArchivePart, ArchiveError> {
        let sql = "SELECT subscription, key, position FROM parked_events \
                   WHERE (subscription, key, position) > ($1, $2, $3) \
                   ORDER BY subscription, key, position LIMIT $4";
        let rows: Vec<(String, String, i64)> = on_tx!(self.snapshot()?.views(), connection => {
            let query = sqlx::query_as(sql).bind(after.subscription).bind(after.key).bind(after.position).bind(PAGE);
            query.fetch_all(connection).await?
        });
        let next = rows.last().map(|row| ArchivePart::Waiting(row.0.clone(), row.1.clone(), row.2));
        for (subscription, key, position) in rows {
            if !(self.options.is_derived)(&subscription) {
                self.put(
                    lines,
                    &ArchiveLine::Waiting(WaitingLine { subscription, key, position }),
                )?;
            }
        }
        Ok(next.unwrap_or(ArchivePart::Dropped(String::new(), String::new(), 0)))
    }

    async fn dropped(
        &mut self,
        lines: &mut Vec<u8>,
        after: PositionOfKey,
    ) -> Result<ArchivePart, ArchiveError> {
        let sql = "SELECT subscription, key, position, parked_for, reason, dropped_at FROM dropped \
                   WHERE (subscription, key, position) > ($1, $2, $3) \
                   ORDER BY subscription, key, position LIMIT $4";
        let rows: Vec<(String, String, i64, String, String, i64)> = on_tx!(self.snapshot()?.views(), connection => {
            let query = sqlx::query_as(sql).bind(after.subscription).bind(after.key).bind(after.position);
            query.bind(PAGE).fetch_all(connection).await?
        });
        let next = rows.last().map(|row| ArchivePart::Dropped(row.0.clone(), row.1.clone(), row.2));
        for (subscription, key, position, parked_for, reason, dropped_at) in rows {
            if !(self.options.is_derived)(&subscription) {
                let line =
                    DroppedLine { subscription, key, position, parked_for, reason, dropped_at };
                self.put(lines, &ArchiveLine::Dropped(line))?;
            }
        }
        Ok(next.unwrap_or(ArchivePart::WriteOnceRecords(0)))
    }

    async fn books(
        &mut self,
        lines: &mut Vec<u8>,
        after: i64,
    ) -> Result<ArchivePart, ArchiveError> {
        let sql = "SELECT entry, book, key, value, recorded_at FROM books WHERE entry > $1 \
                   ORDER BY entry LIMIT $2";
        let rows: Vec<(i64, String, String, String, i64)> = on_tx!(&mut self.snapshot()?.log, connection => {
            sqlx::query_as(sql).bind(after).bind(PAGE).fetch_all(connection).await?
        });
        let next = rows.last().map(|row| ArchivePart::WriteOnceRecords(row.0));
        for (_, book, key, value, recorded_at) in rows {
            self.put(lines, &ArchiveLine::Book(BookLine { book, key, value, recorded_at }))?;
        }
        Ok(next.unwrap_or(ArchivePart::Persons(0)))
    }

    async fn persons(
        &mut self,
        lines: &mut Vec<u8>,
        after: i64,
    ) -> Result<ArchivePart, ArchiveError> {
        if !self.options.with_personal_data {
            return Ok(ArchivePart::Manifest);
        }
        let sql = "SELECT person_id, name FROM personal_data WHERE person_id > $1 \
                   ORDER BY person_id LIMIT $2";
        let rows: Vec<(i64, Option<String>)> = on_tx!(&mut self.snapshot()?.log, connection => {
            sqlx::query_as(sql).bind(after).bind(PAGE).fetch_all(connection).await?
        });
        let next = rows.last().map(|(id, _)| ArchivePart::Persons(*id));
        for (id, name) in rows {
            self.put(lines, &ArchiveLine::Person(PersonLine { id, name }))?;
        }
        Ok(next.unwrap_or(ArchivePart::Names(String::new(), String::new())))
    }

    async fn names(
        &mut self,
        lines: &mut Vec<u8>,
        kind: String,
        id: String,
    ) -> Result<ArchivePart, ArchiveError> {
        type Row = (String, String, Option<i64>, Option<String>);
        let sql = "SELECT aggregate_type, aggregate_id, person_id, name FROM personal_names \
                   WHERE (aggregate_type, aggregate_id) > ($1, $2) \
                   ORDER BY aggregate_type, aggregate_id LIMIT $3";
        let rows: Vec<Row> = on_tx!(&mut self.snapshot()?.log, connection => {
            let query = sqlx::query_as(sql).bind(kind).bind(id).bind(PAGE);
            query.fetch_all(connection).await?
        });
        let next = rows.last().map(|row| ArchivePart::Names(row.0.clone(), row.1.clone()));
        for (kind, id, person, name) in rows {
            let StreamId { kind: aggregate, number } = StreamId::parse(kind, &id)?;
            self.put(lines, &ArchiveLine::Name(NameLine { aggregate, number, person, name }))?;
        }
        Ok(next.unwrap_or(ArchivePart::Manifest))
    }
}
