//! The parts of the database's schema that the log relies on: columns, keys, and on PostgreSQL the encoding, the
//! ordering trigger and the identity of positions. A database that was restored in parts, or changed by hand, may lack
//! some of them, and then events would be skipped or stored twice without an error. A start refuses such a database; `check`
//! names each fault.
//!
//! The expected schema isn't written down a second time: the migrations are applied to an empty SQLite database in
//! memory, and its columns and keys are those that either engine must have.

mod postgres;
mod sqlite;

use crate::db::sqlite::{self as engine, File};
use crate::db::{Db, Tx, migration};
use crate::error::StoreError;
use crate::maintenance::snapshot::Snapshot;
use std::collections::BTreeSet;
use std::fmt;

/// Something that must hold of a table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Fact {
    /// The table has this column.
    Column(String, String),
    /// The column takes no NULL.
    NotNull(String, String),
    /// These columns together are unique, in any order.
    Unique(String, BTreeSet<String>),
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column(table, column) => write!(f, "{table} has no column {column}"),
            Self::NotNull(table, column) => write!(f, "{table}.{column} takes NULL"),
            Self::Unique(table, columns) => {
                let columns = columns.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
                write!(f, "{table} has no unique key over ({columns})")
            }
        }
    }
}

/// The faults of the tables of a file, or of the whole PostgreSQL database.
async fn faults_of(tx: &mut Tx, file: Option<File>) -> Result<Vec<String>, StoreError> {
    let (expected, found) = (expected_facts(file).await?, facts(tx).await?);
    let mut faults = match tx {
        Tx::Postgres(session) => postgres::faults(session).await?,
        Tx::Sqlite(session) => sqlite::faults(session, file).await?,
    };
    faults.extend(expected.difference(&found).map(ToString::to_string));
    Ok(faults)
}

async fn facts(tx: &mut Tx) -> Result<BTreeSet<Fact>, StoreError> {
    match tx {
        Tx::Postgres(session) => postgres::facts(session).await,
        Tx::Sqlite(session) => sqlite::facts(session).await,
    }
}

/// The columns and keys that the migrations make, of one file or of both together.
async fn expected_facts(file: Option<File>) -> Result<BTreeSet<Fact>, StoreError> {
    let model = engine::in_memory().await?;
    migration::apply(&model, file).await?;
    let mut tx = model.snapshot().await?;
    let made = facts(&mut tx).await?;
    tx.rollback().await?;
    model.close().await;
    Ok(made)
}

/// Refuses a PostgreSQL database that can't hold every name, before anything is created in it.
pub(crate) async fn refuse_encoding(db: &Db) -> Result<(), StoreError> {
    let Db::Postgres(pool) = db else { return Ok(()) };
    let encoding = postgres::encoding_fault(&mut pool.acquire().await?).await?;
    encoding.map_or(Ok(()), |fault| Err(StoreError::Schema(fault)))
}

/// Refuses a database whose schema lacks a part that the log relies on; the error names everything that is missing.
pub(crate) async fn verify_schema(log: &Db, views: &Db) -> Result<(), StoreError> {
    let mut missing = Vec::new();
    if views.is_postgres() {
        missing.extend(faults_of(&mut views.snapshot().await?, None).await?);
    } else {
        for (db, file) in [(log, File::Log), (views, File::Views)] {
            missing.extend(faults_of(&mut db.snapshot().await?, Some(file)).await?);
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(StoreError::Schema(missing.join("; "))) }
}

/// Everything that the schema lacks in a snapshot.
pub(super) async fn faults(snapshot: &mut Snapshot) -> Result<Vec<String>, StoreError> {
    if matches!(snapshot.log, Tx::Postgres(_)) {
        return faults_of(&mut snapshot.log, None).await;
    }
    let mut missing = faults_of(&mut snapshot.log, Some(File::Log)).await?;
    missing.extend(faults_of(snapshot.views(), Some(File::Views)).await?);
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_keys_of_the_log_are_expected() {
        let facts = expected_facts(Some(File::Log)).await.unwrap();
        let unique = |columns: &[&str]| {
            let columns = columns.iter().map(|column| (*column).to_owned()).collect();
            Fact::Unique("events".to_owned(), columns)
        };
        assert!(facts.contains(&unique(&["aggregate_type", "aggregate_id", "sequence"])));
        assert!(facts.contains(&unique(&["position"])));
        assert!(facts.contains(&Fact::NotNull("events".to_owned(), "sequence".to_owned())));
        assert!(!facts.iter().any(|fact| fact.to_string().contains("checkpoints")));
    }
}
