//! Stock cqrs-es over postgres-es and sqlite-es, as their documents say, with our own aggregate:
//! the same decisions, so that only the way to the log differs.

use crate::cell::{Cell, Pace, closed_loop};
use crate::workload;
use anyhow::Context;
use cqrs_es::{CqrsFramework, EventStore};
use gdmarket_domain::{Item, ItemNo};
use gdmarket_testkit::PgCluster;
use postgres_es::postgres_cqrs;
use sqlite_es::sqlite_cqrs;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use std::sync::Arc;

/// The table of postgres-es 0.5 (its db/init.sql).
pub(crate) const STOCK_POSTGRES_TABLE: &str = "CREATE TABLE events (
    aggregate_type text NOT NULL, aggregate_id text NOT NULL,
    sequence bigint CHECK (sequence >= 0) NOT NULL, event_type text NOT NULL,
    event_version text NOT NULL, payload json NOT NULL, metadata json NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence))";

/// The table of sqlite-es 0.5 (its migrations).
const STOCK_SQLITE_TABLE: &str = "CREATE TABLE events (
    aggregate_type text NOT NULL, aggregate_id text NOT NULL,
    sequence integer CHECK (sequence >= 0) NOT NULL, event_type text NOT NULL,
    event_version text NOT NULL, payload text NOT NULL, metadata text NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)) STRICT";

/// Gives the server room for the run; durability stays as PostgreSQL ships it.
pub(crate) async fn give_memory(cluster: &PgCluster) -> anyhow::Result<()> {
    let admin = PgPoolOptions::new().max_connections(1).connect(&cluster.url()).await?;
    for setting in ["shared_buffers = '1GB'", "max_wal_size = '8GB'"] {
        sqlx::raw_sql(&format!("ALTER SYSTEM SET {setting}")).execute(&admin).await?;
    }
    admin.close().await;
    cluster.stop();
    cluster.start();
    Ok(())
}

/// Drops and makes a database of this name, runs `schema` in it, and tells its URL.
pub(crate) async fn fresh_database(
    cluster: &PgCluster,
    name: &'static str,
    schema: &'static str,
) -> anyhow::Result<String> {
    let admin = PgPoolOptions::new().max_connections(1).connect(&cluster.url()).await?;
    sqlx::raw_sql(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).execute(&admin).await?;
    sqlx::raw_sql(&format!("CREATE DATABASE {name}")).execute(&admin).await?;
    admin.close().await;
    let url = cluster
        .url()
        .rsplit_once('/')
        .map(|(server, _)| format!("{server}/{name}"))
        .context("a server URL")?;
    if !schema.is_empty() {
        let pool = PgPoolOptions::new().max_connections(1).connect(&url).await?;
        sqlx::raw_sql(schema).execute(&pool).await?;
        pool.close().await;
    }
    Ok(url)
}

/// cqrs-es + postgres-es with a pool of this size.
pub(crate) async fn postgres(
    cluster: &PgCluster,
    pace: Pace,
    pool_size: u32,
    candidate: &'static str,
) -> anyhow::Result<Cell> {
    let url = fresh_database(cluster, "bench_stock", STOCK_POSTGRES_TABLE).await?;
    let pool = PgPoolOptions::new().max_connections(pool_size).connect(&url).await?;
    let cell = drive(candidate, pace, postgres_cqrs::<Item>(pool.clone(), vec![], ())).await;
    pool.close().await;
    Ok(cell)
}

/// cqrs-es + sqlite-es, its ten connections, but `synchronous=FULL`.
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
                if !meter.command(cqrs.execute(&n.to_string(), command)).await {
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
