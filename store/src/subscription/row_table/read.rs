//! Reading rows. A row that can't be read is reported with its reason, and hides no other.

use super::{ColumnKind, Field, RowDocument, RowTable, TableColumn, TableRow};
use crate::db::{Db, Tx};
use crate::error::StoreError;
use crate::on_tx;
use sqlx::{ColumnIndex, Decode, Row, Type};
use std::collections::BTreeMap;

/// The number of a row, and its content or why it can't be read.
pub type NumberedRow<T> = (i64, Result<T, String>);

impl RowTable {
    /// The rows of these numbers, as far as they are there.
    pub async fn look_up(
        &self,
        db: &Db,
        numbers: &[i64],
    ) -> Result<Vec<NumberedRow<RowDocument>>, StoreError> {
        let select = &self.sql.documents;
        // One parameter whatever the number of rows: the same prepared statement.
        match db {
            Db::Postgres(pool) => {
                let sql = format!("{select} WHERE no = ANY($1)");
                let rows = sqlx::query(&sql).bind(numbers).fetch_all(pool).await?;
                rows.iter().map(document).collect()
            }
            Db::Sqlite { read, .. } => {
                let numbers = serde_json::to_string(numbers)
                    .map_err(|error| StoreError::Rejected(error.to_string()))?;
                let sql = format!("{select} WHERE no IN (SELECT value FROM json_each($1))");
                let rows = sqlx::query(&sql).bind(numbers).fetch_all(read).await?;
                rows.iter().map(document).collect()
            }
        }
    }

    /// The first rows after a number, gone ones too, as `tx` sees them; for a row that can't be read, why.
    pub async fn part(
        &self,
        tx: &mut Tx,
        after: i64,
        limit: u32,
    ) -> Result<BTreeMap<i64, Result<TableRow, String>>, StoreError> {
        let columns = &self.sql.columns;
        let sql = format!("SELECT {columns} FROM {} WHERE no > $1 ORDER BY no LIMIT $2", self.name);
        on_tx!(tx, connection => {
            let query = sqlx::query(&sql).bind(after).bind(i64::from(limit));
            let rows = query.fetch_all(connection).await?;
            rows.iter().map(|row| whole(row, &self.columns)).collect()
        })
    }

    /// Removes a row.
    pub async fn remove_row(&self, tx: &mut Tx, number: i64) -> Result<(), StoreError> {
        let sql = format!("DELETE FROM {} WHERE no = $1", self.name);
        Ok(on_tx!(tx, connection => {
            sqlx::query(&sql).bind(number).execute(connection).await.map(drop)
        })?)
    }
}

/// Reads the columns of [`super::Statements::documents`].
pub(super) fn document<'r, R>(row: &'r R) -> Result<NumberedRow<RowDocument>, StoreError>
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
{
    let number: i64 = row.try_get(0)?;
    let read = || -> Result<RowDocument, sqlx::Error> {
        Ok(RowDocument {
            number,
            sequence: row.try_get(1)?,
            stale_since: row.try_get(2)?,
            stale_reason: row.try_get(3)?,
            document: row.try_get(4)?,
        })
    };
    Ok((number, read().map_err(|error| error.to_string())))
}

fn whole<'r, R>(row: &'r R, columns: &[TableColumn]) -> Result<NumberedRow<TableRow>, StoreError>
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
{
    let number: i64 = row.try_get(0)?;
    let read = || -> Result<TableRow, sqlx::Error> {
        let mut fields = Vec::with_capacity(columns.len());
        for (at, column) in (3..).zip(columns) {
            fields.push(match column.kind {
                ColumnKind::Number => Field::Number(row.try_get(at)?),
                ColumnKind::Text => Field::Text(row.try_get(at)?),
            });
        }
        let next = 3 + columns.len();
        Ok(TableRow {
            number,
            sequence: row.try_get(1)?,
            gone: row.try_get(2)?,
            fields,
            stale_since: row.try_get(next)?,
            stale_reason: row.try_get(next + 1)?,
            document: row.try_get(next + 2)?,
        })
    };
    Ok((number, read().map_err(|error| error.to_string())))
}
