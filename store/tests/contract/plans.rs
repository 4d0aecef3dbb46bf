//! PostgreSQL caches query plans. No plan of the log's statements may read a whole table, whether it was made while the
//! table was empty or later.

use crate::support::*;
use gdmarket_store::Db;
use gdmarket_testkit::{TestDb, eventually};
use sqlx::Executor;

#[test]
fn no_statement_of_the_log_reads_a_whole_table() {
    gdmarket_testkit::run(async {
        let db = TestDb::postgres().await;
        let store = open(&db).await;
        let Db::Postgres(pool) = raw(&db).await else { panic!("PostgreSQL") };
        for command in 1..=30_u128 {
            if command % 10 == 3 {
                // From now on the planner knows that reading these few rows is cheap.
                pool.execute("ANALYZE events; ANALYZE receipts").await.unwrap();
            }
            let number = i64::try_from(command).unwrap();
            store.log().head().await.unwrap();
            store.log().read_after(number - 2, 10).await.unwrap();
            store.log().stream(&stream(number), 0).await.unwrap();
            let loaded = store.aggregates::<Counter>().lock(number).await.unwrap();
            loaded.append(append(command, number, 0)).await.unwrap();
            store.appender().append(append(command + 100, number, 1)).await.unwrap();
            // A duplicate, which is appended alone and looks for its receipt.
            store.appender().append(append(command, number, 2)).await.unwrap_err();
            store.receipts().find(id(command)).await.unwrap().unwrap();
            assert!(store.numbers().is_in_use(NUMBERS, number).await.unwrap());
        }
        // A session reports its statistics at its end at the latest.
        store.close().await;
        let scans = "SELECT relname::text, seq_scan, idx_scan FROM pg_stat_user_tables \
                     WHERE relname IN ('events', 'receipts') ORDER BY relname";
        eventually(LIMIT, async || {
            let scans: Vec<(String, i64, i64)> =
                sqlx::query_as(scans).fetch_all(&pool).await.unwrap();
            let reported = scans.iter().all(|(_, _, by_index)| *by_index >= 30);
            if reported { Ok(scans) } else { Err(scans) }
        })
        .await
        .into_iter()
        // Building an index reads the table, and ANALYZE may, but far less often than there are commands.
        .for_each(|(table, whole, _)| assert!(whole <= 10, "{table} was read {whole} times"));
    });
}
