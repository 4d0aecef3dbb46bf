//! The baseline: PostgreSQL's own binary COPY of whole tables, to a file and from it.

use anyhow::Context;
use futures::TryStreamExt;
use sqlx::{Connection, PgConnection};
use std::path::Path;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

/// The columns of a table; generated ones are named, because COPY leaves them out otherwise.
fn columns(table: &str) -> &'static str {
    match table {
        "events" => {
            "position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, \
             metadata, recorded_at"
        }
        _ => {
            "command_id, fingerprint, aggregate_type, aggregate_id, first_sequence, event_count, \
             refusal"
        }
    }
}

/// Copies a table into a file, events in the order of positions as in an export.
pub(crate) async fn copy_out(url: &str, table: &str, file: &Path) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    let sql = format!("COPY {table} ({}) TO STDOUT (FORMAT binary)", columns(table));
    let mut output = tokio::io::BufWriter::new(File::create(file).await?);
    {
        let mut data = connection.copy_out_raw(&sql).await?;
        while let Some(part) = data.try_next().await? {
            output.write_all(&part).await?;
        }
    }
    output.flush().await?;
    connection.close().await?;
    Ok(())
}

/// Copies a table from a file, in one transaction.
pub(crate) async fn copy_in(url: &str, table: &str, file: &Path) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    let sql = format!("COPY {table} ({}) FROM STDIN (FORMAT binary)", columns(table));
    let mut copy = connection.copy_in_raw(&sql).await.context("COPY FROM")?;
    copy.read_from(File::open(file).await?).await?;
    copy.finish().await?;
    connection.close().await?;
    Ok(())
}
