//! Each view and each process manager gets every event twice, and starts from zero.

use crate::market::{MANAGERS, Market, VIEWS, days};
use crate::scenario;
use gdmarket_domain::PaymentNo;
use gdmarket_projections::{Projections, differences_from_rebuild};
use gdmarket_store::{Deadlines, on_db};
use gdmarket_testkit::{TestDb, on_each_engine};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

/// Plays the scenario, makes `subscription` read everything again, and compares.
async fn deliver_twice(db: &TestDb, subscription: &str) {
    let market = Market::open(db).await;
    let loops = market.start();
    scenario::play(&market, &loops).await;
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
    assert_eq!(market.parked(subscription).await, [], "nothing is parked");
}

/// Plays the scenario, and leaves some deadlines open: an unpaid reservation, an attempt to pay without an outcome, an
/// alarm without a registration.
async fn play_with_open_deadlines(market: &Market, loops: &Projections) {
    scenario::play(market, loops).await;
    market.reserve(8, 3, days(2, 4)).await;
    market.reserve(9, 3, days(5, 7)).await;
    market.settle(loops).await;
    market.request_payment(9, 9).await;
    market.alert(50).await;
    market.settle(loops).await;
}

/// Everything that the managers store: checkpoints, deadlines and parked keys.
async fn kept_by_managers(market: &Market) -> Vec<String> {
    let deadlines = Deadlines::new(market.store.views().clone());
    let checkpoints = "SELECT subscription, position FROM checkpoints ORDER BY subscription";
    let checkpoints: Vec<(String, i64)> = on_db!(market.store.views(), pool => {
        sqlx::query_as(checkpoints).fetch_all(pool).await
    })
    .unwrap();
    let mut kept = vec![];
    for manager in MANAGERS {
        let own = checkpoints.iter().filter(|(subscription, _)| subscription == manager);
        kept.extend(own.map(|(_, position)| format!("checkpoint of {manager}: {position}")));
        let due = deadlines.all(manager).await.unwrap();
        kept.extend(due.iter().map(|due| format!("deadline of {manager}: {due:?}")));
        let parked = market.parked(manager).await;
        kept.extend(parked.iter().map(|parked| format!("parked by {manager}: {parked:?}")));
    }
    kept
}

/// Deletes everything that the managers store.
async fn forget_managers(market: &Market) {
    for manager in MANAGERS {
        for (table, column) in [
            ("checkpoints", "subscription"),
            ("deadlines", "manager"),
            ("parked", "subscription"),
            ("parked_events", "subscription"),
        ] {
            market.views_sql(&format!("DELETE FROM {table} WHERE {column} = '{manager}'")).await;
        }
    }
}

/// The payments whose refund was requested; a repeated request refunds nothing twice.
fn refunded(market: &Market) -> BTreeSet<PaymentNo> {
    market.port.refunds.lock().unwrap().iter().copied().collect()
}

on_each_engine! {
    async fn item_info_applies_every_event_twice(db: &TestDb) {
        deliver_twice(db, VIEWS[0]).await;
    }

    async fn reservations_apply_every_event_twice(db: &TestDb) {
        deliver_twice(db, VIEWS[1]).await;
    }

    async fn payments_apply_every_event_twice(db: &TestDb) {
        deliver_twice(db, VIEWS[2]).await;
    }

    async fn alarms_apply_every_event_twice(db: &TestDb) {
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
        scenario::play(&market, &loops).await;
        loops.stop().await;
        assert!(market.all_rows().await.iter().all(|rows| !rows.is_empty()));
        market.assert_equals_rebuild().await;
    }

    /// These are the only rows of managers; the log and the gateway show their effects.
    async fn every_manager_started_from_zero_equals_the_live_one(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        play_with_open_deadlines(&market, &loops).await;
        loops.stop().await;
        let (history, live) = (market.history().await, kept_by_managers(&market).await);
        for manager in ["reservation_process", "payment_process", "abandonment"] {
            let deadline = format!("deadline of {manager}: ");
            assert!(live.iter().any(|row| row.starts_with(&deadline)), "{deadline}{live:?}");
        }
        let refunds = refunded(&market);

        forget_managers(&market).await;
        assert_eq!(kept_by_managers(&market).await, [""; 0]);
        let loops = market.start();
        market.settle(&loops).await;
        loops.stop().await;
        assert_eq!(market.history().await, history, "nothing happens twice");
        assert_eq!(kept_by_managers(&market).await, live, "the same checkpoints and deadlines");
        assert_eq!(refunded(&market), refunds, "nothing else is refunded");
        market.assert_equals_rebuild().await;
    }

    /// Control: the comparison above notices a lost, moved or invented row.
    async fn comparison_notices_changed_rows_of_managers(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        play_with_open_deadlines(&market, &loops).await;
        loops.stop().await;
        let live = kept_by_managers(&market).await;
        for change in [
            "UPDATE deadlines SET due_at = due_at + 1 WHERE manager = 'payment_process'",
            "DELETE FROM deadlines WHERE manager = 'payment_process'",
            "INSERT INTO deadlines VALUES ('holding', 'made up', 1, '{}')",
            "UPDATE checkpoints SET position = position - 1 WHERE subscription = 'alarm_saga'",
        ] {
            let before = kept_by_managers(&market).await;
            market.views_sql(change).await;
            assert_ne!(kept_by_managers(&market).await, before, "{change}");
        }
        forget_managers(&market).await;
        let loops = market.start();
        market.settle(&loops).await;
        loops.stop().await;
        assert_eq!(kept_by_managers(&market).await, live, "the rows are correct again after a start from zero");
    }

    /// Control: reactions with new ids happen twice, where the aggregate's own rules don't refuse them.
    async fn reactions_with_new_ids_happen_twice(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        scenario::play(&market, &loops).await;
        loops.stop().await;
        market.port.fresh_ids.store(true, Ordering::Relaxed);
        for (manager, event) in [
            ("holding", "item/2 ItemHeld"),
            ("reservation_process", "reservation/5 LatePaymentRecorded"),
        ] {
            let before = market.history().await.len();
            let reset = format!("UPDATE checkpoints SET position = 0 WHERE subscription = '{manager}'");
            market.views_sql(&reset).await;
            let loops = market.start();
            market.settle(&loops).await;
            loops.stop().await;
            let again = market.history().await.split_off(before);
            assert!(again.iter().any(|found| found == event), "{manager}: {again:?}");
        }
    }

    async fn rebuild_reports_rows_that_differ(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        scenario::play(&market, &loops).await;
        loops.stop().await;
        market.views_sql("UPDATE view_payments_v3 SET status = 'Paid' WHERE no = 3").await;
        market.views_sql("DELETE FROM view_alarms_v2 WHERE no = 2").await;
        let differing = differences_from_rebuild(&market.store).await.unwrap();
        let rows: Vec<_> = differing.iter().map(|row| (row.view.as_str(), row.number)).collect();
        assert_eq!(rows, [("payments", 3), ("alarms", 2)]);
        assert_eq!(differing[0].columns, ["status"]);
    }
}
