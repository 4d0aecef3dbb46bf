//! Writing many rows at once, for a build: by COPY on PostgreSQL, by long statements on SQLite.

use super::ddl::unhurried;
use super::{COLUMNS, Stored, ViewTable};
use crate::replay::Courtesy;
use crate::view::{Filters, View};
use gdmarket_store::{Db, StoreError, Tx, on_tx};
use sqlx::{Executor, PgConnection, QueryBuilder};
use tokio::time::Instant;

/// Rows of one transaction on SQLite: whoever keeps the view that is served wants to write too.
const SQLITE_ROWS: usize = 2_000;
/// Bytes handed to COPY at once.
const COPY_BYTES: usize = 32 * 1024;
/// What the binary format begins with: its signature, no flags, no extension (COPY, "File Formats").
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What stands where another row would say how many fields it has.
const END: i16 = -1;
/// How many [`COLUMNS`] there are.
const FIELDS: i16 = 11;
/// Numbers of one statement.
const CHUNK: usize = 500;

impl<V: View> ViewTable<V> {
    /// Writes rows that aren't in the table, but for `replaced`, part of a build; commands go first.
    pub(crate) async fn write_many(
        &self,
        db: &Db,
        (rows, replaced): (&[&Stored<V::Row>], &[i64]),
        courtesy: &Courtesy,
    ) -> Result<(), StoreError> {
        let mut tx = db.begin().await?;
        unhurried(&mut tx).await?;
        self.delete(&mut tx, replaced).await?;
        if let Tx::Postgres(transaction) = &mut tx {
            self.copy(transaction, rows, courtesy).await?;
            return tx.commit().await;
        }
        for part in rows.chunks(SQLITE_ROWS) {
            let began = Instant::now();
            self.write(&mut tx, part).await?;
            tx.commit().await?;
            courtesy.rest(began).await;
            tx = db.begin().await?;
        }
        tx.commit().await
    }

    async fn delete(&self, tx: &mut Tx, numbers: &[i64]) -> Result<(), StoreError> {
        for chunk in numbers.chunks(CHUNK) {
            on_tx!(&mut *tx, connection => {
                let mut query = QueryBuilder::new(format!("DELETE FROM {} WHERE no IN (", self.name));
                let mut list = query.separated(", ");
                for number in chunk {
                    list.push_bind(*number);
                }
                query.push(")");
                connection.execute(query.build().persistent(false)).await.map(drop)
            })?;
        }
        Ok(())
    }

    async fn copy(
        &self,
        connection: &mut PgConnection,
        rows: &[&Stored<V::Row>],
        courtesy: &Courtesy,
    ) -> Result<(), StoreError> {
        let sql = format!("COPY {} ({COLUMNS}) FROM STDIN BINARY", self.name);
        let mut copy = connection.copy_in_raw(&sql).await?;
        let mut bytes = Vec::with_capacity(COPY_BYTES + COPY_BYTES / 4);
        bytes.extend_from_slice(HEADER);
        let mut began = Instant::now();
        for stored in rows {
            self.tuple(&mut bytes, stored)?;
            if bytes.len() >= COPY_BYTES {
                copy.send(bytes.as_slice()).await?;
                bytes.clear();
                courtesy.rest(began).await;
                began = Instant::now();
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
