//! Making, swapping and throwing away the tables of a view. Each build has a table of its own, and the
//! one that is served has the view's plain name.

use super::{ViewTable, rights};
use crate::engine::view::View;
use gdmarket_store::{Db, Leases, StoreError, Tx, on_db, on_tx};
use sqlx::Executor;

/// How long making a table go away may wait for those who use it, and hold up who comes after.
const LOCK_WITHIN: &str = "SET LOCAL lock_timeout = '2s'";

/// No helpers for an index: their start is dear, and who has the database for itself makes several
/// indexes at the same time.
const BY_ITSELF: &str = "SET LOCAL max_parallel_maintenance_workers = 0";

impl<V: View> ViewTable<V> {
    /// Makes the table without anything to find rows by but their number: filled in bulk, indexes are
    /// dear.
    pub(crate) async fn create_bare(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let name = &self.name;
        // On SQLite a key of this very type is the row's own, without an index beside.
        let key = match tx {
            Tx::Postgres(_) => "bigint",
            Tx::Sqlite(_) => "INTEGER",
        };
        let sql = format!(
            "CREATE TABLE {name} (no {key} PRIMARY KEY, sequence bigint NOT NULL, \
             gone bigint NOT NULL, owner_id bigint, customer_id bigint, item_no bigint, \
             reservation_no bigint, status text, stale_since bigint, stale_reason text, \
             doc text NOT NULL)"
        );
        run(tx, &sql).await
    }

    /// Lets rows be found by a column.
    pub(crate) async fn index(&self, db: &Db, column: &str) -> Result<(), StoreError> {
        let name = &self.name;
        let mut tx = db.begin().await?;
        if let Tx::Postgres(_) = tx {
            run(&mut tx, BY_ITSELF).await?;
        }
        // On SQLite every entry ends with the row's own key anyway.
        let key = if db.is_postgres() { ", no" } else { "" };
        // What isn't there is never asked for, and needs no entry.
        let sql = format!(
            "CREATE INDEX {name}_{column} ON {name} ({column}{key}) WHERE {column} IS NOT NULL"
        );
        run(&mut tx, &sql).await?;
        tx.commit().await
    }

    /// Takes the place of the table that is served, from the end of `tx` on; indexes keep their names.
    pub(crate) async fn serve(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let live = Self::served();
        if let Tx::Postgres(_) = tx {
            run(tx, LOCK_WITHIN).await?;
        }
        rights::carry_over(tx, &live.name, &self.name).await?;
        run(tx, &format!("DROP TABLE IF EXISTS {}", live.name)).await?;
        run(tx, &format!("ALTER TABLE {} RENAME TO {}", self.name, live.name)).await
    }

    /// Whether the table is there.
    pub(crate) async fn exists(&self, db: &Db) -> Result<bool, StoreError> {
        let sql = match db {
            Db::Postgres(_) => {
                "SELECT count(*) FROM pg_tables \
                                WHERE schemaname = current_schema() AND tablename = $1"
            }
            Db::Sqlite { .. } => {
                "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = $1"
            }
        };
        let count: i64 = on_db!(db, pool => {
            sqlx::query_scalar(sql).bind(&self.name).fetch_one(pool).await?
        });
        Ok(count > 0)
    }

    /// As [`ViewTable::exists`], as `tx` sees it.
    pub(crate) async fn exists_in(&self, tx: &mut Tx) -> Result<bool, StoreError> {
        let sql = match tx {
            Tx::Postgres(_) => {
                "SELECT count(*) FROM pg_tables \
                                WHERE schemaname = current_schema() AND tablename = $1"
            }
            Tx::Sqlite(_) => {
                "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = $1"
            }
        };
        let count: i64 = on_tx!(tx, connection => {
            sqlx::query_scalar(sql).bind(&self.name).fetch_one(connection).await?
        });
        Ok(count > 0)
    }

    /// Throws the table away.
    pub(crate) async fn remove(&self, db: &Db) -> Result<(), StoreError> {
        remove(db, &self.name).await
    }

    /// Throws away whatever builds of leases before this epoch left behind, and those of other versions
    /// unless somebody is at one; says how many tables that were. A later lease's table is never touched:
    /// this may be the one that is late. One that somebody still has a transaction on, stopped in the
    /// middle of it, is left to the next.
    pub(crate) async fn remove_leftovers(db: &Db, epoch: i64) -> Result<usize, StoreError> {
        let prefix = format!("view_{}_v", V::NAME);
        let sql = match db {
            Db::Postgres(_) => {
                "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema() \
                 AND left(tablename, length($1)) = $1"
            }
            Db::Sqlite { .. } => {
                "SELECT name FROM sqlite_master WHERE type = 'table' \
                 AND substr(name, 1, length($1)) = $1"
            }
        };
        let names: Vec<String> = on_db!(db, pool => {
            sqlx::query_scalar(sql).bind(&prefix).fetch_all(pool).await
        })?;
        let leases = Leases::new(db.clone()).all().await?;
        let is_leftover = |name: &&String| {
            // `view_item_info_v3_g2_7`; what is served ends with its version.
            let Some((of, build_of)) = name.rsplit_once("_g") else { return false };
            let version = of.strip_prefix(&prefix).and_then(|version| version.parse::<u32>().ok());
            let build = of.replacen("view_", "build_", 1);
            let is_at_work = leases.iter().any(|lease| lease.name == build && !lease.is_over);
            match version {
                Some(version) if version == V::VERSION => is_before(build_of, epoch),
                Some(_) => !is_at_work,
                None => false,
            }
        };
        let mut removed = 0;
        for name in names.iter().filter(is_leftover) {
            match remove(db, name).await {
                Ok(()) => removed += 1,
                Err(StoreError::Unavailable(why)) if db.is_postgres() => {
                    tracing::warn!(table = name, why, "what a build left behind is in use");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(removed)
    }
}

/// Whether a build, `2_7` for generation 2 under epoch 7, is of an earlier lease.
fn is_before(build_of: &str, epoch: i64) -> bool {
    let of_lease = build_of.rsplit_once('_').and_then(|(_, epoch)| epoch.parse::<i64>().ok());
    of_lease.is_none_or(|of_lease| of_lease < epoch)
}

async fn remove(db: &Db, table: &str) -> Result<(), StoreError> {
    let mut tx = db.begin().await?;
    if let Tx::Postgres(_) = tx {
        run(&mut tx, LOCK_WITHIN).await?;
    }
    run(&mut tx, &format!("DROP TABLE IF EXISTS {table}")).await?;
    tx.commit().await
}

async fn run(tx: &mut Tx, sql: &str) -> Result<(), StoreError> {
    on_tx!(tx, connection => connection.execute(sql).await.map(drop))?;
    Ok(())
}
