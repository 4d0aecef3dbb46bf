//! Events that queue behind a manager's key are stored by position. These tests cover positions that the tail hasn't read
//! yet, and positions without an event.

use crate::market::{MANAGERS, Market, SOON, days};
use gdmarket_store::{Parked, StoreOptions, StreamId};
use gdmarket_testkit::{eventually, on_each_engine};
use std::time::Duration;

on_each_engine! {
    /// A manager that was behind reads events from the log that the tail of its process hasn't read yet.
    async fn event_beyond_the_tail_is_read_from_the_log(db: &TestDb) {
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
        let never_polls = Duration::from_hours(1);
        let options = StoreOptions { url, poll_interval: never_polls, ..StoreOptions::default() };
        let market = Market::open_with(&options).await;
        let head = first.store.log().head().await.unwrap();
        market.store.tail().head().wait_for(|known| *known == head).await.unwrap();
        let stream = first.store.log().stream(&StreamId::new("reservation", 1), 0).await.unwrap();
        db.log_sql(&format!(
            "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, \
             payload, metadata) VALUES ('reservation', '1', {}, 'LatePaymentRecorded', '1', \
             '{{\"LatePaymentRecorded\":{{\"reservationNo\":1,\"paymentNo\":10}}}}', '{{}}')",
            stream.len() + 1
        ))
        .await;
        assert!(market.store.tail().read_after(head, 1).await.unwrap().is_empty());
        let loops = market.start();
        market.settle(&loops).await;
        loops.stop().await;
        let history = market.history().await;
        assert!(history.contains(&"payment/10 PaymentCancelled".to_owned()), "{history:?}");
    }

    /// The log lost an event, or the queue belongs to another log; the event must not count as handled.
    async fn event_missing_in_the_log_parks_its_key(db: &TestDb) {
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
            let is_parked = parked.iter().any(|parked| parked.state == Parked::PARKED);
            if is_parked { Ok(parked) } else { Err(parked) }
        })
        .await;
        let keys: Vec<_> = parked.iter().map(|p| (p.key.as_str(), p.since_position)).collect();
        assert_eq!(keys, [("item/1", 999)]);
        assert!(parked[0].reason.contains("no event at position 999"), "{parked:?}");
        // All other keys continue.
        market.register(2, Some(10)).await;
        market.reserve(1, 2, days(2, 4)).await;
        market.settle(&loops).await;
        let history = market.history().await;
        assert!(history.contains(&"item/2 ItemHeld".to_owned()), "{history:?}");
        loops.stop().await;
    }
}
