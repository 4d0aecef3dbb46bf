//! Writing many rows at once, for a build: by COPY on PostgreSQL, by long statements on SQLite.

use super::ddl::unhurried;
use super::{COLUMNS, Stored, ViewTable};
use crate::replay::Courtesy;
use crate::view::{Filters, View};
use gdmarket_store::{Db, StoreError, Tx};
use sqlx::PgConnection;
use std::collections::HashSet;
use tokio::time::Instant;

/// Rows of one transaction: whoever keeps the view that is served, or sends commands, has a turn in
/// between.
const ROWS: usize = 500;
/// Bytes handed to COPY at once.
const COPY_BYTES: usize = 256 * 1024;
/// What the binary format begins with: its signature, no flags, no extension (COPY, "File Formats").
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What stands where another row would say how many fields it has.
const END: i16 = -1;
/// How many [`COLUMNS`] there are.
const FIELDS: i16 = 11;

impl<V: View> ViewTable<V> {
    /// Writes rows of a build, `replaced` those that the table has already; commands go first.
    pub(crate) async fn write_many(
        &self,
        db: &Db,
        (rows, replaced): (&[&Stored<V::Row>], &HashSet<i64>),
        courtesy: &Courtesy,
    ) -> Result<(), StoreError> {
        for part in rows.chunks(ROWS) {
            let began = Instant::now();
            let mut tx = db.begin().await?;
            unhurried(&mut tx).await?;
            match &mut tx {
                Tx::Postgres(connection) => {
                    let numbers = part.iter().map(|stored| stored.number);
                    let again: Vec<i64> =
                        numbers.filter(|number| replaced.contains(number)).collect();
                    self.delete(connection, &again).await?;
                    self.copy(connection, part).await?;
                }
                Tx::Sqlite(_) => self.write(&mut tx, part).await?,
            }
            tx.commit().await?;
            courtesy.rest(began).await;
        }
        Ok(())
    }

    async fn delete(
        &self,
        connection: &mut PgConnection,
        numbers: &[i64],
    ) -> Result<(), StoreError> {
        if !numbers.is_empty() {
            let sql = format!("DELETE FROM {} WHERE no = ANY($1)", self.name);
            sqlx::query(&sql).bind(numbers).persistent(false).execute(connection).await?;
        }
        Ok(())
    }

    async fn copy(
        &self,
        connection: &mut PgConnection,
        rows: &[&Stored<V::Row>],
    ) -> Result<(), StoreError> {
        let sql = format!("COPY {} ({COLUMNS}) FROM STDIN BINARY", self.name);
        let mut copy = connection.copy_in_raw(&sql).await?;
        let mut bytes = Vec::with_capacity(COPY_BYTES + COPY_BYTES / 4);
        bytes.extend_from_slice(HEADER);
        for stored in rows {
            self.tuple(&mut bytes, stored)?;
            if bytes.len() >= COPY_BYTES {
                copy.send(bytes.as_slice()).await?;
                bytes.clear();
            }
        }
        bytes.extend_from_slice(&END.to_be_bytes());
        copy.send(bytes).await?;
        copy.finish().await?;
        Ok(())
    }

    /// A row in COPY's binary format, in the order of [`COLUMNS`].
    fn tuple(&self, bytes: &mut Vec<u8>, stored: &Stored<V::Row>) -> Result<(), StoreError> {
        let filters: Filters = V::filters(&stored.row);
        let (since, reason) = match &stored.stale {
            Some((since, reason)) => (Some(*since), Some(reason.as_str())),
            None => (None, None),
        };
        bytes.extend_from_slice(&FIELDS.to_be_bytes());
        let gone = i64::from(V::is_gone(&stored.row));
        for number in [Some(stored.number), Some(stored.sequence), Some(gone)] {
            bigint(bytes, number);
        }
        for number in
            [filters.owner_id, filters.customer_id, filters.item_no, filters.reservation_no]
        {
            bigint(bytes, number);
        }
        field(bytes, filters.status.map(str::as_bytes));
        bigint(bytes, since);
        field(bytes, reason.map(str::as_bytes));
        field(bytes, Some(self.document(stored)?.as_bytes()));
        Ok(())
    }
}

fn bigint(bytes: &mut Vec<u8>, value: Option<i64>) {
    field(bytes, value.map(i64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice));
}

/// A field: how long it is, and it; -1 where there is none. No row is near the 2 GiB of a length.
fn field(bytes: &mut Vec<u8>, value: Option<&[u8]>) {
    let length = value.map_or(-1, |value| i32::try_from(value.len()).unwrap_or(i32::MAX));
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(value.unwrap_or_default());
}
