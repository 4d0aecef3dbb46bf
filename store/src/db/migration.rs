//! The schema: SQL files compiled in, applied in order, each in a transaction of its own, by one
//! process at a time. Each leaves a row that names the oldest program it still serves, so that only
//! programs older than that refuse to run.

use crate::db::postgres::LIMIT_SILENCE;
use crate::db::sqlite::File;
use crate::db::{Db, Tx};
use crate::error::StoreError;
use crate::on_db;
use crate::on_tx;
use sqlx::Executor;

/// One step of the schema, on both engines.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Migration {
    pub(crate) version: i64,
    pub(crate) name: &'static str,
    /// The newest version that a program must know at least to work on this schema.
    pub(crate) serves_from: i64,
    /// Which of SQLite's files it belongs to; on PostgreSQL there is one database.
    pub(crate) file: File,
    pub(crate) postgres: &'static str,
    pub(crate) sqlite: &'static str,
}

/// All steps, in order.
const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "0001_log",
        serves_from: 1,
        file: File::Log,
        postgres: include_str!("../../migrations/postgres/0001_log.sql"),
        sqlite: include_str!("../../migrations/sqlite/log/0001_log.sql"),
    },
    Migration {
        version: 2,
        name: "0002_checkpoints",
        serves_from: 1,
        file: File::Views,
        postgres: include_str!("../../migrations/postgres/0002_checkpoints.sql"),
        sqlite: include_str!("../../migrations/sqlite/views/0002_checkpoints.sql"),
    },
    Migration {
        version: 3,
        name: "0003_generations",
        serves_from: 1,
        file: File::Views,
        postgres: include_str!("../../migrations/postgres/0003_generations.sql"),
        sqlite: include_str!("../../migrations/sqlite/views/0003_generations.sql"),
    },
    Migration {
        version: 4,
        name: "0004_personal_names",
        // An older program, which keeps names by person, would rename, and erase only half.
        serves_from: 4,
        file: File::Log,
        postgres: include_str!("../../migrations/postgres/0004_personal_names.sql"),
        sqlite: include_str!("../../migrations/sqlite/log/0004_personal_names.sql"),
    },
    Migration {
        version: 5,
        name: "0005_token_key",
        serves_from: 4,
        file: File::Log,
        postgres: include_str!("../../migrations/postgres/0005_token_key.sql"),
        sqlite: include_str!("../../migrations/sqlite/log/0005_token_key.sql"),
    },
    Migration {
        version: 6,
        name: "0006_loop_problems",
        serves_from: 4,
        file: File::Views,
        postgres: include_str!("../../migrations/postgres/0006_loop_problems.sql"),
        sqlite: include_str!("../../migrations/sqlite/views/0006_loop_problems.sql"),
    },
    Migration {
        version: 7,
        name: "0007_books",
        // An older program, which keeps its books elsewhere, would not see the records here.
        serves_from: 7,
        file: File::Log,
        postgres: include_str!("../../migrations/postgres/0007_books.sql"),
        sqlite: include_str!("../../migrations/sqlite/log/0007_books.sql"),
    },
    Migration {
        version: 8,
        name: "0008_no_statistics_of_names",
        serves_from: 1,
        file: File::Log,
        postgres: include_str!("../../migrations/postgres/0008_no_statistics_of_names.sql"),
        sqlite: include_str!("../../migrations/sqlite/log/0008_no_statistics_of_names.sql"),
    },
    Migration {
        version: 9,
        name: "0009_deadline_problems",
        serves_from: 1,
        file: File::Views,
        postgres: include_str!("../../migrations/postgres/0009_deadline_problems.sql"),
        sqlite: include_str!("../../migrations/sqlite/views/0009_deadline_problems.sql"),
    },
    Migration {
        version: 10,
        name: "0010_sources",
        // An older program reads its own log only, and refuses the checkpoints of others.
        serves_from: 1,
        file: File::Views,
        postgres: include_str!("../../migrations/postgres/0010_sources.sql"),
        sqlite: include_str!("../../migrations/sqlite/views/0010_sources.sql"),
    },
];

/// The result of a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The names of the steps that were applied.
    pub applied: Vec<String>,
    /// The schema of the PostgreSQL database that has the tables.
    pub schema: Option<String>,
}

/// Serialises migrations of several processes on PostgreSQL.
const MIGRATION_LOCK: i64 = 0x6764_6d6b_6d69_6772;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    version bigint PRIMARY KEY,
    name text NOT NULL,
    serves_from bigint NOT NULL,
    applied_at bigint NOT NULL
)";

/// The newest version this program knows for these files.
pub(crate) fn newest(file: Option<File>) -> i64 {
    let mine = MIGRATIONS.iter().filter(|migration| belongs(migration, file));
    mine.map(|migration| migration.version).max().unwrap_or(0)
}

