//! Rebuilds of views: readers don't notice them, differing rows are named, and the promoted view is correct while its loop
//! continues.

use crate::market::{Market, SOON, VIEWS, item};
use crate::scenario;
use async_trait::async_trait;
use futures::FutureExt;
use gdmarket_domain::{ItemCommand, Services};
use gdmarket_projections::{
    Difference, Filter, LoopState, PageRequest, Projections, RebuildObserver, Replay, Replayed,
    overview, pause_view, resume_view,
};
use gdmarket_store::{Generations, on_db};
use gdmarket_testkit::{eventually, on_each_engine};
use serde_json::{Value, json};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

const EVERY_VIEW: [&str; 4] = ["item-info", "reservations", "payments", "alarms"];

/// An observer that serves the rebuilt view or not, and records the differences.
struct Keep {
    serve: bool,
    differing: Vec<Difference>,
}

#[async_trait]
impl RebuildObserver for Keep {
    fn differs(&mut self, difference: Difference) {
        self.differing.push(difference);
    }

    async fn serve(&mut self, _: &Replayed) -> bool {
        self.serve
    }
}

async fn rebuild(market: &Market, view: &str, serve: bool) -> (Replayed, Vec<Difference>) {
    let mut observer = Keep { serve, differing: vec![] };
    let replay = Replay::new(market.store.clone());
    let replayed = replay.rebuild(view, &mut observer, &|_, _| {}).await.unwrap();
    (replayed, observer.differing)
}

async fn as_of(market: &Market, view: &str, position: i64) -> Vec<Value> {
    let mut rows = vec![];
    let replay = Replay::new(market.store.clone());
    replay.as_of(view, position, &mut |row| rows.push(row), &|_, _| {}).await.unwrap();
    rows
}

async fn tables(market: &Market) -> Vec<String> {
    let sql = if market.store.views().is_postgres() {
        "SELECT tablename::text FROM pg_tables WHERE tablename LIKE 'view%' ORDER BY tablename"
    } else {
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'view%' ORDER BY name"
    };
    on_db!(market.store.views(), pool => sqlx::query_scalar(sql).fetch_all(pool).await).unwrap()
}

async fn generation(market: &Market, view: &str) -> i64 {
    let generations = Generations::new(market.store.views().clone());
    generations.served(view).await.unwrap().unwrap().number
}

/// Queries all items until it is stopped, and asserts that each answer is complete; returns the number of queries.
async fn watch(market: &Market, expected: usize, stop: &tokio::sync::Notify) -> u32 {
    let all = PageRequest { after: 0, limit: 500 };
    let mut query_count = 0;
    loop {
        tokio::select! {
            biased;
            () = stop.notified() => return query_count,
            page = async {
                let queries = market.queries();
                queries.item_infos(&Filter::default(), all).await
            } => {
                let page = page.unwrap();
                assert_eq!(page.rows.len(), expected, "an empty or half view was read");
                query_count += 1;
            }
        }
    }
}

