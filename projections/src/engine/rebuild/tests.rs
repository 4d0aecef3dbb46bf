//! Tests that need the inside of a build: rows that don't fit into memory, and two versions of a view.

use super::build::{Build, LAST_STEP};
use super::build_source::served_now;
use super::goal::Goal;
use super::run::catch_up;
use super::{Difference, Differences, ensure_built, ensure_served, rebuild};
use crate::engine::feed::Feeds;
use crate::engine::progress::{Applied, LoopKey, LoopKind};
use crate::engine::projector::{Projector, ProjectorParts};
use crate::engine::subscription::{Blocked, Subscription};
use crate::engine::test_view::{TestRow, TestView};
use crate::engine::throttle::Throttle;
use crate::engine::view::{Column, FoldError, View};
use crate::engine::view_table::ViewTable;
use chrono::DateTime;
use futures::future::join_all;
use gdmarket_domain::MarketEvent;
use gdmarket_store::{
    Append, Checkpoints, Generations, Leases, NewEvent, ReceiptKind, Store, StoreOptions, StreamId,
};
use gdmarket_testkit::{TestDb, eventually, on_each_engine};
use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{JoinHandle, block_in_place};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

/// Their first events are more than one chunk of a scan, and more than the rows that a build holds in
/// tests: they have left memory when the second ones come.
const STREAMS: i64 = 600;

async fn store(db: &TestDb) -> Store {
    let options = StoreOptions { url: db.url().to_owned(), ..StoreOptions::default() };
    Store::migrate(&options).await.unwrap();
    Store::open(&options).await.unwrap()
}

async fn append(store: &Store, number: i64, expected: i64, event_type: &str) {
    let command_id = Uuid::from_u64_pair(number.unsigned_abs(), expected.unsigned_abs());
    let event = NewEvent {
        event_type: event_type.to_owned(),
        event_version: "1".to_owned(),
        payload: format!("{{\"{event_type}\":{{\"itemNo\":{number}}}}}"),
    };
    let append = Append {
        command_id,
        fingerprint: vec![],
        stream: StreamId::new("alarm", number),
        expected,
        events: vec![event],
        metadata: "{}".to_owned(),
        kind: ReceiptKind::Done,
        personal: None,
    };
    store.appender().append(append).await.unwrap();
}

/// Every stream's first event, then every stream's second: all have left memory in between.
async fn fill(store: &Store) {
    join_all((1..=STREAMS).map(|number| append(store, number, 0, "Alerted"))).await;
    let second = |number| if number % 5 == 0 { "Broken" } else { "DeleteAlerted" };
    join_all((1..=STREAMS).map(|number| append(store, number, 1, second(number)))).await;
}

/// Runs the loop of a view, as a program with this version does.
fn maintain<V: View>(store: &Store, stop: &CancellationToken) -> JoinHandle<()> {
    let key = LoopKey::new(LoopKind::View, &V::subscription(), None);
    let feeds = Feeds::of_own_log(store);
    let feed = Arc::clone(feeds.own());
    let tick = Duration::from_millis(20);
    let projector = Projector::<V>::new(ProjectorParts {
        store: store.clone(),
        feeds: feeds.clone(),
        feed: Arc::clone(&feed),
        tick,
        ensure_built: ensure_served::<V>,
    });
    let subscription = Subscription {
        key: key.clone(),
        handler: Arc::new(projector),
        applied: Applied::new([key], feeds),
        feed,
        checkpoints: Checkpoints::new(store.views().clone()),
        leases: Leases::new(store.views().clone()),
        holder: V::subscription(),
        clock: Arc::new(|| DateTime::UNIX_EPOCH),
        batch: 100,
        lease_ttl: Duration::from_secs(3),
        tick,
        alone: false,
        blocked: Blocked::default(),
    };
    tokio::spawn(subscription.run(stop.clone()))
}

async fn differences(store: &Store) -> Vec<Difference> {
    let mut all = Differences::default();
    rebuild::<TestView>(store, &Feeds::of_own_log(store), &mut all, &|_, _| {}).await.unwrap();
    all.0
}

/// The view as its next version would be.
struct Next;

impl View for Next {
    const NAME: &'static str = TestView::NAME;
    const VERSION: u32 = 2;
    const AGGREGATE: &'static str = TestView::AGGREGATE;
    const COLUMNS: &'static [Column<TestRow>] = TestView::COLUMNS;
    type Row = TestRow;

    fn fold(row: &mut TestRow, event: MarketEvent) -> Result<(), FoldError> {
        TestView::fold(row, event)
    }

    fn is_gone(row: &TestRow) -> bool {
        TestView::is_gone(row)
    }

    fn body(row: &TestRow) -> Option<Value> {
        TestView::body(row)
    }
}

/// A view whose rows can't be written.
struct Unwritable;

