//! Reading a page of rows by conditions.

use super::read::{NumberedRow, document};
use super::{RowDocument, RowTable};
use crate::db::Db;
use crate::error::StoreError;
use crate::on_db;
use sqlx::QueryBuilder;

/// A condition for the rows of a page. Names of columns and tables are code, never input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition<'a> {
    /// A column holds this number.
    Number(&'a str, i64),
    /// A column holds this text.
    Text(&'a str, &'a str),
    /// A column holds the number of a row in another table, of which a column holds this number.
    Of {
        /// The column of this table.
        column: &'a str,
        /// The other table.
        table: &'a str,
        /// The other table's column.
        of: &'a str,
        /// The number in it.
        number: i64,
    },
}

/// A page of rows, ascending by number.
#[derive(Debug, Clone)]
pub struct PageQuery<'a> {
    /// The conditions that each row meets.
    pub conditions: Vec<Condition<'a>>,
    /// Rows after this number.
    pub after: i64,
    /// At most so many rows.
    pub limit: i64,
}

impl RowTable {
    /// The rows of a page that are shown.
    pub async fn page(
        &self,
        db: &Db,
        page: &PageQuery<'_>,
    ) -> Result<Vec<NumberedRow<RowDocument>>, StoreError> {
        on_db!(db, pool => {
            let mut query = QueryBuilder::new(&self.sql.documents);
            query.push(" WHERE gone = 0 AND no > ").push_bind(page.after);
            for condition in &page.conditions {
                match *condition {
                    Condition::Number(column, number) => {
                        query.push(format!(" AND {column} = ")).push_bind(number);
                    }
                    Condition::Text(column, text) => {
                        query.push(format!(" AND {column} = ")).push_bind(text.to_owned());
                    }
                    Condition::Of { column, table, of, number } => {
                        query
                            .push(format!(" AND {column} IN (SELECT no FROM {table} WHERE {of} = "))
                            .push_bind(number)
                            .push(")");
                    }
                }
            }
            query.push(" ORDER BY no LIMIT ").push_bind(page.limit);
            let found = query.build().fetch_all(pool).await.map_err(StoreError::from)?;
            found.iter().map(document).collect()
        })
    }
}
