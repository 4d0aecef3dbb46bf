//! Logs of a given length, made by the database itself: items that are registered, made dearer and
//! held, three events each, with metadata as the program writes it.

use gdmarket_bench::database;
use gdmarket_store::{Store, StoreOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use std::path::Path;

/// `$ROWS` and `$OBJECT` are what the engines spell apart.
const EVENTS: &str = r"
    INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
    SELECT 'item', no, sequence,
        CASE sequence WHEN 1 THEN 'ItemRegistered' WHEN 2 THEN 'ItemChanged' ELSE 'ItemHeld' END, '1',
        CASE sequence
            WHEN 1 THEN $OBJECT('ItemRegistered', $OBJECT('itemNo', n, 'ownerId', 7,
                'itemName', 'Camera with two lenses, a tripod and a bag; handed over at the door', 'itemPrice', 10000))
            WHEN 2 THEN $OBJECT('ItemChanged', $OBJECT('itemNo', n,
                'itemName', 'Camera with two lenses, a tripod and a bag; handed over at the door', 'itemPrice', 12000))
            ELSE $OBJECT('ItemHeld', $OBJECT('itemNo', n, 'reservationNo', n, 'renterId', 1 + n % 1000, 'ownerId', 7,
                'period', NULL, 'from', '2027-01-05',
                'itemName', 'Camera with two lenses, a tripod and a bag; handed over at the door', 'itemPrice', 12000))
        END,
        $OBJECT('commandId', '0193a5b0-0000-7000-8000-000000000000', 'correlationId', '0193a5b0-0000-7000-8000-000000000000',
            'actor', 'owner:7', 'schemaVersion', '1',
            'traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01')
    FROM ($ROWS) AS rows
";

const POSTGRES_ROWS: &str = "SELECT (i + 2) / 3 AS n, ((i + 2) / 3)::text AS no, \
     1 + (i - 1) % 3 AS sequence FROM generate_series(1, $EVENTS) AS i \
     ORDER BY i + $APART * ((i + 2) % 3), i";

const SQLITE_ROWS: &str = "WITH RECURSIVE numbers(i) AS \
     (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < $EVENTS) \
     SELECT (i + 2) / 3 AS n, CAST((i + 2) / 3 AS TEXT) AS no, 1 + (i - 1) % 3 AS sequence \
     FROM numbers";

fn events(rows: &str, object: &str, (events, apart): (u32, u32)) -> String {
    let sql = EVENTS.replace("$ROWS", rows).replace("$OBJECT", object);
    sql.replace("$EVENTS", &events.to_string()).replace("$APART", &apart.to_string())
}

/// Our log on PostgreSQL, so many events of other items between two of one.
pub(crate) async fn postgres(url: &str, (count, apart): (u32, u32)) -> anyhow::Result<()> {
    let options = StoreOptions { url: url.to_owned(), ..StoreOptions::default() };
    Store::migrate(&options).await?;
    fill(url, (count, apart)).await
}

/// The stock table, in a database that has it.
pub(crate) async fn stock(url: &str, count: u32) -> anyhow::Result<()> {
    fill(url, (count, 0)).await
}

async fn fill(url: &str, events_apart: (u32, u32)) -> anyhow::Result<()> {
    let pool = database::connect(url).await?;
    let sql = events(POSTGRES_ROWS, "json_build_object", events_apart);
    for sql in [sql.as_str(), "VACUUM ANALYZE", "CHECKPOINT"] {
        sqlx::raw_sql(sql).execute(&pool).await?;
    }
    pool.close().await;
    Ok(())
}

/// Our log on SQLite, in this folder.
pub(crate) async fn sqlite(folder: &Path, count: u32) -> anyhow::Result<()> {
    let url = format!("sqlite:{}", folder.display());
    Store::migrate(&StoreOptions { url, ..StoreOptions::default() }).await?;
    let file = SqliteConnectOptions::new().filename(folder.join("log.db"));
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(file).await?;
    sqlx::raw_sql(&events(SQLITE_ROWS, "json_object", (count, 0))).execute(&pool).await?;
    pool.close().await;
    Ok(())
}
