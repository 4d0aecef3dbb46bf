//! Logs of a given length, made by the database itself: registrations, each `Alerted` on the alarm's
//! stream and `ItemRegistered` on the item's, with metadata and receipts as the program writes them.

use gdmarket_bench::database;
use gdmarket_store::{Store, StoreOptions};

const OURS: &str = r"
    CREATE TEMPORARY TABLE filling AS SELECT n, (n + 1) / 2 AS no, n % 2 = 1 AS alarm,
        decode(md5(n::text), 'hex') AS id FROM generate_series(1, $EVENTS) AS n;
    INSERT INTO receipts (command_id, fingerprint, aggregate_type, aggregate_id, first_sequence, event_count)
        SELECT id, sha256(id), CASE WHEN alarm THEN 'alarm' ELSE 'item' END, no::text, 1, 1
        FROM filling ORDER BY n;
    INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
        SELECT CASE WHEN alarm THEN 'alarm' ELSE 'item' END, no::text, 1,
            CASE WHEN alarm THEN 'Alerted' ELSE 'ItemRegistered' END, '1',
            CASE WHEN alarm THEN json_build_object('Alerted', json_build_object('itemNo', no))
                ELSE json_build_object('ItemRegistered', json_build_object('itemNo', no, 'ownerId', 7,
                    'itemName', 'Camera with two lenses, a tripod and a bag; handed over at the door',
                    'itemPrice', 10000)) END,
            json_build_object('commandId', encode(id, 'hex')::uuid, 'correlationId', encode(id, 'hex')::uuid,
                'actor', 'owner:7', 'schemaVersion', '1',
                'traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01')
        FROM filling ORDER BY n;
    INSERT INTO numbers (kind, last) VALUES ('item', $EVENTS / 2 + 1);
";

const STOCK: &str = r"
    INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
        SELECT 'item', (random() * 9000000000000000)::bigint::text, 1, 'ItemRegistered', '1',
            json_build_object('ItemRegistered', json_build_object('itemNo', n, 'ownerId', 7,
                'itemName', 'Camera with two lenses, a tripod and a bag; handed over at the door',
                'itemPrice', 10000)),
            json_build_object('commandId', gen_random_uuid(), 'correlationId', gen_random_uuid(),
                'actor', 'owner:7', 'schemaVersion', '1')
        FROM generate_series(1, $EVENTS) AS n;
";

/// Our log with so many events.
pub(crate) async fn ours(url: &str, events: u32) -> anyhow::Result<()> {
    let options = StoreOptions { url: url.to_owned(), ..StoreOptions::default() };
    Store::migrate(&options).await?;
    run(url, OURS, events).await
}

/// The stock table with so many events, under keys at random as pgbench writes them.
pub(crate) async fn stock(url: &str, events: u32) -> anyhow::Result<()> {
    run(url, STOCK, events).await
}

async fn run(url: &str, sql: &str, events: u32) -> anyhow::Result<()> {
    let pool = database::connect(url).await?;
    sqlx::raw_sql(&sql.replace("$EVENTS", &events.to_string())).execute(&pool).await?;
    // As a table is that grew over time, and nothing left to be written during the first cell.
    sqlx::raw_sql("VACUUM ANALYZE").execute(&pool).await?;
    sqlx::raw_sql("CHECKPOINT").execute(&pool).await?;
    pool.close().await;
    Ok(())
}
