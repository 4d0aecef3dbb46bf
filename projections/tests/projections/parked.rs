//! Parking: broken events in views and managers, failing reactions, and events that only a newer program reads.

use crate::market::{Market, SOON, VIEWS, item, reservation};
use gdmarket_domain::{ItemCommand, MarketCommand, ReservationCommand};
use gdmarket_projections::{ParkedWork, PortError, ReservationStatus};
use gdmarket_store::{Append, NewEvent, Parked, ReceiptKind, StreamId, on_db};
use gdmarket_testkit::{eventually, on_each_engine};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::time::timeout;
use uuid::Uuid;

/// Appends an event that no program of this version writes.
async fn append(market: &Market, stream: StreamId, expected: i64, event: (&str, &str, &str)) {
    let (event_type, event_version, payload) = event;
    let event = NewEvent {
        event_type: event_type.to_owned(),
        event_version: event_version.to_owned(),
        payload: payload.to_owned(),
    };
    let append = Append {
        command_id: Uuid::new_v5(&Uuid::NAMESPACE_URL, payload.as_bytes()),
        fingerprint: vec![],
        stream,
        expected,
        events: vec![event],
        metadata: "{}".to_owned(),
        kind: ReceiptKind::Done,
        personal: None,
    };
    market.store.appender().append(append).await.unwrap();
}

/// Appends an unreadable event to an item.
pub(crate) async fn append_broken(market: &Market, item_no: i64, expected: i64) {
    append(market, StreamId::new("item", item_no), expected, ("Broken", "1", "{\"Broken\":{}}"))
        .await;
}

/// Repairs the broken event of the log, as a newer program's upcaster does, and opens the market again.
async fn repair(market: Market, url: &str, repaired: (&str, &str)) -> Market {
    let (event_type, payload) = repaired;
    let sql = "UPDATE events SET event_type = $1, payload = CAST($2 AS json) \
               WHERE event_type = 'Broken'";
    match url.strip_prefix("sqlite:") {
        None => {
            on_db!(market.store.views(), pool => {
                sqlx::query(sql).bind(event_type).bind(payload).execute(pool).await.map(drop)
            })
            .unwrap();
        }
        Some(folder) => {
            let file = sqlx::sqlite::SqliteConnectOptions::new()
                .filename(std::path::Path::new(folder).join("log.db"));
            let pool = sqlx::SqlitePool::connect_with(file).await.unwrap();
            let sql = sql.replace("CAST($2 AS json)", "$2");
            sqlx::query(&sql).bind(event_type).bind(payload).execute(&pool).await.unwrap();
            pool.close().await;
        }
    }
    market.store.close().await;
    Market::open_url(url, false).await
}

