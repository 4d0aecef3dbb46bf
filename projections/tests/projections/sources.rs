//! Views and process managers that read two logs: each log has its own checkpoint, lease and parked keys, and no order
//! between them matters.

use crate::market::{Market, SOON, options};
use crate::scenario;
use crate::test_feed::TestFeed;
use async_trait::async_trait;
use gdmarket_domain::{MarketCommand, ReservationCommand};
use gdmarket_projections::{
    Difference, Feeds, LogSource, Options, ParkedWork, PortError, Projections, RebuildObserver,
    Replay, Replayed, RetryOutcome, differences_with_feeds,
};
use gdmarket_store::{Checkpoints, Deadlines, Store, StreamId};
use gdmarket_testkit::{Engine, TestDb, eventually, on_each_engine, seed, times};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The name of the other service.
const OTHER: &str = "reservation";

/// Loops that read both logs.
const WITH_TWO_SOURCES: [&str; 4] =
    ["reservation_process", "payment_process", "abandonment", "alarms_v2"];

/// Items and payments are in the own log, reservations in the other; alarms are in both.
fn is_in_other(stream: &StreamId) -> bool {
    stream.kind == "reservation" || stream.kind == "alarm" && stream.number >= 1_000
}

/// A market over two logs, with the feed of the other one.
pub(crate) struct Split {
    pub(crate) market: Market,
    feed: Arc<TestFeed>,
    _other: Option<TestDb>,
}

impl Split {
    async fn open(db: &TestDb, seed: u64) -> Self {
        let other = database_like(db).await;
        let split = Self::open_urls(db.url(), other.url(), seed).await;
        Self { _other: Some(other), ..split }
    }

    /// Over two databases, which are migrated.
    pub(crate) async fn open_urls(url: &str, other: &str, seed: u64) -> Self {
        let market = Market::open_split(url, other, is_in_other).await;
        let feed = TestFeed::new(market.other.clone().unwrap(), seed);
        Self { market, feed, _other: None }
    }

    pub(crate) fn feeds(&self) -> Feeds {
        let own = BTreeSet::from(["item", "hold", "payment", "alarm"]);
        let others = [LogSource {
            name: Some(OTHER),
            feed: Arc::<TestFeed>::clone(&self.feed),
            aggregates: Some(BTreeSet::from(["reservation", "alarm"])),
        }];
        Feeds::new(&self.market.store, Some(own), others)
    }

    pub(crate) fn start(&self) -> Projections {
        self.start_with(&options())
    }

    pub(crate) fn start_with(&self, options: &Options) -> Projections {
        let (store, port) = (self.market.store.clone(), Arc::clone(&self.market.port));
        Projections::start_with_feeds(store, self.feeds(), port, options)
    }

    /// Closes both stores, for another process.
    #[cfg(feature = "failpoints")]
    pub(crate) async fn close(&self) {
        self.market.store.close().await;
        self.other().close().await;
    }

    fn other(&self) -> &Store {
        self.market.other.as_ref().unwrap()
    }

    /// The types of the events of each stream, over both logs.
    pub(crate) async fn streams(&self) -> BTreeMap<String, Vec<String>> {
        let mut all = streams(&self.market.store).await;
        all.extend(streams(self.other()).await);
        all
    }
}

/// Another database of the same engine.
pub(crate) async fn database_like(db: &TestDb) -> TestDb {
    match db.engine() {
        Engine::Sqlite => TestDb::sqlite(),
        Engine::Postgres => TestDb::postgres().await,
    }
}

async fn streams(store: &Store) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in store.log().read_after(0, 100_000).await.unwrap() {
        all.entry(event.stream.to_string()).or_default().push(event.event_type);
    }
    all
}

/// The numbers of the rows that differ, and whether the build is served.
struct Seen {
    serves: bool,
    numbers: Vec<i64>,
}

#[async_trait]
impl RebuildObserver for Seen {
    fn differs(&mut self, difference: Difference) {
        assert!(!difference.events.is_empty(), "{difference:?}");
        self.numbers.push(difference.number);
    }

    async fn serve(&mut self, _: &Replayed) -> bool {
        self.serves
    }
}

