//! Writing rows: a few at a time for a loop, and many at once for a build, by COPY on PostgreSQL and by
//! statements of many rows on SQLite.

use super::{ColumnKind, Field, RowTable, TableRow};
use crate::db::{CopyIn, Db, Tx};
use crate::error::StoreError;
use futures::future::join;
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, PgConnection, SqliteConnection};

/// Rows per statement, so that no other writer waits for long.
const CHUNK: usize = 500;
/// Rows of one statement of a build on SQLite, each with a parameter for every column.
const BOUND: usize = 250;

/// Rows that are bound for one statement.
struct BoundRows {
    count: usize,
    values: SqliteArguments<'static>,
}

impl RowTable {
    /// Writes rows, each once at most.
    pub async fn write(&self, tx: &mut Tx, rows: &[TableRow]) -> Result<(), StoreError> {
        for rows in rows.chunks(CHUNK) {
            match &mut *tx {
                Tx::Postgres(tx) => self.write_arrays(&mut *tx, rows).await?,
                Tx::Sqlite(tx) => {
                    let rows = serde_json::to_string(rows)
                        .map_err(|error| StoreError::Rejected(error.to_string()))?;
                    sqlx::query(&self.sql.upsert_from_json).bind(rows).execute(&mut **tx).await?;
                }
            }
        }
        Ok(())
    }

    /// On PostgreSQL rows are bound as an array per column: the same prepared statement whatever their
    /// number.
    async fn write_arrays(
        &self,
        connection: &mut PgConnection,
        rows: &[TableRow],
    ) -> Result<(), StoreError> {
        let numbers = |of: fn(&TableRow) -> i64| rows.iter().map(of).collect::<Vec<i64>>();
        let mut query = sqlx::query(&self.sql.upsert_from_arrays)
            .bind(numbers(|row| row.number))
            .bind(numbers(|row| row.sequence))
            .bind(numbers(|row| row.gone));
        for (at, column) in self.columns.iter().enumerate() {
            let fields = rows.iter().map(|row| row.fields.get(at));
            query = match column.kind {
                ColumnKind::Number => query.bind(fields.map(number_of).collect::<Vec<_>>()),
                ColumnKind::Text => query.bind(fields.map(text_of).collect::<Vec<_>>()),
            };
        }
        query
            .bind(rows.iter().map(|row| row.stale_since).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.stale_reason.as_deref()).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.document.as_str()).collect::<Vec<_>>())
            .execute(connection)
            .await?;
        Ok(())
    }

    /// Writes rows of a build in a transaction of their own, as they come, so that not all of them are in
    /// memory at once; `replaced` are the numbers of those that the table has already.
    pub async fn write_many(
        &self,
        db: &Db,
        rows: impl Iterator<Item = Result<TableRow, StoreError>> + Send,
        replaced: &[i64],
    ) -> Result<(), StoreError> {
        let mut rows = rows;
        // On SQLite the first rows are ready before its one writer is held: other writers don't wait for that.
        let mut ready = match db {
            Db::Postgres(_) => None,
            Db::Sqlite { .. } => bind_statement(&mut rows)?,
        };
        let mut tx = db.begin().await?;
        match &mut tx {
            Tx::Postgres(connection) => {
                self.delete(&mut *connection, replaced).await?;
                self.copy(&mut *connection, &mut rows).await?;
            }
            Tx::Sqlite(connection) => {
                while let Some(statement) = ready {
                    // SQLite inserts on a thread of its own, while the next rows are bound here.
                    let inserting = self.insert(&mut *connection, statement);
                    let binding = async { bind_statement(&mut rows) };
                    let (inserted, next) = join(inserting, binding).await;
                    inserted?;
                    ready = next?;
                }
            }
        }
        tx.commit().await
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
        rows: &mut (impl Iterator<Item = Result<TableRow, StoreError>> + Send),
    ) -> Result<(), StoreError> {
        let mut copy = CopyIn::begin(connection, &self.name, &self.sql.columns).await?;
        for row in rows {
            let row = row?;
            copy.row().await?;
            for number in [row.number, row.sequence, row.gone] {
                copy.number(number)?;
            }
            for field in &row.fields {
                match field {
                    Field::Number(number) => copy.number(*number)?,
                    Field::Text(text) => copy.text(text.as_deref())?,
                }
            }
            copy.number(row.stale_since)?;
            copy.text(row.stale_reason.as_deref())?;
            copy.text(row.document.as_str())?;
        }
        copy.finish().await
    }

    async fn insert(
        &self,
        connection: &mut SqliteConnection,
        BoundRows { count, values }: BoundRows,
    ) -> Result<(), StoreError> {
        let row = vec!["?"; self.columns.len() + 6].join(", ");
        let rows = vec![format!("({row})"); count].join(", ");
        let (name, columns, upsert) = (&self.name, &self.sql.columns, &self.sql.upsert);
        let sql = format!("INSERT INTO {name} ({columns}) VALUES {rows} {upsert}");
        sqlx::query_with(&sql, values).execute(connection).await?;
        Ok(())
    }
}

fn number_of(field: Option<&Field>) -> Option<i64> {
    match field {
        Some(Field::Number(number)) => *number,
        Some(Field::Text(_)) | None => None,
    }
}

fn text_of(field: Option<&Field>) -> Option<&str> {
    match field {
        Some(Field::Text(text)) => text.as_deref(),
        Some(Field::Number(_)) | None => None,
    }
}

/// The next rows, bound for one statement; `None` after the last row. Bound one by one: taken out of JSON, each
/// value costs SQLite a look through its whole row.
fn bind_statement(
    rows: &mut impl Iterator<Item = Result<TableRow, StoreError>>,
) -> Result<Option<BoundRows>, StoreError> {
    let (mut values, mut count) = (SqliteArguments::default(), 0);
    for row in rows.take(BOUND) {
        bind(&mut values, row?).map_err(sqlx::Error::Encode)?;
        count += 1;
    }
    Ok((count > 0).then_some(BoundRows { count, values }))
}

fn bind(bound: &mut SqliteArguments<'static>, row: TableRow) -> Result<(), BoxDynError> {
    bound.reserve(row.fields.len() + 6, 0);
    for number in [row.number, row.sequence, row.gone] {
        bound.add(number)?;
    }
    for field in row.fields {
        match field {
            Field::Number(number) => bound.add(number)?,
            Field::Text(text) => bound.add(text)?,
        }
    }
    bound.add(row.stale_since)?;
    bound.add(row.stale_reason)?;
    bound.add(row.document)
}
