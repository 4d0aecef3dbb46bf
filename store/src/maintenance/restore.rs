//! The declaration of a restore: the log gets a new epoch, so that no reader takes a position of the lost part for
//! one of its own, and everything that was read from the log is adjusted to it. Only an operator knows that the log was
//! restored; the command line calls this on an operator's request.

use crate::db::{Db, Tx};
use crate::error::StoreError;
use crate::log::{self, Identity};
use crate::{on_db, on_tx};
use sqlx::Executor;

/// The result of declaring a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// The log's epoch from now on.
    pub epoch: i64,
    /// The derived data didn't belong to this copy of the log and are rebuilt from the beginning.
    pub rebuilds: bool,
    /// Where the log ends.
    pub head: i64,
    /// How far views and managers had read, of any log.
    pub read_to: i64,
}

/// The tables that are derived from the log, in addition to those of views.
const DERIVED: [&str; 8] = [
    "checkpoints",
    "deadlines",
    "parked",
    "parked_events",
    "dropped",
    "generations",
    "loop_problems",
    "sources",
];

/// What belongs to subscriptions of other services' logs. A view that is fed by one of them is built again.
const OF_OTHER_SERVICES: [&str; 6] = [
    "DELETE FROM generations WHERE view IN (SELECT subscription FROM checkpoints \
     WHERE source IN (SELECT log_id FROM sources))",
    "DELETE FROM checkpoints WHERE source IN (SELECT log_id FROM sources)",
    "DELETE FROM deadlines WHERE manager LIKE '%@%'",
    "DELETE FROM parked WHERE subscription LIKE '%@%'",
    "DELETE FROM parked_events WHERE subscription LIKE '%@%'",
    "DELETE FROM sources",
];

/// Declares that the log was restored. Checkpoints change first: where this is interrupted before the log's own epoch
/// is raised, every reader of the log refuses to continue, and a second declaration repairs that.
pub(crate) async fn declare_restored(log: &Db, views: &Db) -> Result<Restored, StoreError> {
    let identity = Identity::read(log).await?;
    let epoch = identity.epoch + 1;
    let head = log::head(log).await?;
    let mut tx = views.begin().await?;
    // A restored service may also follow others that were restored: their logs are read from the beginning.
    for sql in OF_OTHER_SERVICES {
        on_tx!(&mut tx, connection => {
            connection.execute(sql).await?;
        });
    }
    let foreign: i64 = on_tx!(&mut tx, connection => {
        let sql = "SELECT count(*) FROM checkpoints WHERE source <> $1 OR position > $2";
        let query = sqlx::query_scalar(sql).bind(identity.log_id.to_string()).bind(head);
        query.fetch_one(connection).await?
    });
    let read_to: i64 = on_tx!(&mut tx, connection => {
        let sql = "SELECT coalesce(max(position), 0) FROM checkpoints";
        sqlx::query_scalar(sql).fetch_one(connection).await?
    });
    let rebuilds = foreign > 0;
    if rebuilds {
        forget(&mut tx, |_| true).await?;
    } else {
        on_tx!(&mut tx, connection => {
            let query = sqlx::query("UPDATE checkpoints SET log_epoch = $1").bind(epoch);
            query.execute(connection).await?;
        });
    }
    tx.commit().await?;
    on_db!(write log, pool => {
        let query = sqlx::query("UPDATE identity SET epoch = $1 WHERE id = 1").bind(epoch);
        query.execute(pool).await?;
    });
    Ok(Restored { epoch, rebuilds, head, read_to })
}

/// Lets views and managers begin at zero again; a repeated reaction has no second effect. The tables of views that
/// `is_derived` knows, by their names without `view_`, are dropped and created again by their rebuild.
pub(crate) async fn forget(
    tx: &mut Tx,
    is_derived: impl Fn(&str) -> bool,
) -> Result<(), StoreError> {
    let list = match tx {
        Tx::Postgres(_) => {
            "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()"
        }
        Tx::Sqlite(_) => "SELECT name FROM sqlite_master WHERE type = 'table'",
    };
    let tables: Vec<String> = on_tx!(&mut *tx, connection => {
        sqlx::query_scalar(list).fetch_all(connection).await?
    });
    let is_view = |table: &&String| table.strip_prefix("view_").is_some_and(&is_derived);
    let views = tables.iter().filter(is_view);
    let drops = views.map(|table| format!("DROP TABLE \"{}\"", table.replace('"', "\"\"")));
    let deletes = DERIVED.iter().map(|table| format!("DELETE FROM {table}"));
    for sql in drops.chain(deletes) {
        on_tx!(&mut *tx, connection => {
            connection.execute(sql.as_str()).await?;
        });
    }
    Ok(())
}
