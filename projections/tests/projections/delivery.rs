//! For each view and each process manager: everything delivered twice, and a view from zero.

use crate::market::{MANAGERS, Market, VIEWS};
use crate::story;
use gdmarket_projections::differences_from_rebuild;
use gdmarket_store::Deadlines;
use gdmarket_testkit::{TestDb, on_each_engine};

/// Plays the story, lets `subscription` read everything again, and compares.
async fn deliver_twice(db: &TestDb, subscription: &str) {
    let market = Market::open(db).await;
    let loops = market.start();
    story::play(&market, &loops).await;
    loops.stop().await;
    let (history, rows) = (market.history().await, market.all_rows().await);
    let deadlines = Deadlines::new(market.store.views().clone());
    let due = deadlines.all(subscription).await.unwrap();
    let refunds = market.port.refunds.lock().unwrap().clone();
    assert_eq!(refunds.len(), 3, "{refunds:?}");

    let reset =
        format!("UPDATE checkpoints SET position = 0 WHERE subscription = '{subscription}'");
    market.views_sql(&reset).await;
    let loops = market.start();
    market.settle(&loops).await;
    loops.stop().await;
    assert_eq!(market.history().await, history, "nothing happens twice");
    assert_eq!(market.all_rows().await, rows, "the same rows");
    assert_eq!(deadlines.all(subscription).await.unwrap(), due, "the same deadlines");
    assert_eq!(market.parked(subscription).await, [], "nothing parks");
}

on_each_engine! {
    async fn item_info_takes_everything_in_twice(db: &TestDb) {
        deliver_twice(db, VIEWS[0]).await;
    }

    async fn reservations_takes_everything_in_twice(db: &TestDb) {
        deliver_twice(db, VIEWS[1]).await;
    }

    async fn payments_takes_everything_in_twice(db: &TestDb) {
        deliver_twice(db, VIEWS[2]).await;
    }

    async fn alarms_takes_everything_in_twice(db: &TestDb) {
        deliver_twice(db, VIEWS[3]).await;
    }

    async fn holding_reacts_twice(db: &TestDb) {
        deliver_twice(db, MANAGERS[0]).await;
    }

    async fn reservation_process_reacts_twice(db: &TestDb) {
        deliver_twice(db, MANAGERS[1]).await;
    }

    async fn payment_process_reacts_twice(db: &TestDb) {
        deliver_twice(db, MANAGERS[2]).await;
    }

    async fn alarm_saga_reacts_twice(db: &TestDb) {
        deliver_twice(db, MANAGERS[3]).await;
    }

    async fn abandonment_reacts_twice(db: &TestDb) {
        deliver_twice(db, MANAGERS[4]).await;
    }

    async fn every_view_built_from_zero_equals_the_live_one(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        story::play(&market, &loops).await;
        loops.stop().await;
        assert!(market.all_rows().await.iter().all(|rows| !rows.is_empty()));
        market.assert_equals_rebuild().await;
    }

    async fn a_rebuild_tells_a_row_that_differs(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        story::play(&market, &loops).await;
        loops.stop().await;
        market.views_sql("UPDATE view_payments_v1 SET status = 'Paid' WHERE no = 3").await;
        market.views_sql("DELETE FROM view_alarms_v1 WHERE no = 2").await;
        let differing = differences_from_rebuild(&market.store).await.unwrap();
        let told: Vec<_> = differing.iter().map(|told| (told.view, told.number)).collect();
        assert_eq!(told, [("payments", 3), ("alarms", 2)]);
        assert_eq!(differing[0].columns, ["status"]);
    }
}
