//! The declaration of a column of a view's table.

use gdmarket_store::{ColumnKind, Field, TableColumn};
use std::borrow::Cow;

/// A column of a view's table: its name, its type, and what it holds of a row.
#[derive(Debug)]
pub struct Column<R> {
    name: &'static str,
    is_indexed: bool,
    content: Content<R>,
}

#[derive(Debug)]
enum Content<R> {
    Number(fn(&R) -> Option<i64>),
    Text(fn(&R) -> Option<Cow<'_, str>>),
}

impl<R> Column<R> {
    /// A column of numbers.
    pub const fn number(name: &'static str, content: fn(&R) -> Option<i64>) -> Self {
        Self { name, is_indexed: false, content: Content::Number(content) }
    }

    /// A column of texts.
    pub const fn text(name: &'static str, content: fn(&R) -> Option<Cow<'_, str>>) -> Self {
        Self { name, is_indexed: false, content: Content::Text(content) }
    }

    /// This column, with an index: rows are found by it.
    #[must_use]
    pub const fn indexed(mut column: Self) -> Self {
        column.is_indexed = true;
        column
    }

    /// Its name.
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// Whether rows are found by it.
    pub(crate) const fn is_indexed(&self) -> bool {
        self.is_indexed
    }

    /// As the table is made with it.
    pub(crate) const fn of_table(&self) -> TableColumn {
        let kind = match self.content {
            Content::Number(_) => ColumnKind::Number,
            Content::Text(_) => ColumnKind::Text,
        };
        TableColumn { name: self.name, kind }
    }

    /// Works out what it holds, without keeping that: a view whose column panics can't fold the event.
    pub(crate) fn evaluate(&self, row: &R) {
        match self.content {
            Content::Number(content) => {
                content(row);
            }
            Content::Text(content) => {
                content(row);
            }
        }
    }

    /// What it holds of this row.
    pub(crate) fn field(&self, row: &R) -> Field {
        match self.content {
            Content::Number(content) => Field::Number(content(row)),
            Content::Text(content) => Field::Text(content(row).map(Cow::into_owned)),
        }
    }
}