/// Waits until a loop is at a position.
async fn reaches(loops: &Projections, name: &str, position: i64) {
    eventually(SOON, || async {
        let progress = loops.applied().progress().remove(name);
        let position_now = progress.as_ref().map(|progress| progress.position);
        if position_now >= Some(position) { Ok(()) } else { Err(progress) }
    })
    .await;
}

on_each_engine! {
    async fn rentals_over_two_logs_end_as_in_one(db: &TestDb) {
        let seed = seed();
        println!("seed {seed}");
        let one = database_like(db).await;
        let alone = Market::open(&one).await;
        let loops = alone.start();
        scenario::play(&alone, &loops).await;
        loops.stop().await;

        let split = Split::open(db, seed).await;
        split.feed.repeats.store(true, Ordering::SeqCst);
        let loops = split.start();
        for name in WITH_TWO_SOURCES {
            for source in [name.to_owned(), format!("{name}@{OTHER}")] {
                assert!(loops.applied().progress().contains_key(&source), "{source}");
            }
        }
        scenario::play(&split.market, &loops).await;
        assert_eq!(split.streams().await, streams(&alone.store).await);
        let rows = |rows: Vec<crate::market::Row>| -> Vec<_> {
            rows.into_iter().map(|(no, sequence, gone, ..)| (no, sequence, gone)).collect()
        };
        for view in crate::market::VIEWS {
            let (of_two, of_one) = (split.market.rows(view).await, alone.rows(view).await);
            assert_eq!(rows(of_two), rows(of_one), "{view}");
        }
        assert_eq!(differences_with_feeds(&split.market.store, &split.feeds()).await.unwrap(), []);
        loops.stop().await;
    }

    async fn every_interleaving_of_two_logs_with_restarts_ends_alike(db: &TestDb) {
        let seed = seed();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let split = Split::open(db, random.random()).await;
        split.feed.repeats.store(true, Ordering::SeqCst);
        split.feed.loses.store(true, Ordering::SeqCst);
        let market = &split.market;
        for number in [1, 2, 3] {
            market.register(number, None).await;
        }
        // Its owner never registered it, but its alarm was raised in the other log.
        market.alert(1_001).await;
        market.register(1_002, None).await;
        let mut loops = split.start();
        for round in 0..i64::try_from(times(6)).unwrap() {
            let (no, item_no) = (round + 1, round % 3 + 1);
            market.reserve(no, item_no, None).await;
            if random.random_range(0..2) == 0 {
                split.feed.up_to.store(random.random_range(0..20), Ordering::SeqCst);
            }
            if random.random_range(0..2) == 0 {
                loops.stop().await;
                loops = split.start();
            }
            reaches(&loops, "reservation_process", market.store.log().head().await.unwrap()).await;
            split.feed.up_to.store(i64::MAX, Ordering::SeqCst);
        }
        split.feed.loses.store(false, Ordering::SeqCst);
        market.settle(&loops).await;
        let streams = split.streams().await;
        for no in 1..=i64::try_from(times(6)).unwrap() {
            let events = &streams[&format!("reservation/{no}")];
            let expected = if no <= 3 { "Reserved" } else { "ReservationRejected" };
            assert_eq!(events.len(), 2, "{no}: {events:?}");
            assert_eq!(events[1], expected, "{no}: {events:?}");
        }
        let alarms: Vec<i64> = market.rows("alarms_v2").await.iter().map(|row| row.0).collect();
        assert_eq!(alarms, [1, 2, 3, 1_001, 1_002]);
        assert_eq!(differences_with_feeds(&market.store, &split.feeds()).await.unwrap(), []);
        // The item may have been registered before its alarm was read: its deadline then fires without effect.
        market.views_sql("UPDATE deadlines SET due_at = 0 WHERE manager LIKE 'abandonment%'").await;
        let deadlines = Deadlines::new(market.store.views().clone());
        eventually(SOON, || async {
            let mut all = deadlines.all("abandonment").await.unwrap();
            all.extend(deadlines.all("abandonment@reservation").await.unwrap());
            if all.is_empty() { Ok(()) } else { Err(all) }
        })
        .await;
        market.settle(&loops).await;
        let streams = split.streams().await;
        assert_eq!(streams["item/1001"], ["RegistrationAbandoned"]);
        assert_eq!(streams["item/1002"], ["ItemRegistered"]);
        loops.stop().await;
    }

    async fn rebuild_of_a_view_compares_at_one_position_in_each_log(db: &TestDb) {
        let split = Split::open(db, 1).await;
        let market = &split.market;
        let loops = split.start();
        for number in [1, 2, 1_001, 1_002] {
            market.alert(number).await;
        }
        market.settle(&loops).await;
        let alone = Replay::new(market.store.clone());
        let mut seen = Seen { serves: true, numbers: vec![] };
        let refused = alone.rebuild("alarms", &mut seen, &|_, _| {}).await.unwrap_err();
        assert!(refused.to_string().contains("the log of reservation"), "{refused}");
        let replay = Replay::with_feeds(market.store.clone(), split.feeds());
        let mut seen = Seen { serves: false, numbers: vec![] };
        let compared = replay.rebuild("alarms", &mut seen, &|_, _| {}).await.unwrap();
        let (own, other) = (market.store.log().head().await.unwrap(), split.other().log().head().await.unwrap());
        assert_eq!((compared.compared_at, compared.compared_at_others.clone()),
            (Some(own), BTreeMap::from([(OTHER, other)])), "{compared:?}");
        assert_eq!((compared.rows, compared.differing), (4, 0), "{compared:?}");

        market.views_sql("UPDATE view_alarms_v2 SET item_no = 7 WHERE no = 1002").await;
        let mut seen = Seen { serves: true, numbers: vec![] };
        let served = replay.rebuild("alarms", &mut seen, &|_, _| {}).await.unwrap();
        assert_eq!(seen.numbers, [1_002]);
        assert!(served.promoted.is_some(), "{served:?}");
        for number in [3, 1_003] {
            market.alert(number).await;
        }
        market.settle(&loops).await;
        let rows: Vec<i64> = market.rows("alarms_v2").await.iter().map(|row| row.0).collect();
        assert_eq!(rows, [1, 2, 3, 1_001, 1_002, 1_003]);
        assert_eq!(differences_with_feeds(&market.store, &split.feeds()).await.unwrap(), []);

        // A log that is gone fails the rebuild, and nothing changes.
        split.feed.is_gone.store(true, Ordering::SeqCst);
        let mut seen = Seen { serves: true, numbers: vec![] };
        let failed = replay.rebuild("alarms", &mut seen, &|_, _| {}).await.unwrap_err();
        assert!(failed.to_string().contains("the service is gone"), "{failed}");
        assert_eq!(market.rows("alarms_v2").await.len(), 6);
        split.feed.is_gone.store(false, Ordering::SeqCst);
        loops.stop().await;
    }

    async fn source_that_is_gone_holds_up_no_other(db: &TestDb) {
        let split = Split::open(db, 1).await;
        let market = &split.market;
        split.feed.is_gone.store(true, Ordering::SeqCst);
        let loops = split.start();
        market.register(1, None).await;
        market.reserve(1, 1, None).await;
        let own = market.store.log().head().await.unwrap();
        for name in WITH_TWO_SOURCES {
            reaches(&loops, name, own).await;
            let of_other = format!("{name}@{OTHER}");
            let problem = eventually(SOON, || async {
                let progress = loops.applied().progress()[&of_other].clone();
                progress.problem.clone().ok_or(progress)
            })
            .await;
            assert!(problem.contains("the service is gone"), "{problem}");
        }
        assert_eq!(market.rows("alarms_v2").await.len(), 1);
        assert_eq!(market.rows("reservations_v3").await.len(), 0);
        split.feed.is_gone.store(false, Ordering::SeqCst);
        market.settle(&loops).await;
        assert_eq!(market.rows("reservations_v3").await.len(), 1);
        loops.stop().await;
    }

    async fn lease_that_is_lost_for_one_source_leaves_the_other(db: &TestDb) {
        let split = Split::open(db, 1).await;
        let market = &split.market;
        let loops = split.start();
        market.register(1, None).await;
        market.settle(&loops).await;
        market.views_sql(
            "UPDATE leases SET holder = 'another', epoch = epoch + 1, expires_at = 9000000000000000 \
             WHERE name = 'alarms_v2@reservation'",
        )
        .await;
        market.views_sql(
            "UPDATE checkpoints SET lease_epoch = lease_epoch + 1 WHERE subscription = 'alarms_v2' \
             AND source IN (SELECT log_id FROM sources)",
        )
        .await;
        market.alert(2).await;
        market.alert(1_001).await;
        reaches(&loops, "alarms_v2", market.store.log().head().await.unwrap()).await;
        eventually(SOON, || async {
            let progress = loops.applied().progress();
            let (own, other) = (&progress["alarms_v2"], &progress["alarms_v2@reservation"]);
            if own.is_leader && !other.is_leader { Ok(()) } else { Err((own.clone(), other.clone())) }
        })
        .await;
        let rows = market.rows("alarms_v2").await;
        assert_eq!(rows.iter().map(|row| row.0).collect::<Vec<_>>(), [1, 2], "1001 waits");
        market.views_sql("UPDATE leases SET expires_at = 0 WHERE name = 'alarms_v2@reservation'").await;
        market.settle(&loops).await;
        let rows = market.rows("alarms_v2").await;
        assert_eq!(rows.iter().map(|row| row.0).collect::<Vec<_>>(), [1, 2, 1_001]);
        loops.stop().await;
    }

    async fn key_is_parked_at_the_source_of_its_event(db: &TestDb) {
        let split = Split::open(db, 1).await;
        let market = &split.market;
        market.port.fail(|outgoing| match outgoing.command {
            MarketCommand::Reservation(no, ReservationCommand::Confirm { .. }) if no.get() == 1 => {
                Some(PortError::Impossible("a fault of the test".to_owned()))
            }
            _ => None,
        });
        let loops = split.start();
        market.register(1, None).await;
        market.register(2, None).await;
        market.reserve(1, 1, None).await;
        let work = ParkedWork::new(market.store.clone());
        let parked = eventually(SOON, || async {
            let mut all = work.list(None).await.unwrap();
            if all.len() == 1 { Ok(all.remove(0)) } else { Err(all) }
        })
        .await;
        assert_eq!(parked.subscription, "reservation_process", "the item's answer is in the own log");
        assert_eq!(market.parked("reservation_process@reservation").await, []);
        market.reserve(2, 2, None).await;
        market.settle(&loops).await;
        market.port.fail(|_| None);
        work.request_retry(&parked).await.unwrap();
        let until = tokio::time::Instant::now() + SOON;
        assert_eq!(work.outcome(&parked, until).await.unwrap(), RetryOutcome::Unparked);
        market.settle(&loops).await;
        for no in [1, 2] {
            let found = market.rows("reservations_v3").await;
            assert!(found.iter().any(|row| row.0 == no && row.1 == 2), "{no}: {found:?}");
        }
        loops.stop().await;
    }

    async fn gap_of_a_source_is_read_again_and_nothing_after_it_is_applied(db: &TestDb) {
        let split = Split::open(db, 1).await;
        let market = &split.market;
        for number in 1..=10 {
            market.reserve(number, 99, None).await;
        }
        split.feed.loses.store(true, Ordering::SeqCst);
        let loops = split.start();
        let head = split.other().log().head().await.unwrap();
        reaches(&loops, "reservations_v3@reservation", head).await;
        split.feed.loses.store(false, Ordering::SeqCst);
        market.settle(&loops).await;
        let rows = market.rows("reservations_v3").await;
        assert_eq!(rows.len(), 10);
        assert!(rows.iter().all(|row| row.1 == 2 && row.6.is_none()), "none is stale: {rows:?}");
        loops.stop().await;
    }

    async fn source_with_another_log_is_refused(db: &TestDb) {
        let split = Split::open(db, 1).await;
        let market = &split.market;
        let loops = split.start();
        market.reserve(1, 99, None).await;
        market.settle(&loops).await;
        loops.stop().await;
        split.feed.replace();
        market.reserve(2, 99, None).await;
        let loops = split.start();
        let problem = eventually(SOON, || async {
            let progress = loops.applied().progress()["reservations_v3@reservation"].clone();
            progress.problem.clone().ok_or(progress)
        })
        .await;
        assert!(problem.contains("reservation had log"), "{problem}");
        assert!(problem.contains("migrate --restored"), "{problem}");
        assert_eq!(market.rows("reservations_v3").await.len(), 1, "nothing is applied");
        let own = Checkpoints::new(market.store.views().clone());
        assert_eq!(own.others(market.store.identity()).await.unwrap(), Vec::<String>::new());
        loops.stop().await;
    }
}
