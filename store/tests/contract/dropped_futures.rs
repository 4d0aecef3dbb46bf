//! A caller that goes away, at whatever await, loses nothing and poisons no cache.

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
/// The other process's command ids begin here.
const RIVALS: u128 = 1_000;
/// More than a process has connections for reading.
const READERS: usize = 12;

/// Polls a future this often, then drops it; what it returned if it was that fast.
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

/// Polls a future up to three times and drops it. The answer arrives while the future isn't polled: this is when it used to
/// be lost. The time without a poll is the moment under test, another one in each round.
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

/// Writes one more note, and says how many there are.
async fn note(db: &Db) -> i64 {
    let sql = "INSERT INTO generations (view, generation, built_to, built_at) VALUES ($1, 1, 1, 1)";
    let number = notes(db).await + 1;
    on_db!(write db, pool => {
        sqlx::query(sql).bind(format!("note {number}")).execute(pool).await.map(drop)
    })
    .unwrap();
    number
}

async fn notes(db: &Db) -> i64 {
    on_db!(db, pool => sqlx::query_scalar("SELECT count(*) FROM generations").fetch_one(pool).await)
        .unwrap()
}

/// Who counts up, and what it remembers afterwards.
trait Counts: Clone + Send + 'static {
    /// Appends one event; what it says itself that the total is now.
    async fn count_up(self, command: u128) -> Result<i64, AppendError>;
    /// The version and the total that the next one begins with.
    async fn remembers(&self) -> (i64, i64);
}

/// The stores' own way.
impl Counts for Store {
    async fn count_up(self, command: u128) -> Result<i64, AppendError> {
        let loaded = self.aggregates::<Counter>().lock(1).await.unwrap();
        let append = adding(command, loaded.version());
        Ok(loaded.append(append).await?.1.total)
    }

    async fn remembers(&self) -> (i64, i64) {
        let loaded = self.aggregates::<Counter>().lock(1).await.unwrap();
        (loaded.version(), loaded.state().total)
    }
}

/// A cache without the protection: it is filled before the answer, and corrected only by a caller that still waits and sees
/// the failure.
#[derive(Clone)]
struct Careless {
    store: Store,
    remembered: Arc<Mutex<(i64, i64)>>,
}

impl Counts for Careless {
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

    async fn remembers(&self) -> (i64, i64) {
        *self.remembered.lock().await
    }
}

/// Each command adds something else, so that a state shows which events are in it.
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

/// What came of many dropped calls.
#[derive(Debug, Default)]
struct Dropped {
    /// The commands that were answered.
    answered: Vec<u128>,
    abandoned: usize,
    /// What was remembered and is not what the log says.
    poisoned: Vec<String>,
}

/// Calls that are dropped after some polls each, while another process gets ahead of some of them.
async fn drop_many(counts: impl Counts, store: &Store, rival: &Store) -> Dropped {
    let mut dropped = Dropped::default();
    for command in 1..=COMMANDS {
        if command % 3 == 0 {
            while rival.clone().count_up(RIVALS + command).await.is_err() {}
        }
        let polls = u32::try_from(command % 7).unwrap() + 1;
        match poll_and_drop(counts.clone().count_up(command), polls).await {
            Some(Ok(_)) => dropped.answered.push(command),
            // Another command was faster: the one before, which is written only now, or the other process's.
            Some(Err(AppendError::Conflict)) => {}
            Some(Err(AppendError::Gap)) => dropped.poisoned.push(format!("{command} leaves a gap")),
            Some(Err(error)) => panic!("{error:?}"),
            None => dropped.abandoned += 1,
        }
        let (version, remembered) = counts.remembers().await;
        let log = whole_log(store).await;
        // What is beyond the log may be on its way there; if it isn't, the next append leaves a gap.
        let known = log.get(..usize::try_from(version).unwrap());
        if let Some(is) = known.map(total).filter(|is| *is != remembered) {
            dropped.poisoned.push(format!("{remembered} is remembered of {is} at {version}"));
        }
    }
    dropped
}

on_each_engine! {
    async fn a_future_dropped_at_any_await_loses_nothing_and_poisons_no_cache(db: &TestDb) {
        let (store, rival) = (open(db).await, open(db).await);
        let dropped = drop_many(store.clone(), &store, &rival).await;
        assert_eq!(dropped.poisoned, [""; 0], "a poisoned cache");
        assert!(dropped.abandoned > 50, "{} were dropped on the way", dropped.abandoned);
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

    /// Control: a cache that is filled before the answer remembers what never happened.
    async fn control_a_cache_filled_before_the_answer_is_poisoned(db: &TestDb) {
        let (store, rival) = (open(db).await, open(db).await);
        let careless = Careless { store: store.clone(), remembered: Arc::default() };
        let dropped = drop_many(careless, &store, &rival).await;
        assert!(!dropped.poisoned.is_empty(), "the control must be poisoned");
        store.close().await;
        rival.close().await;
    }

    /// A connection in a forgotten transaction keeps what is written next, and continues to show an old state; if it is the
    /// writing one, no caller can write any more.
    async fn a_begin_that_is_dropped_leaves_no_connection_in_it(db: &TestDb) {
        let (store, other) = (open(db).await, open(db).await);
        for round in 0..200_u32 {
            drop_on_the_way(store.views().begin(), round).await;
            drop_on_the_way(store.views().snapshot(), round).await;
            for (writer, reader) in [(&store, &other), (&other, &store)] {
                let noted = note(writer.views()).await;
                let all = join_all((0..READERS).map(|_| notes(reader.views()))).await;
                assert_eq!(all, [noted; READERS], "after {round} dropped");
            }
        }
        for store in [store, other] {
            store.close().await;
        }
    }

    async fn queued_commands_are_written_though_their_callers_went_away(db: &TestDb) {
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
