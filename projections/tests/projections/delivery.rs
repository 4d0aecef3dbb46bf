//! For each view and each process manager: everything delivered twice, and a view from zero.

use crate::market::{MANAGERS, Market, VIEWS};
use crate::story;
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
        let live = market.all_rows().await;
        assert!(live.iter().all(|rows| !rows.is_empty()), "{live:?}");
        for view in VIEWS {
            market.views_sql(&format!("DROP TABLE view_{view}")).await;
            let forget = format!("DELETE FROM checkpoints WHERE subscription = '{view}'");
            market.views_sql(&forget).await;
        }
        let loops = market.start();
        market.settle(&loops).await;
        loops.stop().await;
        assert_eq!(market.all_rows().await, live);
    }
}
