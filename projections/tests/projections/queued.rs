//! What queues behind a key of a manager names events of the log by their positions: what becomes of
//! those that are not known yet, and of those that don't exist.

use crate::market::{MANAGERS, Market, SOON, days};
use gdmarket_store::{Parked, StoreOptions, StreamId};
use gdmarket_testkit::{eventually, on_each_engine};
use std::time::Duration;

on_each_engine! {
    /// A manager that was behind reads from the log what the tail of its process hasn't come to yet.
    async fn what_the_tail_does_not_know_yet_is_not_done_with(db: &TestDb) {
        let first = Market::open(db).await;
        let loops = first.start();
        first.register(1, Some(10)).await;
        first.reserve(1, 1, days(2, 4)).await;
        first.settle(&loops).await;
        first.pay(1, 10, 1).await;
        first.settle(&loops).await;
        loops.stop().await;
        first.alert(2).await;

        let url = db.url().to_owned();
        let blind = Duration::from_hours(1);
        let options = StoreOptions { url, poll_interval: blind, ..StoreOptions::default() };
        let market = Market::open_with(&options).await;
        let head = first.store.log().head().await.unwrap();
        market.store.tail().head().wait_for(|known| *known == head).await.unwrap();
        let told = first.store.log().stream(&StreamId::new("reservation", 1), 0).await.unwrap();
        db.log_sql(&format!(
            "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, \
             payload, metadata) VALUES ('reservation', '1', {}, 'LatePaymentRecorded', '1', \
             '{{\"LatePaymentRecorded\":{{\"reservationNo\":1,\"paymentNo\":10}}}}', '{{}}')",
            told.len() + 1
        ))
        .await;
        assert!(market.store.tail().read_after(head, 1).await.unwrap().is_empty());
        let loops = market.start();
        market.settle(&loops).await;
        loops.stop().await;
        let history = market.history().await;
        assert!(history.contains(&"payment/10 PaymentCancelled".to_owned()), "{history:?}");
    }

    /// A log that lost an event, or a queue that isn't this log's: nobody may take that for done.
    async fn an_event_that_the_log_does_not_have_parks_its_key(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        market.register(1, Some(10)).await;
        market.settle(&loops).await;
        loops.stop().await;
        let manager = MANAGERS[0];
        market
            .views_sql(&format!(
                "INSERT INTO parked (subscription, key, state, reason, since_position, since_time, \
                 attempts, next_try_at) VALUES ('{manager}', 'item/1', 'retrying', '', 999, 7, 1, 0)"
            ))
            .await;
        market
            .views_sql(&format!(
                "INSERT INTO parked_events (subscription, key, position) \
                 VALUES ('{manager}', 'item/1', 999)"
            ))
            .await;
        let loops = market.start();
        let parked = eventually(SOON, || async {
            let parked = market.parked(manager).await;
            let is_told = parked.iter().any(|parked| parked.state == Parked::PARKED);
            if is_told { Ok(parked) } else { Err(parked) }
        })
        .await;
        let told: Vec<_> = parked.iter().map(|p| (p.key.as_str(), p.since_position)).collect();
        assert_eq!(told, [("item/1", 999)]);
        assert!(parked[0].reason.contains("no event at position 999"), "{parked:?}");
        // All others go on.
        market.register(2, Some(10)).await;
        market.reserve(1, 2, days(2, 4)).await;
        market.settle(&loops).await;
        let history = market.history().await;
        assert!(history.contains(&"item/2 ItemHeld".to_owned()), "{history:?}");
        loops.stop().await;
    }
}
