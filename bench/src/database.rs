//! Databases on the run's server, one per candidate.

use anyhow::Context as _;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

/// The table of postgres-es 0.5 (its db/init.sql).
pub const STOCK_TABLE: &str = "CREATE TABLE events (
    aggregate_type text NOT NULL, aggregate_id text NOT NULL,
    sequence bigint CHECK (sequence >= 0) NOT NULL, event_type text NOT NULL,
    event_version text NOT NULL, payload json NOT NULL, metadata json NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence))";

/// Connects with a pool of one connection.
pub async fn connect(url: &str) -> anyhow::Result<PgPool> {
    Ok(PgPoolOptions::new().max_connections(1).connect(url).await?)
}

/// Raises the server's memory limits from its next start on; durability stays at PostgreSQL's defaults.
pub async fn give_memory(server: &str) -> anyhow::Result<()> {
    let admin = connect(server).await?;
    for setting in ["shared_buffers = '1GB'", "max_wal_size = '8GB'"] {
        sqlx::raw_sql(&format!("ALTER SYSTEM SET {setting}")).execute(&admin).await?;
    }
    admin.close().await;
    Ok(())
}

/// Drops and creates a database of this name, runs `schema` in it, and returns its URL.
pub async fn fresh(
    server: &str,
    name: &'static str,
    schema: &'static str,
) -> anyhow::Result<String> {
    let admin = connect(server).await?;
    sqlx::raw_sql(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).execute(&admin).await?;
    sqlx::raw_sql(&format!("CREATE DATABASE {name}")).execute(&admin).await?;
    admin.close().await;
    let url = server.rsplit_once('/').map(|(server, _)| format!("{server}/{name}"));
    let url = url.context("a server URL")?;
    if !schema.is_empty() {
        let pool = connect(&url).await?;
        sqlx::raw_sql(schema).execute(&pool).await?;
        pool.close().await;
    }
    Ok(url)
}
