//! Writing many rows at once, for a build: by COPY on PostgreSQL, by long statements on SQLite.

use super::{COLUMNS, Stored, ViewTable};
use crate::view::{Filters, View};
use gdmarket_store::{Db, StoreError, Tx, on_tx};
use sqlx::{Executor, PgConnection, QueryBuilder};
use std::fmt::{Display, Write as _};

/// Rows of one transaction on SQLite: whoever keeps the view that is served wants to write too.
const SQLITE_ROWS: usize = 5_000;
/// Bytes handed to COPY at once.
const COPY_BYTES: usize = 256 * 1024;
/// Numbers of one statement.
const CHUNK: usize = 500;

impl<V: View> ViewTable<V> {
    /// Writes rows that aren't in the table, but for `replaced`, and makes them lasting.
    pub(crate) async fn write_many(
        &self,
        db: &Db,
        rows: &[Stored<V::Row>],
        replaced: &[i64],
    ) -> Result<(), StoreError> {
        let mut tx = db.begin().await?;
        self.delete(&mut tx, replaced).await?;
        if let Tx::Postgres(transaction) = &mut tx {
            self.copy(transaction, rows).await?;
            return tx.commit().await;
        }
        for part in rows.chunks(SQLITE_ROWS) {
            self.write(&mut tx, &part.iter().collect::<Vec<_>>()).await?;
            tx.commit().await?;
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
        rows: &[Stored<V::Row>],
    ) -> Result<(), StoreError> {
        let sql = format!("COPY {} ({COLUMNS}) FROM STDIN", self.name);
        let mut copy = connection.copy_in_raw(&sql).await?;
        let mut lines = String::with_capacity(COPY_BYTES + COPY_BYTES / 4);
        for stored in rows {
            self.line(&mut lines, stored)?;
            if lines.len() >= COPY_BYTES {
                copy.send(lines.as_bytes()).await?;
                lines.clear();
            }
        }
        copy.send(lines.as_bytes()).await?;
        copy.finish().await?;
        Ok(())
    }

    /// A row in COPY's text format, in the order of [`COLUMNS`].
    fn line(&self, lines: &mut String, stored: &Stored<V::Row>) -> Result<(), StoreError> {
        let filters: Filters = V::filters(&stored.row);
        let (since, reason) = match &stored.stale {
            Some((since, reason)) => (Some(*since), Some(reason.as_str())),
            None => (None, None),
        };
        let gone = i64::from(V::is_gone(&stored.row));
        for number in [Some(stored.number), Some(stored.sequence), Some(gone)] {
            field(lines, number);
        }
        for number in
            [filters.owner_id, filters.customer_id, filters.item_no, filters.reservation_no]
        {
            field(lines, number);
        }
        field(lines, filters.status);
        field(lines, since);
        text(lines, reason);
        lines.push('\t');
        escaped(lines, &self.document(stored)?);
        lines.push('\n');
        Ok(())
    }
}

/// A field that holds nothing to be escaped, and the tab after it.
fn field(lines: &mut String, value: Option<impl Display>) {
    match value {
        // Writing to a string can't fail.
        Some(value) => drop(write!(lines, "{value}\t")),
        None => lines.push_str("\\N\t"),
    }
}

fn text(lines: &mut String, value: Option<&str>) {
    match value {
        Some(value) => escaped(lines, value),
        None => lines.push_str("\\N"),
    }
}

fn escaped(lines: &mut String, value: &str) {
    let mut rest = value;
    while let Some(at) = rest.find(['\\', '\n', '\r', '\t']) {
        let (plain, special) = rest.split_at(at);
        lines.push_str(plain);
        let mut characters = special.chars();
        lines.push_str(match characters.next() {
            Some('\n') => "\\n",
            Some('\r') => "\\r",
            Some('\t') => "\\t",
            _ => "\\\\",
        });
        rest = characters.as_str();
    }
    lines.push_str(rest);
}
