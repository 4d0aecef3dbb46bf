//! A future that is dropped at any await loses no event and leaves no wrong cache.

use crate::support::*;
use futures::future::join_all;
use gdmarket_store::{Append, AppendError, Db, RecordedEvent, Store, on_db};
use gdmarket_testkit::on_each_engine;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::Mutex;

const COMMANDS: u128 = 300;
/// The first command id of the other process.
const RIVALS: u128 = 1_000;
/// More readers than a process has connections for reading.
const READERS: usize = 12;

/// Polls a future `polls` times, then drops it; returns its output if it was ready by then.
async fn poll_and_drop<F: Future>(future: F, polls: u32) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if left <= 1 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

/// Polls a future up to three times and drops it. The answer arrives while the future isn't polled, which is when it used
/// to be lost. The time without a poll differs in each round.
async fn drop_on_the_way(future: impl Future, round: u32) {
    let mut future = pin!(future);
    for _ in 0..=round % 3 {
        let polled = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
        tokio::time::sleep(Duration::from_micros(u64::from(round) * 5)).await;
        if polled.is_ready() {
            break;
        }
    }
}

/// Writes one more row and returns the number of rows.
async fn write_row(db: &Db) -> i64 {
    let sql = "INSERT INTO generations (view, generation, built_to, built_at) VALUES ($1, 1, 1, 1)";
    let number = row_count(db).await + 1;
    on_db!(write db, pool => {
        sqlx::query(sql).bind(format!("view {number}")).execute(pool).await.map(drop)
    })
    .unwrap();
    number
}

async fn row_count(db: &Db) -> i64 {
    on_db!(db, pool => sqlx::query_scalar("SELECT count(*) FROM generations").fetch_one(pool).await)
        .unwrap()
}

/// A counter with a cached state.
trait CachedCounter: Clone + Send + 'static {
    /// Appends one event; returns the total according to the cache.
    async fn count_up(self, command: u128) -> Result<i64, AppendError>;
    /// The cached version and total.
    async fn cached(&self) -> (i64, i64);
}

/// The store's own cache.
impl CachedCounter for Store {
    async fn count_up(self, command: u128) -> Result<i64, AppendError> {
        let loaded = self.aggregates::<Counter>().lock(1).await.unwrap();
        let append = adding(command, loaded.version());
        Ok(loaded.append(append).await?.1.total)
    }

    async fn cached(&self) -> (i64, i64) {
        let loaded = self.aggregates::<Counter>().lock(1).await.unwrap();
        (loaded.version(), loaded.state().total)
    }
}

/// A cache without the protection: it is updated before the answer, and corrected only by a caller that still waits when
/// the append fails.
#[derive(Clone)]
struct EarlyCache {
    store: Store,
    remembered: Arc<Mutex<(i64, i64)>>,
}

impl CachedCounter for EarlyCache {
    async fn count_up(self, command: u128) -> Result<i64, AppendError> {
        let mut remembered = self.remembered.lock().await;
        let append = adding(command, remembered.0);
        *remembered = (remembered.0 + 1, remembered.1 + added(command));
        if let Err(error) = self.store.appender().append(append).await {
            let log = whole_log(&self.store).await;
            *remembered = (log.len().try_into().unwrap(), total(&log));
            return Err(error);
        }
        Ok(remembered.1)
    }

    async fn cached(&self) -> (i64, i64) {
        *self.remembered.lock().await
    }
}

/// Each command adds a different value, so a total shows which events are in it.
fn added(command: u128) -> i64 {
    i64::try_from(command).unwrap() * 1_000_003
}

fn adding(command: u128, expected: i64) -> Append {
    Append { events: vec![counted(added(command))], ..append(command, 1, expected) }
}

fn total(log: &[RecordedEvent]) -> i64 {
    let by = |event: &RecordedEvent| {
        let CounterEvent::Counted { by } = serde_json::from_str(&event.payload).unwrap();
        by
    };
    log.iter().map(by).sum()
}

/// The result of many dropped calls.
#[derive(Debug, Default)]
struct Dropped {
    /// The commands that were answered.
    answered: Vec<u128>,
    abandoned: usize,
    /// Cached states that differ from the log.
    poisoned: Vec<String>,
}

