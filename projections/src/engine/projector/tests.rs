//! A projector after another runner has taken over, and with a view that panics.

use super::*;
use crate::engine::progress::{LoopKey, LoopKind};
use crate::engine::test_view::{TestRow, TestView};
use crate::engine::view::{Column, FoldError};
use gdmarket_domain::MarketEvent;
use gdmarket_store::{Checkpoints, Claim, StoreOptions, StreamId};
use gdmarket_testkit::{TestDb, on_each_engine};
use std::sync::Arc;

fn alerted(number: i64, sequence: i64) -> RecordedEvent {
    RecordedEvent {
        position: 10 * number + sequence,
        stream: StreamId::new("alarm", number),
        sequence,
        event_type: "Alerted".to_owned(),
        event_version: "1".to_owned(),
        payload: format!("{{\"Alerted\":{{\"itemNo\":{number}}}}}"),
        metadata: "{}".to_owned(),
        recorded_at: 7,
        damage: None,
    }
}

fn delivered(event: RecordedEvent) -> Delivery {
    Delivery { previous: 0, event: Arc::new(event) }
}

async fn store(db: &TestDb) -> Store {
    let options = StoreOptions { url: db.url().to_owned(), ..StoreOptions::default() };
    Store::migrate(&options).await.unwrap();
    Store::open(&options).await.unwrap()
}

on_each_engine! {
    async fn fenced_runner_writes_nothing(db: &TestDb) {
        let store = store(db).await;
        let checkpoints = Checkpoints::new(store.views().clone());
        let feeds = Feeds::of_own_log(&store);
        let projector = Projector::<TestView>::new(ProjectorParts {
            store: store.clone(),
            feed: Arc::clone(feeds.own()),
            feeds,
            tick: Duration::ZERO,
            ensure_built: build,
        });
        projector.prepare().await.unwrap();
        let key = LoopKey::new(LoopKind::View, "alarms", None);
        let run = |epoch| Run { key: key.clone(), source: *store.identity(), epoch };
        let claim = async |epoch| checkpoints.claim("alarms", store.identity(), epoch, 0).await;
        let (paused, successor) = (run(1), run(2));
        assert_eq!(claim(1).await.unwrap(), Claim::Position(0));
        let batch = [delivered(alerted(1, 1))];
        assert_eq!(projector.batch(&paused, 0, &batch).await.unwrap(), Reached::CommittedTo(11));

        assert_eq!(claim(2).await.unwrap(), Claim::Position(11));
        let late = [delivered(alerted(2, 1)), delivered(alerted(3, 5))];
        let halt = projector.batch(&paused, 11, &late).await;
        assert!(matches!(halt, Err(Halt::Fenced)), "{halt:?}");
        let rows = projector.table.load(store.views(), &[1, 2, 3]).await.unwrap();
        assert_eq!(rows.keys().collect::<Vec<_>>(), [&1], "its rows are gone with it");
        assert_eq!(projector.parked.all("alarms").await.unwrap(), [], "and what it parked");
        let halt = projector.repair_stream(&paused, 1, &parked("alarm/1")).await;
        assert!(matches!(halt, Err(Halt::Fenced)), "{halt:?}");
        assert_eq!(claim(1).await.unwrap(), Claim::Fenced, "an old epoch never comes back");

        // Nor does a runner whose checkpoint was moved by another one.
        let halt = projector.batch(&successor, 0, &late).await;
        assert!(matches!(halt, Err(Halt::Fenced)), "{halt:?}");
        assert_eq!(projector.batch(&successor, 11, &late).await.unwrap(), Reached::CommittedTo(35));
    }
}

fn parked(key: &str) -> Parked {
    Parked {
        key: key.to_owned(),
        state: Parked::RETRYING.to_owned(),
        reason: String::new(),
        since_position: 0,
        since_time: 0,
        attempts: 1,
    }
}

/// Makes the table; there is nothing to build it from.
fn build(store: Store, _: Feeds) -> BoxFuture<'static, Result<(), Halt>> {
    Box::pin(async move {
        let mut tx = store.views().begin().await?;
        ViewTable::<TestView>::served().rows().create_bare(&mut tx).await?;
        Ok(tx.commit().await?)
    })
}

/// Breaks down on item 2.
struct Fragile;

impl View for Fragile {
    const NAME: &'static str = "fragile";
    const VERSION: u32 = 1;
    const AGGREGATE: &'static str = "alarm";
    const COLUMNS: &'static [Column<TestRow>] = &[Column::number("item_no", |row| {
        assert_ne!(row.item_no, Some(2), "a fault of the view");
        row.item_no
    })];
    type Row = TestRow;

    fn fold(row: &mut TestRow, event: MarketEvent) -> Result<(), FoldError> {
        TestView::fold(row, event)
    }

    fn is_gone(row: &TestRow) -> bool {
        TestView::is_gone(row)
    }

    fn body(row: &TestRow) -> Option<serde_json::Value> {
        TestView::body(row)
    }
}

#[test]
fn panic_of_a_view_is_poison_and_leaves_the_row_as_it_was() {
    let mut row = Stored::new(2);
    let folded = fold::<Fragile>(&mut row, alerted(2, 1).as_event_ref());
    assert!(matches!(folded, Folded::Poison(_)));
    assert_eq!(row, Stored::new(2));
    let mut row = Stored::new(1);
    assert!(matches!(fold::<Fragile>(&mut row, alerted(1, 1).as_event_ref()), Folded::Taken));
    assert!(matches!(fold::<Fragile>(&mut row, alerted(1, 1).as_event_ref()), Folded::Old));
    assert!(matches!(fold::<Fragile>(&mut row, alerted(1, 3).as_event_ref()), Folded::Poison(_)));
    assert_eq!(row.sequence, 1);
}
