//! The columns and keys of a SQLite file. The same statements read what the migrations make in memory.

use super::Fact;
use crate::db::Session;
use crate::db::sqlite::File;
use crate::error::StoreError;
use sqlx::Sqlite;
use std::collections::{BTreeMap, BTreeSet};

/// Table, column, whether it takes no NULL, and its place in the primary key.
const COLUMNS: &str = "SELECT t.name, c.name, c.\"notnull\", c.pk \
    FROM sqlite_master t, pragma_table_info(t.name) c \
    WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' ORDER BY 1, 2";
/// Table, unique index and one column of it.
const KEYS: &str = "SELECT t.name, i.name, c.name \
    FROM sqlite_master t, pragma_index_list(t.name) i, pragma_index_info(i.name) c \
    WHERE t.type = 'table' AND i.\"unique\" = 1 AND i.partial = 0 AND c.name IS NOT NULL";

type ColumnRow = (String, String, i64, i64);
type KeyColumn = (String, String, String);

fn column_facts(columns: Vec<ColumnRow>) -> BTreeSet<Fact> {
    let mut facts = BTreeSet::new();
    let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (table, column, not_null, key) in columns {
        facts.insert(Fact::Column(table.clone(), column.clone()));
        if not_null != 0 {
            facts.insert(Fact::NotNull(table.clone(), column.clone()));
        }
        if key != 0 {
            keys.entry(table).or_default().insert(column);
        }
    }
    facts.extend(keys.into_iter().map(|(table, columns)| Fact::Unique(table, columns)));
    facts
}

fn key_facts(columns: Vec<KeyColumn>) -> BTreeSet<Fact> {
    let mut keys: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for (table, key, column) in columns {
        keys.entry((table, key)).or_default().insert(column);
    }
    keys.into_iter().map(|((table, _), columns)| Fact::Unique(table, columns)).collect()
}

pub(super) async fn facts(session: &mut Session<Sqlite>) -> Result<BTreeSet<Fact>, StoreError> {
    let columns: Vec<ColumnRow> = sqlx::query_as(COLUMNS).fetch_all(&mut *session).await?;
    let keys: Vec<KeyColumn> = sqlx::query_as(KEYS).fetch_all(session).await?;
    let mut facts = column_facts(columns);
    facts.extend(key_facts(keys));
    Ok(facts)
}

/// A position that was used once must never be used again, also when the last events are gone.
pub(super) async fn faults(
    session: &mut Session<Sqlite>,
    file: Option<File>,
) -> Result<Vec<String>, StoreError> {
    if file != Some(File::Log) {
        return Ok(Vec::new());
    }
    let sql = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'events' \
               AND sql LIKE '%AUTOINCREMENT%'";
    let counted: i64 = sqlx::query_scalar(sql).fetch_one(session).await?;
    let fault = "events.position isn't AUTOINCREMENT: a position could be used twice";
    Ok(if counted == 1 { Vec::new() } else { vec![fault.to_owned()] })
}
