//! Names of persons, outside the log so that they can be erased: events carry only the person's id. A name belongs to
//! the stream that it came with. It is written together with an append, and joined when it is read.
//!
//! Earlier versions kept one name per person. A stream without a row of its own is from that time and shows that name;
//! only its erasure still writes it.

mod erase;

use crate::db::{Db, LogConnection};
use crate::error::StoreError;
use crate::log::identity_guard::LogIdentityGuard;
pub use erase::{Erased, Remains};
use std::collections::HashMap;

/// The person of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PersonalData {
    /// The person and their name, if they gave one.
    Of {
        /// The person.
        person_id: i64,
        /// Their name.
        name: Option<String>,
    },
    /// The stream shows no name any more.
    Forgotten,
}

impl PersonalData {
    pub(crate) const fn person_id(&self) -> Option<i64> {
        match self {
            Self::Of { person_id, .. } => Some(*person_id),
            Self::Forgotten => None,
        }
    }

    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Of { name, .. } => name.as_deref(),
            Self::Forgotten => None,
        }
    }
}

/// The table of names.
#[derive(Debug, Clone)]
pub struct PersonalDataTable {
    db: Db,
    writer: LogConnection,
    guard: LogIdentityGuard,
}

impl PersonalDataTable {
    pub(crate) const fn new(db: Db, writer: LogConnection, guard: LogIdentityGuard) -> Self {
        Self { db, writer, guard }
    }

    /// The names that came with these streams of one kind, each given as its number and its person. A
    /// stream that isn't in the answer has none, or none any more.
    pub async fn of_streams(
        &self,
        kind: &str,
        streams: &[(i64, i64)],
    ) -> Result<HashMap<i64, String>, StoreError> {
        if streams.is_empty() {
            return Ok(HashMap::new());
        }
        let kept = self.kept(kind, streams).await?;
        let is_older = |(number, _): &&(i64, i64)| !kept.contains_key(&number.to_string());
        let older: Vec<(i64, i64)> = streams.iter().filter(is_older).copied().collect();
        let of_persons = self.of_persons(&older).await?;
        let name = |(number, person): &(i64, i64)| {
            let name = match kept.get(&number.to_string()) {
                Some(name) => name.clone(),
                None => of_persons.get(person).cloned().flatten(),
            };
            name.map(|name| (*number, name))
        };
        Ok(streams.iter().filter_map(name).collect())
    }

    /// The rows of these streams, by the stream's id.
    async fn kept(
        &self,
        kind: &str,
        streams: &[(i64, i64)],
    ) -> Result<HashMap<String, Option<String>>, StoreError> {
        let ids: Vec<String> = streams.iter().map(|(number, _)| number.to_string()).collect();
        let rows: Vec<(String, Option<String>)> = match &self.db {
            Db::Postgres(pool) => {
                let sql = "SELECT aggregate_id, name FROM personal_names \
                           WHERE aggregate_type = $1 AND aggregate_id = ANY($2)";
                sqlx::query_as(sql).bind(kind).bind(ids).fetch_all(pool).await?
            }
            Db::Sqlite { read, .. } => {
                let sql = "SELECT aggregate_id, name FROM personal_names WHERE aggregate_type = $1 \
                           AND aggregate_id IN (SELECT value FROM json_each($2))";
                sqlx::query_as(sql).bind(kind).bind(json(&ids)?).fetch_all(read).await?
            }
        };
        Ok(rows.into_iter().collect())
    }

    /// The names of these streams' persons from when names were kept by person.
    async fn of_persons(
        &self,
        streams: &[(i64, i64)],
    ) -> Result<HashMap<i64, Option<String>>, StoreError> {
        if streams.is_empty() {
            return Ok(HashMap::new());
        }
        let persons: Vec<i64> = streams.iter().map(|(_, person)| *person).collect();
        let rows: Vec<(i64, Option<String>)> = match &self.db {
            Db::Postgres(pool) => {
                let sql = "SELECT person_id, name FROM personal_data WHERE person_id = ANY($1)";
                sqlx::query_as(sql).bind(persons).fetch_all(pool).await?
            }
            Db::Sqlite { read, .. } => {
                let sql = "SELECT person_id, name FROM personal_data \
                           WHERE person_id IN (SELECT value FROM json_each($1))";
                sqlx::query_as(sql).bind(json(&persons)?).fetch_all(read).await?
            }
        };
        Ok(rows.into_iter().collect())
    }

    /// Erases the names of a person from all their streams, and from the engine's copies of old rows as far as
    /// possible, also for names that are erased already. A stream that begins later may come with a name again, which
    /// other streams don't show.
    pub async fn erase(&self, person_id: i64) -> Result<Erased, StoreError> {
        match &self.writer {
            LogConnection::Postgres(pool) => erase::postgres(pool, person_id).await,
            LogConnection::Sqlite(writer) => erase::sqlite(writer, &self.guard, person_id).await,
        }
    }
}

fn json(values: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(values).map_err(|error| StoreError::Rejected(error.to_string()))
}