/// Drops calls after some polls each, while another process appends before some of them.
async fn drop_many(counts: impl CachedCounter, store: &Store, rival: &Store) -> Dropped {
    let mut dropped = Dropped::default();
    for command in 1..=COMMANDS {
        if command % 3 == 0 {
            while rival.clone().count_up(RIVALS + command).await.is_err() {}
        }
        let polls = u32::try_from(command % 7).unwrap() + 1;
        match poll_and_drop(counts.clone().count_up(command), polls).await {
            Some(Ok(_)) => dropped.answered.push(command),
            // Another command was faster: the previous one, which is written only now, or one of the other process.
            Some(Err(AppendError::Conflict)) => {}
            Some(Err(AppendError::Gap)) => dropped.poisoned.push(format!("{command} leaves a gap")),
            Some(Err(error)) => panic!("{error:?}"),
            None => dropped.abandoned += 1,
        }
        let (version, remembered) = counts.cached().await;
        let log = whole_log(store).await;
        // A version beyond the log may be in flight; if it isn't, the next append leaves a gap.
        let known = log.get(..usize::try_from(version).unwrap());
        if let Some(is) = known.map(total).filter(|is| *is != remembered) {
            dropped.poisoned.push(format!("{remembered} is cached for {is} at {version}"));
        }
    }
    dropped
}

on_each_engine! {
    async fn future_dropped_at_any_await_loses_no_event_and_poisons_no_cache(db: &TestDb) {
        let (store, rival) = (open(db).await, open(db).await);
        let dropped = drop_many(store.clone(), &store, &rival).await;
        assert_eq!(dropped.poisoned, [""; 0], "cached states differ from the log");
        assert!(dropped.abandoned > 50, "only {} calls were dropped in flight", dropped.abandoned);
        store.close().await;
        rival.close().await;
        let store = open(db).await;
        let log = whole_log(&store).await;
        assert!(log.iter().zip(1..).all(|(event, sequence)| event.sequence == sequence));
        let mut receipts = 0;
        for command in (1..=COMMANDS).flat_map(|command| [command, RIVALS + command]) {
            let receipt = store.receipts().find(id(command)).await.unwrap();
            assert!(receipt.is_some() || !dropped.answered.contains(&command), "{command} is lost");
            receipts += usize::from(receipt.is_some());
        }
        assert_eq!(receipts, log.len(), "an event per receipt");
        store.close().await;
    }

    /// Control: a cache that is updated before the answer contains events that never happened.
    async fn cache_updated_before_the_answer_is_poisoned(db: &TestDb) {
        let (store, rival) = (open(db).await, open(db).await);
        let early_cache = EarlyCache { store: store.clone(), remembered: Arc::default() };
        let dropped = drop_many(early_cache, &store, &rival).await;
        assert!(!dropped.poisoned.is_empty(), "the control must be poisoned");
        store.close().await;
        rival.close().await;
    }

    /// A connection in a forgotten transaction would hide later writes and show an old state; on the writing connection,
    /// no caller could write any more.
    async fn dropped_begin_leaves_no_connection_in_a_transaction(db: &TestDb) {
        let (store, other) = (open(db).await, open(db).await);
        for round in 0..200_u32 {
            drop_on_the_way(store.views().begin(), round).await;
            drop_on_the_way(store.views().snapshot(), round).await;
            for (writer, reader) in [(&store, &other), (&other, &store)] {
                let rows = write_row(writer.views()).await;
                let all = join_all((0..READERS).map(|_| row_count(reader.views()))).await;
                assert_eq!(all, [rows; READERS], "round {round}");
            }
        }
        for store in [store, other] {
            store.close().await;
        }
    }

    async fn queued_commands_are_written_though_their_callers_go_away(db: &TestDb) {
        let store = open(db).await;
        for command in 1..=50_u128 {
            let number = i64::try_from(command).unwrap();
            let appending = store.appender().append(append(command, number, 0));
            drop(poll_and_drop(appending, 1).await);
        }
        store.close().await;
        let store = open(db).await;
        assert_eq!(whole_log(&store).await.len(), 50);
        store.close().await;
    }
}