#[derive(Clone, Default, PartialEq, Deserialize)]
struct Unwritten;

impl Serialize for Unwritten {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("this row can't be written"))
    }
}

impl View for Unwritable {
    const NAME: &'static str = "unwritable";
    const VERSION: u32 = 1;
    const AGGREGATE: &'static str = TestView::AGGREGATE;
    const COLUMNS: &'static [Column<Unwritten>] = &[];
    type Row = Unwritten;

    fn fold(_: &mut Unwritten, _: MarketEvent) -> Result<(), FoldError> {
        Ok(())
    }

    fn is_gone(_: &Unwritten) -> bool {
        false
    }

    fn body(_: &Unwritten) -> Option<Value> {
        None
    }
}

on_each_engine! {
    async fn written_rows_are_read_back_when_their_stream_continues(db: &TestDb) {
        let store = store(db).await;
        fill(&store).await;
        ensure_built::<TestView>(&store, &Feeds::of_own_log(&store)).await.unwrap();
        let numbers: Vec<i64> = (1..=STREAMS).collect();
        let rows = ViewTable::<TestView>::served().load(store.views(), &numbers).await.unwrap();
        assert_eq!(rows.len(), numbers.len());
        for (number, row) in rows {
            let is_broken = number % 5 == 0;
            assert_eq!((row.sequence, row.stale.is_some()), (if is_broken { 1 } else { 2 }, is_broken));
            let status = if is_broken { "Alerted" } else { "DeleteAlerted" };
            assert_eq!(row.row.status.unwrap(), status, "alarm {number}");
        }
        let parked = gdmarket_store::ParkedKeys::new(store.views().clone());
        let parked = parked.all(&TestView::subscription()).await.unwrap();
        assert_eq!(i64::try_from(parked.len()).unwrap(), STREAMS / 5, "{parked:?}");
    }

    /// Rows are written in the background of the folding: a failure there isn't lost.
    async fn build_fails_when_its_rows_cannot_be_written(db: &TestDb) {
        let store = store(db).await;
        fill(&store).await;
        let mut build = Build::<Unwritable>::begin(&store, &Feeds::of_own_log(&store)).await.unwrap();
        let caught_up = catch_up(&Feeds::of_own_log(&store), &mut build, Goal::Head, &|_, _| {}).await;
        let why = caught_up.unwrap_err().to_string();
        assert!(why.contains("this row can't be written"), "{why}");
        build.discard().await.unwrap();
    }

    async fn build_follows_a_growing_log_and_stops_pausing_when_it_falls_behind(db: &TestDb) {
        let store = store(db).await;
        append(&store, 1, 0, "Alerted").await;
        for (times, is_disabled) in [(1, false), (3, true)] {
            let mut build = Build::<TestView>::begin(&store, &Feeds::of_own_log(&store)).await.unwrap();
            let grown = AtomicU32::new(0);
            let reported = AtomicU64::new(0);
            let grow = |_, of| {
                // The log grows once in each round.
                if reported.swap(of, Ordering::SeqCst) != of && grown.fetch_add(1, Ordering::SeqCst) < times {
                    let head = Handle::current().block_on(store.log().head()).unwrap();
                    let more = (1..=2 * LAST_STEP).map(|n| append(&store, head + n, 0, "Alerted"));
                    Handle::current().block_on(join_all(more));
                }
            };
            let progress = |done, of| block_in_place(|| grow(done, of));
            catch_up(&Feeds::of_own_log(&store), &mut build, Goal::Head, &progress).await.unwrap();
            let head = store.log().head().await.unwrap();
            assert!(head - build.sources[0].reached <= LAST_STEP, "{} of {head}", build.sources[0].reached);
            assert_eq!(build.throttle.is_disabled(), is_disabled, "{times}");
            build.discard().await.unwrap();
        }
    }

    /// All rows at once would take the database long.
    async fn build_among_commands_indexes_rows_as_they_are_written(db: &TestDb) {
        let store = store(db).await;
        fill(&store).await;
        let head = store.log().head().await.unwrap();
        for is_busy in [false, true] {
            let mut build = Build::<TestView>::begin(&store, &Feeds::of_own_log(&store)).await.unwrap();
            let (is_busy_sender, known) = watch::channel(None);
            let checking = AbortOnDropHandle::new(tokio::spawn(async {}));
            build.throttle = Arc::new(Throttle::new(known, checking));
            let until = [head];
            let folding = build.fold_to(&until, &|_, _| {});
            // The throttle knows a moment after the build has begun whether commands come in.
            let (folded, _) = tokio::join!(folding, async { is_busy_sender.send_replace(Some(is_busy)) });
            folded.unwrap();
            assert_eq!(build.is_indexed, is_busy);
            build.discard().await.unwrap();
        }
    }

    /// The process was stopped and another took over; it continues before it could notice.
    async fn fenced_build_touches_no_table_of_its_successor(db: &TestDb) {
        let store = store(db).await;
        fill(&store).await;
        let head = store.log().head().await.unwrap();
        let mut late = Build::<TestView>::begin(&store, &Feeds::of_own_log(&store)).await.unwrap();
        let leases = Leases::new(store.views().clone());
        leases.release(&late.lease.right().name, &late.lease.right().holder).await.unwrap();
        let mut next = Build::<TestView>::begin(&store, &Feeds::of_own_log(&store)).await.unwrap();
        next.fold_to(&[head / 2], &|_, _| {}).await.unwrap();
        late.fold_to(&[head], &|_, _| {}).await.unwrap_err();
        // Nor does a late build that has only just begun, and removes leftovers.
        let epoch = late.lease.right().epoch;
        ViewTable::<TestView>::remove_leftovers(store.views(), epoch).await.unwrap();
        late.discard().await.unwrap();
        next.fold_to(&[head], &|_, _| {}).await.unwrap();
        next.promote().await.unwrap();
        assert_eq!(differences(&store).await, []);
    }

    async fn leftover_of_another_version_is_removed_unless_its_build_runs(db: &TestDb) {
        let store = store(db).await;
        let other = Build::<Next>::begin(&store, &Feeds::of_own_log(&store)).await.unwrap();
        let table = other.table.name().to_owned();
        let is_there = async || db.view_tables().await.contains(&table);
        Build::<TestView>::begin(&store, &Feeds::of_own_log(&store)).await.unwrap().discard().await.unwrap();
        assert!(is_there().await, "its build runs");
        let right = other.lease.right().clone();
        drop(other);
        Leases::new(store.views().clone()).release(&right.name, &right.holder).await.unwrap();
        Build::<TestView>::begin(&store, &Feeds::of_own_log(&store)).await.unwrap().discard().await.unwrap();
        assert!(!is_there().await, "it died");
    }

    async fn two_programs_maintain_their_versions_side_by_side(db: &TestDb) {
        let store = store(db).await;
        append(&store, 1, 0, "Alerted").await;
        let stop = CancellationToken::new();
        let loops = [maintain::<TestView>(&store, &stop), maintain::<Next>(&store, &stop)];
        for number in 2..=20 {
            append(&store, number, 0, "Alerted").await;
        }
        append(&store, 1, 1, "DeleteAlerted").await;
        let head = store.log().head().await.unwrap();
        eventually(Duration::from_secs(30), || async {
            let old = served_now::<TestView>(&store, &Feeds::of_own_log(&store)).await.unwrap();
            let new = served_now::<Next>(&store, &Feeds::of_own_log(&store)).await.unwrap();
            if (&old, &new) == (&Some(vec![head]), &Some(vec![head])) { Ok(()) } else { Err((old, new)) }
        })
        .await;
        stop.cancel();
        join_all(loops).await;
        let numbers: Vec<i64> = (1..=20).collect();
        let old = ViewTable::<TestView>::served().load(store.views(), &numbers).await.unwrap();
        let new = ViewTable::<Next>::served().load(store.views(), &numbers).await.unwrap();
        assert_eq!((old.len(), &old), (20, &new));
        assert_eq!(old[&1].sequence, 2);
    }

    async fn new_version_is_built_alongside_the_old_one_and_leaves_it_alone(db: &TestDb) {
        let store = store(db).await;
        append(&store, 1, 0, "Alerted").await;
        ensure_built::<TestView>(&store, &Feeds::of_own_log(&store)).await.unwrap();
        append(&store, 1, 1, "DeleteAlerted").await;
        ensure_built::<Next>(&store, &Feeds::of_own_log(&store)).await.unwrap();
        let old = ViewTable::<TestView>::served().load(store.views(), &[1]).await.unwrap();
        let new = ViewTable::<Next>::served().load(store.views(), &[1]).await.unwrap();
        assert_eq!((old[&1].sequence, new[&1].sequence), (1, 2), "each has the events of its build");
        let head = store.log().head().await.unwrap();
        assert_eq!(served_now::<Next>(&store, &Feeds::of_own_log(&store)).await.unwrap(), Some(vec![head]));
        assert_eq!(served_now::<TestView>(&store, &Feeds::of_own_log(&store)).await.unwrap(), Some(vec![head - 1]));
        // A second call changes nothing.
        ensure_built::<Next>(&store, &Feeds::of_own_log(&store)).await.unwrap();
        let generations = Generations::new(store.views().clone()).all().await.unwrap();
        let numbers: Vec<_> = generations.iter().map(|of| (of.view.as_str(), of.number)).collect();
        assert_eq!(numbers, [("alarms_v1", 1), ("alarms_v2", 1)]);
    }
}
