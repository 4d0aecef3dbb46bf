//! Records that are written once, under a key, before a step counts as done that a caller must not do twice. They are
//! in the log's own database, so every copy of the log has them and every process on it sees them. A record is never
//! changed; a caller that comes second gets the record that is stored.

use crate::db::{Db, LogConnection, on_writer};
use crate::error::StoreError;
use crate::log::identity_guard::LogIdentityGuard;
use crate::on_db;

/// Most records of one statement, so that its parameters stay small.
const MAX_PER_STATEMENT: usize = 10_000;

/// A record of one book: records of different books are independent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteOnceRecord {
    /// Its key, which only one record of a book has.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// All records that are written once, in the books of one log.
#[derive(Debug, Clone)]
pub struct WriteOnceRecords {
    db: Db,
    writer: LogConnection,
    guard: LogIdentityGuard,
}

impl WriteOnceRecords {
    pub(crate) const fn new(db: Db, writer: LogConnection, guard: LogIdentityGuard) -> Self {
        Self { db, writer, guard }
    }

    /// Writes a record unless its key has one; returns the value that is stored.
    pub async fn record(&self, book: &str, record: &WriteOnceRecord) -> Result<String, StoreError> {
        if self.record_all(book, std::slice::from_ref(record)).await? > 0 {
            return Ok(record.value.clone());
        }
        let stored = self.find(book, &record.key).await?;
        stored.ok_or_else(|| {
            StoreError::Conflict(format!("the entry {} of the book {book} is gone", record.key))
        })
    }

    /// Writes the records whose keys have none yet, in their order; returns how many those were.
    pub async fn record_all(
        &self,
        book: &str,
        records: &[WriteOnceRecord],
    ) -> Result<u64, StoreError> {
        let mut written = 0;
        for chunk in records.chunks(MAX_PER_STATEMENT) {
            written += self.record_chunk(book, chunk).await?;
        }
        Ok(written)
    }

    async fn record_chunk(
        &self,
        book: &str,
        records: &[WriteOnceRecord],
    ) -> Result<u64, StoreError> {
        match &self.writer {
            LogConnection::Postgres(pool) => {
                let sql = "INSERT INTO books (book, key, value) SELECT $1, e.key, e.value \
                           FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS e (key, value, n) \
                           ORDER BY e.n ON CONFLICT (book, key) DO NOTHING";
                let (keys, values): (Vec<&str>, Vec<&str>) = records
                    .iter()
                    .map(|record| (record.key.as_str(), record.value.as_str()))
                    .unzip();
                let query = sqlx::query(sql).bind(book).bind(keys).bind(values);
                Ok(query.execute(pool).await?.rows_affected())
            }
            LogConnection::Sqlite(_) => {
                let sql = "INSERT INTO books (book, key, value) \
                           SELECT $1, e.value ->> 0, e.value ->> 1 FROM json_each($2) AS e \
                           WHERE true ORDER BY e.key ON CONFLICT (book, key) DO NOTHING";
                let rows: Vec<[&str; 2]> = records
                    .iter()
                    .map(|record| [record.key.as_str(), record.value.as_str()])
                    .collect();
                let rows = serde_json::to_string(&rows)
                    .map_err(|error| StoreError::Rejected(error.to_string()))?;
                on_writer!(&self.writer, connection => {
                    let query = sqlx::query(sql).bind(book).bind(rows);
                    // A record that a failed sync left behind must not count as written when it is found.
                    let done = query.execute(connection).await.map_err(StoreError::from);
                    done.map(|done| done.rows_affected())
                        .inspect_err(|error| self.guard.notice(error))
                })
            }
        }
    }

    /// The value of a key.
    pub async fn find(&self, book: &str, key: &str) -> Result<Option<String>, StoreError> {
        on_db!(&self.db, pool => {
            let sql = "SELECT value FROM books WHERE book = $1 AND key = $2";
            Ok(sqlx::query_scalar(sql).bind(book).bind(key).fetch_optional(pool).await?)
        })
    }

    /// All records of a book, in the order of writing.
    pub async fn all(&self, book: &str) -> Result<Vec<WriteOnceRecord>, StoreError> {
        let rows: Vec<(String, String)> = on_db!(&self.db, pool => {
            let sql = "SELECT key, value FROM books WHERE book = $1 ORDER BY entry";
            sqlx::query_as(sql).bind(book).fetch_all(pool).await?
        });
        Ok(rows.into_iter().map(|(key, value)| WriteOnceRecord { key, value }).collect())
    }
}
