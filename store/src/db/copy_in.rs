//! Writes rows by PostgreSQL's COPY in its binary format: a count of fields per row, and per field its length and its
//! bytes (PostgreSQL's manual, COPY, "File Formats").

use crate::error::StoreError;
use serde::Serialize;
use sqlx::PgConnection;
use sqlx::postgres::PgCopyIn;

/// The beginning of the format: its signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// The trailer, in place of the count of fields of another row.
const END: i16 = -1;
/// The length of NULL.
const NULL: i32 = -1;
/// Bytes that are sent at once.
const PIECE: usize = 256 * 1024;

/// A COPY in progress. Dropped before its end, it writes nothing.
pub struct CopyIn<'c> {
    copy: PgCopyIn<&'c mut PgConnection>,
    fields: i16,
    data: Vec<u8>,
}

impl std::fmt::Debug for CopyIn<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CopyIn").field("waiting", &self.data.len()).finish_non_exhaustive()
    }
}

impl<'c> CopyIn<'c> {
    /// Begins to fill a table, its columns separated by commas; both are code, never input.
    pub async fn begin(
        connection: &'c mut PgConnection,
        table: &str,
        columns: &str,
    ) -> Result<Self, StoreError> {
        let sql = format!("COPY {table} ({columns}) FROM STDIN (FORMAT binary)");
        let copy = connection.copy_in_raw(&sql).await?;
        let fields = i16::try_from(columns.split(',').count())
            .map_err(|_| StoreError::Rejected(format!("{table}: too many columns")))?;
        let mut data = Vec::with_capacity(PIECE + PIECE / 4);
        data.extend_from_slice(HEADER);
        Ok(Self { copy, fields, data })
    }

    /// Begins a row: its fields follow in the order of the columns. Buffered rows are sent first, once they are large.
    pub async fn row(&mut self) -> Result<(), StoreError> {
        if self.data.len() >= PIECE {
            self.send().await?;
        }
        self.data.extend_from_slice(&self.fields.to_be_bytes());
        Ok(())
    }

    /// A `bigint`.
    pub fn number(&mut self, number: impl Into<Option<i64>>) -> Result<(), StoreError> {
        self.bytes(number.into().map(i64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice))
    }

    /// A `text` or `json`.
    pub fn text<'t>(&mut self, text: impl Into<Option<&'t str>>) -> Result<(), StoreError> {
        self.bytes(text.into().map(str::as_bytes))
    }

    /// Any type whose binary form is known.
    pub fn bytes<'b>(&mut self, bytes: impl Into<Option<&'b [u8]>>) -> Result<(), StoreError> {
        let Some(bytes) = bytes.into() else {
            self.data.extend_from_slice(&NULL.to_be_bytes());
            return Ok(());
        };
        self.data.extend_from_slice(&length(bytes.len())?);
        self.data.extend_from_slice(bytes);
        Ok(())
    }

    /// A `json` that is serialised here.
    pub fn document(&mut self, value: &impl Serialize) -> Result<(), StoreError> {
        let before = self.data.len();
        self.data.extend_from_slice(&NULL.to_be_bytes());
        let begin = self.data.len();
        serde_json::to_writer(&mut self.data, value)
            .map_err(|error| StoreError::Rejected(error.to_string()))?;
        let length = length(self.data.len() - begin)?;
        if let Some(place) = self.data.get_mut(before..begin) {
            place.copy_from_slice(&length);
        }
        Ok(())
    }

    /// Sends the buffered rows.
    pub async fn send(&mut self) -> Result<(), StoreError> {
        self.copy.send(self.data.as_slice()).await?;
        self.data.clear();
        Ok(())
    }

    /// Ends the COPY: from now on the transaction sees the rows in the table.
    pub async fn finish(mut self) -> Result<(), StoreError> {
        self.data.extend_from_slice(&END.to_be_bytes());
        self.send().await?;
        self.copy.finish().await?;
        Ok(())
    }

    /// Discards the rows that were sent.
    pub async fn abort(self, why: &str) {
        if let Err(error) = self.copy.abort(why).await {
            tracing::debug!(%error, "the database ends it by itself");
        }
    }
}

fn length(bytes: usize) -> Result<[u8; 4], StoreError> {
    let length = i32::try_from(bytes);
    length.map(i32::to_be_bytes).map_err(|_| StoreError::Rejected(format!("a field of {bytes} B")))
}
