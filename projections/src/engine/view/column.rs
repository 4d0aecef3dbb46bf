//! The declaration of a column of a view's table.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use gdmarket_store::{ColumnKind, Field, TableColumn};

/// A column of a view's table: its name, its type, and its value for a row.
#[derive(Debug)]
pub struct Column<R> {
    name: &'static str,
    is_indexed: bool,
    content: Content<R>,
}

#[derive(Debug)]
enum Content<R> {
    Number(fn(&R) -> Option<i64>),
    Text(fn(&R) -> Option<&str>),
    Date(fn(&R) -> Option<NaiveDate>),
    Time(fn(&R) -> Option<DateTime<Utc>>),
}

impl<R> Column<R> {
    /// A column of numbers.
    pub const fn number(name: &'static str, content: fn(&R) -> Option<i64>) -> Self {
        Self { name, is_indexed: false, content: Content::Number(content) }
    }

    /// A column of texts.
    pub const fn text(name: &'static str, content: fn(&R) -> Option<&str>) -> Self {
        Self { name, is_indexed: false, content: Content::Text(content) }
    }

    /// A column of days, as texts: `2027-01-31`.
    pub const fn date(name: &'static str, content: fn(&R) -> Option<NaiveDate>) -> Self {
        Self { name, is_indexed: false, content: Content::Date(content) }
    }

    /// A column of times, as texts in UTC: `2027-01-31T09:30:00Z`.
    pub const fn time(name: &'static str, content: fn(&R) -> Option<DateTime<Utc>>) -> Self {
        Self { name, is_indexed: false, content: Content::Time(content) }
    }

    /// This column with an index, for queries that filter by it.
    #[must_use]
    pub const fn indexed(mut column: Self) -> Self {
        column.is_indexed = true;
        column
    }

    /// The name of the column.
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// Whether the column has an index.
    pub(crate) const fn is_indexed(&self) -> bool {
        self.is_indexed
    }

    /// The column as the table is created with it.
    pub(crate) const fn of_table(&self) -> TableColumn {
        let kind = match self.content {
            Content::Number(_) => ColumnKind::Number,
            Content::Text(_) | Content::Date(_) | Content::Time(_) => ColumnKind::Text,
        };
        TableColumn { name: self.name, kind }
    }

    /// Computes the value and drops it: a view whose column panics can't fold the event.
    pub(crate) fn evaluate(&self, row: &R) {
        match self.content {
            Content::Number(content) => {
                content(row);
            }
            Content::Text(content) => {
                content(row);
            }
            Content::Date(content) => {
                content(row);
            }
            Content::Time(content) => {
                content(row);
            }
        }
    }

    /// The value for this row.
    pub(crate) fn field(&self, row: &R) -> Field {
        match self.content {
            Content::Number(content) => Field::Number(content(row)),
            Content::Text(content) => Field::Text(content(row).map(str::to_owned)),
            Content::Date(content) => Field::Text(content(row).map(|day| day.to_string())),
            Content::Time(content) => Field::Text(content(row).map(text_of_time)),
        }
    }
}

/// A time in the format of the JSON documents.
fn text_of_time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
