//! Stock cqrs-es over postgres-es and sqlite-es, as their documentation shows, with GDmarket's aggregate:
//! the decisions are the same, and only the way to the log differs.

use crate::workload;
use cqrs_es::{CqrsFramework, EventStore};
use gdmarket_bench::cell::{Cell, Pace, closed_loop};
use gdmarket_bench::database::{self, STOCK_TABLE};
use gdmarket_domain::{Item, ItemNo};
use gdmarket_testkit::PgCluster;
use postgres_es::postgres_cqrs;
use sqlite_es::sqlite_cqrs;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use std::sync::Arc;

/// The table of sqlite-es 0.5 (its migrations).
const STOCK_SQLITE_TABLE: &str = "CREATE TABLE events (
    aggregate_type text NOT NULL, aggregate_id text NOT NULL,
    sequence integer CHECK (sequence >= 0) NOT NULL, event_type text NOT NULL,
    event_version text NOT NULL, payload text NOT NULL, metadata text NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)) STRICT";

/// cqrs-es + postgres-es with a pool of this size.
pub(crate) async fn postgres(
    cluster: &PgCluster,
    pace: Pace,
    pool_size: u32,
    candidate: &'static str,
) -> anyhow::Result<Cell> {
    let url = database::fresh(&cluster.url(), "bench_stock", STOCK_TABLE).await?;
    let pool = PgPoolOptions::new().max_connections(pool_size).connect(&url).await?;
    let cell = drive(candidate, pace, postgres_cqrs::<Item>(pool.clone(), vec![], ())).await;
    pool.close().await;
    Ok(cell)
}

/// cqrs-es + sqlite-es with its ten connections, but with `synchronous=FULL`.
pub(crate) async fn sqlite(pace: Pace) -> anyhow::Result<Cell> {
    let folder = tempfile::tempdir()?;
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("stock.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true);
    let pool = SqlitePoolOptions::new().max_connections(10).connect_with(options).await?;
    sqlx::raw_sql(STOCK_SQLITE_TABLE).execute(&pool).await?;
    let cell = drive("stock", pace, sqlite_cqrs::<Item>(pool.clone(), vec![], ())).await;
    pool.close().await;
    Ok(cell)
}

async fn drive<ES>(candidate: &'static str, pace: Pace, cqrs: CqrsFramework<Item, ES>) -> Cell
where
    ES: EventStore<Item, AC: Send> + 'static,
{
    let cqrs = Arc::new(cqrs);
    closed_loop(candidate, pace, move |meter, n| {
        let cqrs = Arc::clone(&cqrs);
        async move {
            let Ok(commands) = item(n).and_then(workload::lifecycle) else { return };
            for command in commands {
                if meter.command(cqrs.execute(&n.to_string(), command)).await.is_err() {
                    return;
                }
            }
        }
    })
    .await
}

fn item(n: u64) -> anyhow::Result<ItemNo> {
    Ok(ItemNo::new(i64::try_from(n)?)?)
}
