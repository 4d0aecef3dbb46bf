//! Tables of rows that are folded from streams: one row per stream, the same on both engines. The user
//! of a table declares its columns, in addition to the table's own.
//!
//! A table's own columns are the stream's number (`no`), the last sequence that is in the row, whether the
//! row is gone, since when and why it is stale, and the document that it is read from.

mod ddl;
mod page;
mod read;
mod rights;
mod write;

pub use ddl::Leftover;
pub use page::{Condition, PageQuery};
pub use read::NumberedRow;

use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};
use std::sync::Arc;

/// The type of a declared column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// A `bigint`.
    Number,
    /// A `text`.
    Text,
}

/// A column that the user of a table declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableColumn {
    /// Its name; code, never input.
    pub name: &'static str,
    /// Its type.
    pub kind: ColumnKind,
}

/// The content of a declared column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Field {
    /// Of a [`ColumnKind::Number`].
    Number(Option<i64>),
    /// Of a [`ColumnKind::Text`].
    Text(Option<String>),
}

/// A whole row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRow {
    /// The stream's number.
    pub number: i64,
    /// The last sequence that is in the row.
    pub sequence: i64,
    /// Not 0 if the row is kept, but no longer shown.
    pub gone: i64,
    /// The declared columns, in their order.
    pub fields: Vec<Field>,
    /// Since when the row is stale, in microseconds.
    pub stale_since: Option<i64>,
    /// Why it is stale.
    pub stale_reason: Option<String>,
    /// The document that the row is read from, as JSON.
    pub document: String,
}

/// The document of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowDocument {
    /// The stream's number.
    pub number: i64,
    /// The last sequence that is in the row.
    pub sequence: i64,
    /// Since when the row is stale, in microseconds.
    pub stale_since: Option<i64>,
    /// Why it is stale.
    pub stale_reason: Option<String>,
    /// The document, as JSON.
    pub document: String,
}

impl From<TableRow> for RowDocument {
    fn from(row: TableRow) -> Self {
        let TableRow { number, sequence, stale_since, stale_reason, document, .. } = row;
        Self { number, sequence, stale_since, stale_reason, document }
    }
}

/// A table of rows; cheap to clone.
#[derive(Debug, Clone)]
pub struct RowTable {
    name: String,
    columns: Arc<[TableColumn]>,
    sql: Arc<Statements>,
}

/// The statements of a table that are always the same, so that they are prepared once.
#[derive(Debug)]
struct Statements {
    /// All columns, separated by commas.
    columns: String,
    documents: String,
    upsert_from_arrays: String,
    upsert_from_json: String,
    upsert: String,
}

impl RowTable {
    /// The table of this name with these columns; whether it exists is another matter.
    pub fn new(name: String, columns: impl IntoIterator<Item = TableColumn>) -> Self {
        let columns: Arc<[TableColumn]> = columns.into_iter().collect();
        let sql = Arc::new(Statements::of(&name, &columns));
        Self { name, columns, sql }
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Statements {
    fn of(table: &str, declared: &[TableColumn]) -> Self {
        let before = ["no", "sequence", "gone"].map(|name| (name, ColumnKind::Number));
        let after = [
            ("stale_since", ColumnKind::Number),
            ("stale_reason", ColumnKind::Text),
            ("doc", ColumnKind::Text),
        ];
        let declared = declared.iter().map(|column| (column.name, column.kind));
        let all: Vec<(&str, ColumnKind)> =
            before.into_iter().chain(declared).chain(after).collect();
        let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        let columns = names.join(", ");
        let replaced = names.iter().skip(1).map(|name| format!("{name} = excluded.{name}"));
        let replaced: Vec<String> = replaced.collect();
        let upsert = format!("ON CONFLICT (no) DO UPDATE SET {}", replaced.join(", "));
        let arrays = all.iter().enumerate().map(|(at, (_, kind))| match kind {
            ColumnKind::Number => format!("${}::bigint[]", at + 1),
            ColumnKind::Text => format!("${}::text[]", at + 1),
        });
        let arrays = arrays.collect::<Vec<_>>().join(", ");
        let values = (0..all.len()).map(|at| format!("value ->> {at}"));
        let values = values.collect::<Vec<_>>().join(", ");
        let insert = format!("INSERT INTO {table} ({columns})");
        Self {
            documents: format!("SELECT no, sequence, stale_since, stale_reason, doc FROM {table}"),
            upsert_from_arrays: format!("{insert} SELECT * FROM unnest({arrays}) {upsert}"),
            upsert_from_json: format!(
                "{insert} SELECT {values} FROM json_each($1) WHERE true {upsert}"
            ),
            upsert,
            columns,
        }
    }
}

/// As an array of its columns.
impl Serialize for TableRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_seq(Some(6 + self.fields.len()))?;
        for number in [self.number, self.sequence, self.gone] {
            row.serialize_element(&number)?;
        }
        for field in &self.fields {
            row.serialize_element(field)?;
        }
        row.serialize_element(&self.stale_since)?;
        row.serialize_element(&self.stale_reason)?;
        row.serialize_element(&self.document)?;
        row.end()
    }
}
