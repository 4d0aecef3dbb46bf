//! Names of persons, outside the log so that they can be erased: events carry only the person's
//! id. Written together with an append, joined when read.

use crate::db::{Db, LogConnection, on_writer};
use crate::error::StoreError;
use sqlx::Row;
use std::collections::HashMap;

/// What is known of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonalData {
    /// The person.
    pub person_id: i64,
    /// Their name.
    pub name: String,
}

/// The table of names.
#[derive(Debug, Clone)]
pub struct PersonalDataTable {
    db: Db,
    writer: LogConnection,
}

impl PersonalDataTable {
    pub(crate) const fn new(db: Db, writer: LogConnection) -> Self {
        Self { db, writer }
    }

    /// The names of these persons: absent when never told, `None` when erased.
    pub async fn get_many(
        &self,
        person_ids: &[i64],
    ) -> Result<HashMap<i64, Option<String>>, StoreError> {
        if person_ids.is_empty() {
            return Ok(HashMap::new());
        }
        let rows: Vec<(i64, Option<String>)> = match &self.db {
            Db::Postgres(pool) => {
                let sql = "SELECT person_id, name FROM personal_data WHERE person_id = ANY($1)";
                sqlx::query_as(sql).bind(person_ids).fetch_all(pool).await?
            }
            Db::Sqlite { read, .. } => {
                let ids = serde_json::to_string(person_ids)
                    .map_err(|error| StoreError::Rejected(error.to_string()))?;
                let sql = "SELECT person_id, name FROM personal_data \
                           WHERE person_id IN (SELECT value FROM json_each($1))";
                sqlx::query_as(sql).bind(ids).fetch_all(read).await?
            }
        };
        Ok(rows.into_iter().collect())
    }

    /// Forgets what is known of a person, until they tell their name again: says whether anything was
    /// known.
    pub async fn erase(&self, person_id: i64) -> Result<bool, StoreError> {
        let known = "SELECT name FROM personal_data WHERE person_id = $1";
        let erase = "INSERT INTO personal_data (person_id, name) VALUES ($1, NULL) \
                     ON CONFLICT (person_id) DO UPDATE SET name = NULL";
        on_writer!(&self.writer, connection => {
            let row = sqlx::query(known).bind(person_id).fetch_optional(&mut *connection).await?;
            let known = match row {
                Some(row) => row.try_get::<Option<String>, _>(0)?.is_some(),
                None => false,
            };
            sqlx::query(erase).bind(person_id).execute(connection).await?;
            Ok(known)
        })
    }
}