/// Without a file: to the one PostgreSQL database.
fn belongs(migration: &Migration, file: Option<File>) -> bool {
    file.is_none_or(|file| migration.file == file)
}

/// Applies the missing steps; returns their names.
pub(crate) async fn apply(db: &Db, file: Option<File>) -> Result<Vec<String>, StoreError> {
    let mut applied = Vec::new();
    for migration in MIGRATIONS.iter().filter(|migration| belongs(migration, file)) {
        let mut tx = db.begin().await?;
        if is_applied(&mut tx, migration).await? {
            tx.rollback().await?;
            continue;
        }
        let sql = if db.is_postgres() { migration.postgres } else { migration.sqlite };
        on_tx!(&mut tx, connection => {
            connection.execute(sql).await?;
        });
        let record = format!(
            "INSERT INTO schema_migrations (version, name, serves_from, applied_at) \
             VALUES ($1, $2, $3, {})",
            db.now()
        );
        on_tx!(&mut tx, connection => {
            let query = sqlx::query(&record).bind(migration.version);
            let query = query.bind(migration.name).bind(migration.serves_from);
            query.execute(connection).await?;
        });
        tx.commit().await?;
        applied.push(migration.name.to_owned());
    }
    if let Db::Postgres(pool) = db {
        pool.execute(LIMIT_SILENCE).await?;
    }
    Ok(applied)
}

/// Blocks migrations of other processes until `tx` ends.
pub(crate) async fn lock(tx: &mut Tx) -> Result<(), StoreError> {
    if let Tx::Postgres(transaction) = tx {
        let sql = "SELECT pg_advisory_xact_lock($1)";
        sqlx::query(sql).bind(MIGRATION_LOCK).execute(&mut **transaction).await?;
    }
    Ok(())
}

/// Takes the lock first: another process may have been faster.
async fn is_applied(tx: &mut Tx, migration: &Migration) -> Result<bool, StoreError> {
    lock(tx).await?;
    on_tx!(&mut *tx, connection => {
        connection.execute(TABLE).await?;
    });
    let found: Option<i64> = on_tx!(tx, connection => {
        let sql = "SELECT version FROM schema_migrations WHERE version = $1";
        sqlx::query_scalar(sql).bind(migration.version).fetch_optional(connection).await?
    });
    Ok(found.is_some())
}

/// Refuses a schema that isn't for this program.
pub(crate) async fn check(db: &Db, file: Option<File>) -> Result<(), StoreError> {
    let (schema, serves_from) = applied(db).await?;
    let (needed, program) = (newest(file), newest(None));
    if serves_from > program {
        return Err(StoreError::TooNew { schema, program });
    }
    if schema < needed {
        return Err(StoreError::NeedsMigration { schema, program: needed });
    }
    Ok(())
}

/// The newest step applied, and the version a program must know at least.
async fn applied(db: &Db) -> Result<(i64, i64), StoreError> {
    let exists: bool = match db {
        Db::Postgres(pool) => {
            let sql = "SELECT to_regclass('schema_migrations') IS NOT NULL";
            sqlx::query_scalar(sql).fetch_one(pool).await?
        }
        Db::Sqlite { read, .. } => {
            let sql = "SELECT count(*) > 0 FROM sqlite_master WHERE name = 'schema_migrations'";
            sqlx::query_scalar(sql).fetch_one(read).await?
        }
    };
    if !exists {
        return Ok((0, 0));
    }
    on_db!(db, pool => {
        let sql = "SELECT coalesce(max(version), 0), coalesce(max(serves_from), 0) \
                   FROM schema_migrations";
        Ok(sqlx::query_as(sql).fetch_one(pool).await?)
    })
}

#[cfg(test)]
mod tests {
    use super::MIGRATIONS;
    use crate::db::sqlite::File;
    use std::collections::BTreeSet;
    use std::path::Path;

    /// The file names without ending.
    fn names(folder: &str) -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
        let entries = std::fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().path());
        names.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn both_engines_list_the_same_versions() {
        let listed = |file: Option<File>| -> BTreeSet<String> {
            let mine = MIGRATIONS.iter().filter(|m| file.is_none_or(|file| m.file == file));
            mine.map(|migration| migration.name.to_owned()).collect()
        };
        assert_eq!(names("postgres"), listed(None));
        assert_eq!(names("sqlite/log"), listed(Some(File::Log)));
        assert_eq!(names("sqlite/views"), listed(Some(File::Views)));
    }

    #[test]
    fn versions_count_up_and_name_their_files() {
        for (version, migration) in (1..).zip(MIGRATIONS) {
            assert_eq!(migration.version, version);
            assert!(migration.name.starts_with(&format!("{version:04}_")), "{}", migration.name);
            assert!(migration.serves_from <= version);
        }
    }
}
