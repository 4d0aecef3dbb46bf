//! Two stores with caches of their own fight over the same aggregates.

use crate::support::*;
use gdmarket_store::{AppendError, Store};
use gdmarket_testkit::on_each_engine;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

const COUNTERS: i64 = 20;
const FULL_AT: i64 = 6;

static COMMAND: AtomicU64 = AtomicU64::new(1);

/// How a command ended for its caller.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Counted,
    Full { at: i64 },
}

/// Counts one up unless the counter is full: as an executor does, retrying conflicts and looking
/// again before it refuses. Without `look_again` it believes what it has in memory.
async fn count(store: &Store, number: i64, look_again: bool) -> Ended {
    let counters = store.aggregates::<Counter>();
    loop {
        let mut loaded = counters.lock(number).await.unwrap();
        if look_again && !loaded.is_current() && loaded.state().total >= FULL_AT {
            loaded.refresh().await.unwrap();
        }
        if loaded.state().total >= FULL_AT {
            return Ended::Full { at: loaded.state().total };
        }
        let command = COMMAND.fetch_add(1, Ordering::Relaxed);
        let version = loaded.version();
        match loaded.append(append(u128::from(command), number, version)).await {
            Ok((appended, state)) => {
                assert_eq!(state.total, appended.first_sequence);
                return Ended::Counted;
            }
            Err(AppendError::Conflict) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

on_each_engine! {
    async fn two_stores_fighting_over_aggregates_lose_and_invent_nothing(db: &TestDb) {
        let stores = [open(db).await, open(db).await];
        let tasks = (0..16_usize).map(|task| {
            let store = stores[task % 2].clone();
            async move {
                let mut ended = Vec::new();
                for round in 0..COUNTERS {
                    let number = (round + i64::try_from(task).unwrap()) % COUNTERS + 1;
                    ended.push(count(&store, number, true).await);
                }
                ended
            }
        });
        let ended: Vec<Ended> = all(spawn_each(tasks)).await.into_iter().flatten().collect();
        let counted = ended.iter().filter(|ended| **ended == Ended::Counted).count();
        assert!(ended.iter().all(|ended| matches!(ended, Ended::Counted | Ended::Full { at: FULL_AT })));
        let log = whole_log(&stores[0]).await;
        assert_eq!(log.len(), counted);
        let mut streams: HashMap<i64, Vec<i64>> = HashMap::new();
        for event in log {
            streams.entry(event.stream.number).or_default().push(event.sequence);
        }
        assert_eq!(streams.len(), usize::try_from(COUNTERS).unwrap());
        for sequences in streams.values() {
            assert_eq!(*sequences, (1..=FULL_AT).collect::<Vec<i64>>());
        }
        for store in stores {
            store.close().await;
        }
    }

    /// A counter that store 0 remembers as it was: the other has gone on since. An append is
    /// refused by the key, an answer is right after looking again.
    async fn a_stale_state_is_refused_by_the_key_and_refreshed_for_an_answer(db: &TestDb) {
        let stores = [open(db).await, open(db).await];
        assert_eq!(count(&stores[0], 1, true).await, Ended::Counted);
        for _ in 1..FULL_AT {
            assert_eq!(count(&stores[1], 1, true).await, Ended::Counted);
        }
        let mut stale = stores[0].aggregates::<Counter>().lock(1).await.unwrap();
        assert_eq!((stale.is_current(), stale.version()), (false, 1));
        stale.refresh().await.unwrap();
        assert_eq!((stale.is_current(), stale.version(), stale.state().total), (true, FULL_AT, FULL_AT));
        drop(stale);
        let stale = stores[0].aggregates::<Counter>().lock(1).await.unwrap();
        assert_eq!(stale.version(), 1);
        assert_eq!(stale.append(append(9_999, 1, 1)).await.unwrap_err(), AppendError::Conflict);
        let fresh = stores[0].aggregates::<Counter>().lock(1).await.unwrap();
        assert_eq!((fresh.is_current(), fresh.version()), (true, FULL_AT));
        drop(fresh);
        for store in stores {
            store.close().await;
        }
    }

    /// Control: who believes the memory gives an answer that was never true of the log as it
    /// stands: here, that there is room.
    async fn control_without_looking_again_an_answer_is_stale(db: &TestDb) {
        let stores = [open(db).await, open(db).await];
        assert_eq!(count(&stores[0], 1, true).await, Ended::Counted);
        assert_eq!(count(&stores[1], 1, true).await, Ended::Counted);
        let believed = stores[0].aggregates::<Counter>().lock(1).await.unwrap();
        assert_eq!((believed.is_current(), believed.state().total), (false, 1));
        assert_eq!(whole_log(&stores[0]).await.len(), 2);
        drop(believed);
        for store in stores {
            store.close().await;
        }
    }
}
