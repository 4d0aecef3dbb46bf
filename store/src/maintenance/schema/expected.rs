//! The columns and keys that the migrations make.

use super::Fact;
use super::sqlite::{COLUMNS, KEYS, column_facts, key_facts};
use crate::db::migration::{MIGRATIONS, TABLE, belongs};
use crate::db::sqlite::File;
use crate::error::StoreError;
use rusqlite::Connection;
use std::collections::BTreeSet;

/// Of one file, or of both together.
pub(super) fn facts(file: Option<File>) -> Result<BTreeSet<Fact>, StoreError> {
    let model = Connection::open_in_memory()?;
    model.execute_batch(TABLE)?;
    for migration in MIGRATIONS.iter().filter(|migration| belongs(migration, file)) {
        model.execute_batch(migration.sqlite)?;
    }
    let mut columns = model.prepare(COLUMNS)?;
    let columns =
        columns.query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    let mut facts = column_facts(columns.collect::<Result<Vec<_>, _>>()?);
    let mut keys = model.prepare(KEYS)?;
    let keys = keys.query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    facts.extend(key_facts(keys.collect::<Result<Vec<_>, _>>()?));
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_the_log_are_expected() {
        let facts = facts(Some(File::Log)).unwrap();
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
