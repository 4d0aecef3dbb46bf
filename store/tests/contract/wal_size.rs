//! SQLite's write-ahead log grows while a reader blocks its checkpoints, and shrinks afterwards.

use crate::support::{append, counted, open, raw};
use gdmarket_store::{NewEvent, on_db};
use gdmarket_testkit::{TestDb, run};

/// The size in bytes that the write-ahead log may keep.
const KEPT: u64 = 16 * 1024 * 1024;
const BIG: usize = 900_000;

#[test]
fn write_ahead_log_shrinks_once_its_reader_is_gone() {
    run(async {
        let db = TestDb::sqlite();
        let store = open(&db).await;
        let wal = db.folder().unwrap().join("log.db-wal");
        let size = || std::fs::metadata(&wal).unwrap().len();
        let reader = raw(&db).await.snapshot().await;
        let mut reader = reader.unwrap();
        gdmarket_store::on_tx!(&mut reader, connection => {
            sqlx::query("SELECT count(*) FROM events").execute(connection).await.map(drop)
        })
        .unwrap();
        let big = || {
            let payload = format!("{{\"Counted\":{{\"by\":1,\"x\":\"{}\"}}}}", "x".repeat(BIG));
            NewEvent { payload, ..counted(1) }
        };
        for number in 1..=30 {
            let mut one = append(u128::try_from(number).unwrap(), number, 0);
            one.events = vec![big()];
            store.appender().append(one).await.unwrap();
        }
        assert!(size() > KEPT, "control: the reader blocked the checkpoints");
        reader.rollback().await.unwrap();
        for number in 31..=33 {
            store
                .appender()
                .append(append(u128::try_from(number).unwrap(), number, 0))
                .await
                .unwrap();
        }
        assert!(size() <= KEPT, "{}", size());
        store.close().await;
        let left = on_db!(&raw(&db).await, pool => {
            sqlx::query_scalar::<_, i64>("SELECT count(*) FROM events").fetch_one(pool).await
        });
        assert!(left.unwrap() >= 33);
    });
}