on_each_engine! {
    async fn rebuilt_view_is_compared_and_the_served_one_is_unchanged(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        scenario::play(&market, &loops).await;
        let before = market.all_rows().await;
        for view in EVERY_VIEW {
            let (replayed, differing) = rebuild(&market, view, false).await;
            assert_eq!(differing, []);
            assert!(replayed.rows > 0 && replayed.events > 0, "{replayed:?}");
            assert_eq!((replayed.events, replayed.promoted), (replayed.counted, None));
            assert!(replayed.compared_at.is_some(), "{replayed:?}");
        }
        loops.stop().await;
        assert_eq!(market.all_rows().await, before);
        assert_eq!(tables(&market).await.len(), EVERY_VIEW.len(), "nothing is left behind");
    }

    async fn row_changed_by_hand_is_reported_with_its_events(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        scenario::play(&market, &loops).await;
        market.views_sql("UPDATE view_item_info_v4 SET item_status = 'Rentable' WHERE no = 2").await;
        market.views_sql("DELETE FROM view_item_info_v4 WHERE no = 1").await;
        let (replayed, differing) = rebuild(&market, "item-info", false).await;
        let numbers: Vec<_> = differing.iter().map(|row| row.number).collect();
        assert_eq!((numbers.as_slice(), replayed.differing), (&[1, 2][..], 2));
        assert_eq!(differing[0].live, Value::Null, "the live view has no row");
        assert_eq!(differing[1].columns, ["itemStatus"]);
        assert_eq!(differing[1].rebuilt["itemStatus"], "NotRentable");
        let events: Vec<_> = differing[1].events.iter().map(|e| e.event_type.as_str()).collect();
        assert_eq!(events[0], "ItemRegistered");
        let stream = gdmarket_store::StreamId::new("item", 2);
        let stream = market.store.log().stream(&stream, 0).await.unwrap();
        let last = stream.last().unwrap();
        assert_eq!(differing[1].events.last().unwrap().position, last.position);

        let (replayed, _) = rebuild(&market, "item-info", true).await;
        assert_eq!(replayed.promoted, Some(2));
        let (replayed, differing) = rebuild(&market, "item-info", false).await;
        assert_eq!((replayed.differing, differing.len()), (0, 0), "the promoted view is correct");
        loops.stop().await;
    }

    async fn readers_and_the_loop_continue_while_a_view_is_replaced(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        for number in 1..=300 {
            market.register(number, Some(number % 7 + 1)).await;
        }
        market.settle(&loops).await;
        let stop = tokio::sync::Notify::new();
        let replacing = async {
            for round in 0..5 {
                let (replayed, differing) = rebuild(&market, "item-info", true).await;
                assert_eq!(differing, []);
                assert_eq!(replayed.promoted, Some(2 + round));
            }
            stop.notify_one();
        };
        let renaming = async {
            for number in 1..=100 {
                let item_name = Some(format!("Tent {number}"));
                market.item(number, ItemCommand::Change { item_name, item_price: None }).await;
            }
        };
        let (query_count, (), ()) = tokio::join!(watch(&market, 300, &stop), replacing, renaming);
        assert!(query_count > 5, "only {query_count} queries");
        market.settle(&loops).await;
        loops.stop().await;
        for number in 1..=100 {
            let found = market.queries().item(item(number)).await.unwrap().unwrap();
            assert_eq!(found.body.item_name, format!("Tent {number}"), "no change is skipped");
        }
        market.assert_equals_rebuild().await;
        assert_eq!(generation(&market, VIEWS[0]).await, 6);
    }

    async fn parked_stream_stays_parked_in_the_promoted_view(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        market.register(1, None).await;
        market.register(2, None).await;
        crate::parked::append_broken(&market, 1, 1).await;
        market.settle(&loops).await;
        let parked = market.parked(VIEWS[0]).await;
        let (replayed, differing) = rebuild(&market, "item-info", true).await;
        assert_eq!((replayed.promoted, differing.len()), (Some(2), 0));
        eventually(SOON, || async {
            let now = market.parked(VIEWS[0]).await;
            // The next runner retries once.
            let same = now.len() == 1 && now[0].reason == parked[0].reason && now[0].attempts > 1;
            if same { Ok(()) } else { Err(now) }
        })
        .await;
        let stale_item = market.queries().item(item(1)).await.unwrap().unwrap();
        assert!(stale_item.stale.is_some());
        let renamed = ItemCommand::Change { item_name: Some("B".to_owned()), item_price: None };
        market.item(2, renamed).await;
        market.settle(&loops).await;
        loops.stop().await;
        market.assert_equals_rebuild().await;
    }

    async fn view_is_shown_as_of_a_position(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        market.register(1, Some(10)).await;
        let registered = market.store.log().head().await.unwrap();
        let renamed = ItemCommand::Change { item_name: Some("Tent".to_owned()), item_price: None };
        market.item(1, renamed).await;
        let changed = market.store.log().head().await.unwrap();
        market.item(1, ItemCommand::Delete).await;
        market.settle(&loops).await;
        loops.stop().await;
        let row = |name: &str| json!({
            "itemNo": 1, "itemName": name, "itemPrice": 100, "itemStatus": "Rentable",
            "rentalStatus": "NotRenting", "reservationNo": null, "ownerId": 10,
            "customerId": null, "customerName": null, "alarmStatus": "Alerted",
        });
        assert_eq!(as_of(&market, "item-info", 0).await, [Value::Null; 0]);
        assert_eq!(as_of(&market, "item-info", registered).await, [row("Camera 1")]);
        assert_eq!(as_of(&market, "item-info", changed).await, [row("Tent")]);
        let head = market.store.log().head().await.unwrap();
        assert_eq!(as_of(&market, "item-info", head).await, [Value::Null; 0], "deleted");
        let alarms = as_of(&market, "alarms", head).await;
        assert_eq!(alarms[0]["alarmStatus"], "DeleteAlerted");
        assert_eq!(tables(&market).await.len(), EVERY_VIEW.len(), "nothing is left behind");
    }

    async fn table_of_an_interrupted_build_is_removed_by_the_next_build(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        scenario::play(&market, &loops).await;
        loops.stop().await;
        {
            let mut observer = Keep { serve: false, differing: vec![] };
            let replay = Replay::new(market.store.clone());
            let cut = std::sync::atomic::AtomicBool::new(false);
            let progress = |_, _| cut.store(true, std::sync::atomic::Ordering::SeqCst);
            let rebuilding = replay.rebuild("item-info", &mut observer, &progress);
            tokio::pin!(rebuilding);
            // The build is dropped in the middle, as Ctrl-C does.
            while !cut.load(std::sync::atomic::Ordering::SeqCst) {
                tokio::select! {
                    biased;
                    done = &mut rebuilding => panic!("{done:?}"),
                    () = tokio::task::yield_now() => {}
                }
            }
        }
        assert_eq!(tables(&market).await.len(), EVERY_VIEW.len() + 1);
        let (replayed, differing) = rebuild(&market, "item-info", false).await;
        assert_eq!((differing, replayed.differing), (vec![], 0));
        assert_eq!(tables(&market).await.len(), EVERY_VIEW.len());
    }

    async fn view_of_another_epoch_is_rebuilt_without_a_comparison(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        scenario::play(&market, &loops).await;
        loops.stop().await;
        market.views_sql("UPDATE checkpoints SET log_epoch = 7").await;
        let states: Vec<_> =
            overview(&market.store, Services::ALL, Duration::ZERO).await.unwrap().iter().map(|o| o.state).collect();
        assert!(states.iter().all(|state| *state == LoopState::OtherLog), "{states:?}");
        for view in EVERY_VIEW {
            let (replayed, _) = rebuild(&market, view, true).await;
            assert_eq!((replayed.compared_at, replayed.promoted), (None, Some(2)));
        }
        market.assert_equals_rebuild().await;
    }

    async fn concurrently_started_replicas_build_a_view_once(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        scenario::play(&market, &loops).await;
        loops.stop().await;
        let head = market.store.log().head().await.unwrap();
        let before = market.all_rows().await;
        market.store.close().await;
        db.forget_views().await;
        if db.engine() == gdmarket_testkit::Engine::Sqlite {
            // The file of the views is deleted together with its schema.
            Market::open(db).await.store.close().await;
            db.forget_views().await;
        }
        let options = gdmarket_store::StoreOptions {
            url: db.url().to_owned(), ..gdmarket_store::StoreOptions::default()
        };
        gdmarket_store::Store::migrate(&options).await.unwrap();
        let first = gdmarket_store::Store::open(&options).await.unwrap();
        let second = gdmarket_store::Store::open(&options).await.unwrap();
        let (one, two) =
            tokio::join!(Projections::prepare(&first, Services::ALL), Projections::prepare(&second, Services::ALL));
        one.unwrap();
        two.unwrap();
        first.close().await;
        second.close().await;
        let market = Market::open_url(db.url(), false).await;
        assert_eq!(market.all_rows().await, before);
        for view in VIEWS {
            assert_eq!(generation(&market, view).await, 1, "built once");
        }
        let loops_now = overview(&market.store, Services::ALL, Duration::ZERO).await.unwrap();
        assert!(loops_now.iter().all(|of| of.position == head), "{loops_now:?}");
    }

    async fn paused_view_is_unchanged_until_it_is_resumed(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        market.register(1, None).await;
        market.settle(&loops).await;
        pause_view(&market.store, VIEWS[0]).await.unwrap();
        market.register(2, None).await;
        let head = market.store.log().head().await.unwrap();
        eventually(SOON, || async {
            let alarms = loops.applied().progress()[VIEWS[3]].position;
            if alarms >= head { Ok(()) } else { Err(alarms) }
        })
        .await;
        assert_eq!(market.queries().item(item(2)).await.unwrap(), None, "nothing is written");
        let loops_now = overview(&market.store, Services::ALL, Duration::from_millis(10)).await.unwrap();
        let paused = loops_now.iter().find(|of| of.name == VIEWS[0]).unwrap();
        assert_eq!((paused.state, paused.lag_events > Some(0)), (LoopState::Paused, true), "{paused:?}");
        loops.stop().await;
        let loops = market.start();
        eventually(SOON, || async {
            let loops_now = overview(&market.store, Services::ALL, Duration::ZERO).await.unwrap();
            let running = loops_now.iter().filter(|of| of.state == LoopState::Running).count();
            if running == loops_now.len() - 1 { Ok(()) } else { Err(loops_now) }
        })
        .await;
        // A restart doesn't end the pause.
        assert!(resume_view(&market.store, VIEWS[0]).await.unwrap());
        assert!(!resume_view(&market.store, VIEWS[0]).await.unwrap(), "the view was resumed already");
        market.settle(&loops).await;
        assert!(market.queries().item(item(2)).await.unwrap().is_some());
        let loops_now = overview(&market.store, Services::ALL, Duration::ZERO).await.unwrap();
        assert!(loops_now.iter().all(|of| of.state == LoopState::Running), "{loops_now:?}");
        loops.stop().await;
    }

    /// Control: a view that is rebuilt in place, which the checks of the other tests notice.
    async fn view_rebuilt_in_place_is_read_incomplete(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        for number in 1..=200 {
            market.register(number, None).await;
        }
        market.settle(&loops).await;
        loops.stop().await;
        market.views_sql("DELETE FROM view_item_info_v4 WHERE no > 100").await;
        let never_stopped = tokio::sync::Notify::new();
        let watching = AssertUnwindSafe(watch(&market, 200, &never_stopped));
        assert!(watching.catch_unwind().await.is_err(), "the watch notices an incomplete view");
        market.views_sql("UPDATE checkpoints SET position = 0").await;
        let (replayed, differing) = rebuild(&market, "item-info", false).await;
        assert_eq!((replayed.compared_at, replayed.differing), (Some(0), 100));
        assert!(differing.iter().all(|row| row.rebuilt == Value::Null), "beyond the checkpoint");
    }
}
