//! A damaged page of the log's table fails only the commands that need the page, with an error that names damage.

use crate::support::*;
use gdmarket_store::{AppendError, StoreError};
use gdmarket_testkit::{DamagedPages, POSTGRES_PAGE, PgCluster, TestDb};

/// This many events fill some pages; those after the middle are on other pages than the events before.
const FILLING: i64 = 200;

async fn fill(store: &gdmarket_store::Store, first: i64) {
    for number in first..first + FILLING {
        let command = u128::try_from(number).unwrap();
        store.appender().append(append(command, number, 0)).await.unwrap();
    }
}

#[test]
fn damaged_page_of_postgresql_fails_only_the_commands_that_need_it() {
    gdmarket_testkit::run(async {
        let cluster = PgCluster::start_new();
        let db = TestDb::on_server(&cluster.url()).await;
        let store = open(&db).await;
        fill(&store, 1_000).await;
        store.appender().append(append(77_777, 1, 0)).await.unwrap();
        fill(&store, 2_000).await;
        let file = cluster.table_file(&db, "events").await;
        store.close().await;
        cluster.stop();
        let damaged = DamagedPages::with_text(&file, POSTGRES_PAGE, "\"77777\"");
        cluster.start();

        let store = gdmarket_store::Store::open(&options(&db)).await.unwrap();
        let new = |command, number, expected| append(command, number, expected);
        let appends = vec![new(1, 1, 1), new(2, 2_150, 1), new(3, 3, 0), new(4, 2_151, 1)];
        let answers = at_once(&store, appends).await;
        assert!(matches!(&answers[0], Err(AppendError::Damaged(_))), "{answers:?}");
        assert!(answers[1..].iter().all(Result::is_ok), "the other commands are done: {answers:?}");

        let (damaged_stream, whole) = (stream(1), stream(2_150));
        let (lost, read) =
            tokio::join!(store.log().stream(&damaged_stream, 0), store.log().stream(&whole, 0));
        assert!(matches!(&lost, Err(StoreError::Damaged(_))), "{lost:?}");
        assert_eq!(read.unwrap().len(), 2);
        store.close().await;

        cluster.stop();
        damaged.repair();
        cluster.start();
        let store = gdmarket_store::Store::open(&options(&db)).await.unwrap();
        assert_eq!(store.log().stream(&damaged_stream, 0).await.unwrap().len(), 1);
        store.appender().append(append(1, 1, 1)).await.unwrap();
        store.close().await;
    });
}
