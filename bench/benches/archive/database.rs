//! A log as a market would have written it, to fill the source with.

use gdmarket_testkit::PgCluster;
use sqlx::{Connection, Executor, PgConnection};

/// Three events per stream, with the payloads and metadata of a real market, and a receipt for each.
const FILL: &str = r#"
INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
SELECT 'item', (n / 3 + 1)::text, n % 3 + 1,
       CASE n % 3 WHEN 0 THEN 'ItemRegistered' WHEN 1 THEN 'ItemChanged' ELSE 'ItemDeleted' END, '1',
       ('{"ItemRegistered":{"itemNo":' || n / 3 + 1 || ',"ownerId":7,"itemName":"Camera with two lenses, a tripod and a bag; handed over at the door","itemPrice":10000}}')::json,
       ('{"actor":"owner:7","commandId":"' || md5(n::text)::uuid || '","correlationId":"' || md5('c' || n)::uuid || '","schemaVersion":"1","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}')::json
FROM generate_series(0, EVENTS - 1) AS n;
INSERT INTO receipts (command_id, fingerprint, aggregate_type, aggregate_id, first_sequence, event_count)
SELECT uuid_send(md5(n::text)::uuid), decode(md5(n::text) || md5('f' || n), 'hex'), 'item',
       (n / 3 + 1)::text, n % 3 + 1, 1
FROM generate_series(0, EVENTS - 1) AS n;
ANALYZE events, receipts"#;

/// Writes the dirty pages of the last cell, so that the next cell doesn't pay for them.
pub(crate) async fn settle(cluster: &PgCluster) -> anyhow::Result<()> {
    let mut admin = PgConnection::connect(&cluster.url()).await?;
    admin.execute("CHECKPOINT").await?;
    admin.close().await?;
    Ok(())
}

/// Writes a log of this many events.
pub(crate) async fn fill(url: &str, events: u32) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    let sql = FILL.replace("EVENTS", &events.to_string());
    sqlx::raw_sql(&sql).execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}