on_each_engine! {
    async fn broken_event_parks_only_its_stream_and_marks_the_row_as_stale(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        market.register(1, Some(10)).await;
        market.register(2, Some(10)).await;
        append(&market, StreamId::new("item", 1), 1, ("Broken", "1", "{\"Broken\":{}}")).await;
        let renamed = "{\"ItemChanged\":{\"itemNo\":1,\"itemName\":\"Later\",\"itemPrice\":7}}";
        append(&market, StreamId::new("item", 1), 2, ("ItemChanged", "1", renamed)).await;
        let renamed = ItemCommand::Change { item_name: Some("B".to_owned()), item_price: None };
        market.item(2, renamed).await;
        market.settle(&loops).await;

        let row = market.queries().item(item(1)).await.unwrap().unwrap();
        let stale = row.stale.expect("the row is stale");
        assert!(stale.reason.contains("Broken"), "{stale:?}");
        let broken = market.store.log().stream(&StreamId::new("item", 1), 1).await.unwrap();
        assert_eq!(stale.since.timestamp_micros(), broken[0].recorded_at);
        assert_eq!((row.version, row.body.item_name.as_str()), (1, "Camera 1"));
        let other = market.queries().item(item(2)).await.unwrap().unwrap();
        assert_eq!((other.stale, other.body.item_name.as_str()), (None, "B"), "other streams continue");
        let parked = market.parked(VIEWS[0]).await;
        assert_eq!(parked.len(), 1, "{parked:?}");
        assert_eq!((parked[0].key.as_str(), parked[0].state.as_str()), ("item/1", Parked::PARKED));

        // A retry before the repair fails in the same way.
        market.request_retry(VIEWS[0]).await;
        eventually(SOON, || async {
            let parked = market.parked(VIEWS[0]).await;
            if parked[0].attempts > 1 { Ok(()) } else { Err(parked) }
        })
        .await;

        let blocked = "{\"PeriodBlocked\":{\"itemNo\":1,\"period\":{\"from\":\"2027-01-05\",\
                       \"to\":\"2027-01-06\"}}}";
        loops.stop().await;
        let market = repair(market, db.url(), ("PeriodBlocked", blocked)).await;
        // A runner retries every view's parked streams when it starts.
        let loops = market.start();
        let unparked = eventually(SOON, || async {
            let found = market.queries().item(item(1)).await.unwrap().unwrap();
            if found.stale.is_none() { Ok(found) } else { Err(found) }
        })
        .await;
        assert_eq!((unparked.version, unparked.body.item_name.as_str()), (3, "Later"));
        assert_eq!(market.parked(VIEWS[0]).await, []);
        let renamed = ItemCommand::Change { item_name: Some("Last".to_owned()), item_price: None };
        market.item(1, renamed).await;
        market.settle(&loops).await;
        loops.stop().await;

        market.assert_equals_rebuild().await;
    }

    async fn failing_reaction_blocks_only_its_key(db: &TestDb) {
        let market = Market::open(db).await;
        let broken = Arc::new(AtomicBool::new(true));
        let fails = Arc::clone(&broken);
        market.port.fail(move |outgoing| {
            let MarketCommand::Reservation(number, _) = &outgoing.command else { return None };
            let is_refused = fails.load(Ordering::SeqCst) && *number == reservation(1);
            is_refused.then(|| PortError::Retry("not now".to_owned()))
        });
        let loops = market.start();
        market.register(1, None).await;
        market.register(2, None).await;
        market.reserve(1, 1, None).await;
        market.reserve(2, 2, None).await;
        let status = async |number| {
            let found = market.queries().reservation(reservation(number)).await.unwrap();
            found.map(|found| found.body.status)
        };
        eventually(SOON, || async {
            match status(2).await {
                Some(ReservationStatus::Reserved) => Ok(()),
                other => Err(other),
            }
        })
        .await;
        let waiting = eventually(SOON, || async {
            let parked = market.parked("reservation_process").await;
            if parked.len() == 1 { Ok(parked) } else { Err(parked) }
        })
        .await;
        assert_eq!(waiting[0].key, "reservation/1");
        assert_eq!(waiting[0].reason, "not now");
        assert_eq!(status(1).await, Some(ReservationStatus::Requested));

        // The waiting event survives its runner.
        loops.stop().await;
        let loops = market.start();
        broken.store(false, Ordering::SeqCst);
        market.settle(&loops).await;
        assert_eq!(status(1).await, Some(ReservationStatus::Reserved));
        assert_eq!(market.parked("reservation_process").await, []);
        loops.stop().await;
    }

    async fn events_queued_behind_a_key_keep_their_order(db: &TestDb) {
        let market = Market::open(db).await;
        let broken = Arc::new(AtomicBool::new(true));
        let fails = Arc::clone(&broken);
        market.port.fail(move |outgoing| {
            let hold = outgoing.context.manager == "holding" && fails.load(Ordering::SeqCst);
            hold.then(|| PortError::Retry("not now".to_owned()))
        });
        let loops = market.start();
        market.register(1, None).await;
        market.reserve(1, 1, None).await;
        market.reservation(1, ReservationCommand::Cancel).await;
        eventually(SOON, || async {
            let parked = market.parked("holding").await;
            if parked.is_empty() { Err(parked) } else { Ok(()) }
        })
        .await;
        broken.store(false, Ordering::SeqCst);
        market.settle(&loops).await;
        let history = market.history().await;
        let of_item: Vec<_> = history.iter().filter(|event| event.starts_with("item/")).collect();
        assert_eq!(of_item, ["item/1 ItemRegistered", "item/1 ItemHeld", "item/1 ItemReleased"]);
        loops.stop().await;
    }

    async fn impossible_refusal_parks_its_key(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        // The item is rented without a payment, so the reservation can't record it.
        market.register(1, None).await;
        market.reserve(1, 1, None).await;
        market.settle(&loops).await;
        let rented = "{\"ItemRented\":{\"itemNo\":1,\"reservationNo\":1}}";
        append(&market, StreamId::new("item", 1), 2, ("ItemRented", "1", rented)).await;
        market.register(2, None).await;
        market.reserve(2, 2, None).await;
        market.settle(&loops).await;
        let parked = market.parked("reservation_process").await;
        assert_eq!(parked.len(), 1, "{parked:?}");
        assert_eq!(parked[0].state, Parked::PARKED);
        assert!(parked[0].reason.contains("Fact was refused"), "{parked:?}");
        let other = market.queries().reservation(reservation(2)).await.unwrap().unwrap();
        assert_eq!(other.body.status, ReservationStatus::Reserved);
        loops.stop().await;
    }

    /// An event is dropped during a retry: the key continues, whatever the outcome of that retry.
    async fn event_dropped_during_a_retry_does_not_park_again(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        market.register(1, None).await;
        market.reserve(1, 1, None).await;
        market.settle(&loops).await;
        let rented = "{\"ItemRented\":{\"itemNo\":1,\"reservationNo\":1}}";
        append(&market, StreamId::new("item", 1), 2, ("ItemRented", "1", rented)).await;
        market.settle(&loops).await;
        let parked = ParkedWork::new(market.store.clone());
        let manager = "reservation_process";
        let found = parked.list(None).await.unwrap().into_iter().find(|of| of.subscription == manager);
        let found = found.unwrap();
        let gate = market.port.stop_next();
        parked.request_retry(&found).await.unwrap();
        timeout(SOON, gate.wait()).await.expect("the event is retried");
        assert!(parked.drop_event(&found, "settled by phone").await.unwrap());
        gate.wait().await;
        eventually(SOON, || async {
            let parked = market.parked(manager).await;
            if parked.is_empty() { Ok(()) } else { Err(parked) }
        })
        .await;
        loops.stop().await;
    }

    async fn broken_event_parks_its_stream_for_managers(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        market.register(1, None).await;
        market.register(2, None).await;
        market.reserve(1, 1, None).await;
        market.settle(&loops).await;
        append(&market, StreamId::new("reservation", 1), 2, ("Broken", "1", "{\"Broken\":{}}")).await;
        let cancelled = "{\"ReservationCancelled\":{\"reservationNo\":1,\"itemNo\":1,\
                         \"paymentNo\":null}}";
        let stream = StreamId::new("reservation", 1);
        append(&market, stream, 3, ("ReservationCancelled", "1", cancelled)).await;
        market.reserve(2, 2, None).await;
        market.settle(&loops).await;
        let other = market.queries().reservation(reservation(2)).await.unwrap().unwrap();
        assert_eq!(other.body.status, ReservationStatus::Reserved);
        let released = "item/1 ItemReleased".to_owned();
        assert!(!market.history().await.contains(&released), "the cancellation waits behind the broken event");
        let paid = "{\"PaymentRequested\":{\"reservationNo\":1,\"itemNo\":1,\"paymentNo\":1,\
                    \"amount\":100}}";
        loops.stop().await;
        let market = repair(market, db.url(), ("PaymentRequested", paid)).await;
        let loops = market.start();
        market.request_retry("holding").await;
        eventually(SOON, || async {
            let history = market.history().await;
            if history.contains(&released) { Ok(()) } else { Err(history) }
        })
        .await;
        loops.stop().await;
    }

    async fn dropped_event_keeps_its_reason_and_the_next_fault_parks_again(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        market.register(1, None).await;
        market.reserve(1, 1, None).await;
        market.settle(&loops).await;
        let stream = || StreamId::new("reservation", 1);
        append(&market, stream(), 2, ("Broken", "1", "{\"Broken\":{\"first\":1}}")).await;
        append(&market, stream(), 3, ("Broken", "1", "{\"Broken\":{\"second\":2}}")).await;
        let cancelled = "{\"ReservationCancelled\":{\"reservationNo\":1,\"itemNo\":1,\
                         \"paymentNo\":null}}";
        append(&market, stream(), 4, ("ReservationCancelled", "1", cancelled)).await;
        market.settle(&loops).await;
        let parked = ParkedWork::new(market.store.clone());
        let positions: Vec<i64> = market.store.log().stream(&stream(), 2).await.unwrap()
            .iter().map(|event| event.position).collect();
        for (place, reason) in [(0, "settled by phone"), (1, "settled by letter")] {
            let found = eventually(SOON, || async {
                let found = parked.show("holding", "reservation/1").await.unwrap().map(|of| of.key);
                let is_here = found.as_ref().is_some_and(|of| of.since_position == positions[place]);
                if is_here { Ok(found.unwrap()) } else { Err(found) }
            })
            .await;
            assert_eq!(found.dropped, None, "this event was not dropped");
            assert!(parked.drop_event(&found, reason).await.unwrap());
            assert!(!parked.drop_event(&found, reason).await.unwrap(), "the key has continued");
        }
        let released = "item/1 ItemReleased".to_owned();
        eventually(SOON, || async {
            let history = market.history().await;
            if history.contains(&released) { Ok(()) } else { Err(history) }
        })
        .await;
        let kept = parked.dropped().await.unwrap();
        let kept: Vec<_> = kept.iter().filter(|of| of.subscription == "holding").collect();
        let reasons: Vec<_> = kept.iter().map(|of| (of.position, of.reason.as_str())).collect();
        assert_eq!(reasons, [(positions[0], "settled by phone"), (positions[1], "settled by letter")]);
        loops.stop().await;
    }

    async fn event_of_a_newer_program_stops_the_loop_and_parks_nothing(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        market.register(1, None).await;
        market.settle(&loops).await;
        let newer = "{\"ItemChanged\":{\"itemNo\":1,\"itemName\":\"N\",\"itemPrice\":7,\"x\":1}}";
        append(&market, StreamId::new("item", 1), 1, ("ItemChanged", "2", newer)).await;
        market.reserve(1, 9, None).await;
        let applied = loops.applied();
        let problem = eventually(SOON, || async {
            let progress = applied.progress();
            let items = progress[VIEWS[0]].clone();
            items.problem.clone().ok_or(items)
        })
        .await;
        assert!(problem.contains("newer program"), "{problem}");
        assert_eq!(market.parked(VIEWS[0]).await, []);
        let row = market.queries().item(item(1)).await.unwrap().unwrap();
        assert_eq!((row.version, row.stale), (1, None));
        let reservations = market.queries().reservation(reservation(1)).await;
        assert!(reservations.is_ok(), "other views continue");
        loops.stop().await;
    }
}
