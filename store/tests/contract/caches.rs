//! Two stores with caches of their own contend for the same aggregates.

use crate::support::*;
use futures::FutureExt as _;
use gdmarket_store::{AppendError, Loaded, RecordedEvent, Store, StoreOptions};
use gdmarket_testkit::on_each_engine;
use std::sync::atomic::{AtomicU64, Ordering};

const PLACES: i64 = 3;
const CALLERS: usize = 6;
const ROUNDS: i64 = 120;

static COMMAND: AtomicU64 = AtomicU64::new(1);

/// A request for a place that one caller at a time may have. The place is a counter of 0 or 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    Take,
    Free,
}

impl Request {
    const fn by(self) -> i64 {
        match self {
            Self::Take => 1,
            Self::Free => -1,
        }
    }

    /// The total at which the request is refused.
    const fn refused_at(self) -> i64 {
        match self {
            Self::Take => 1,
            Self::Free => 0,
        }
    }

    fn is_refused(self, loaded: &Loaded<Counter>) -> bool {
        loaded.state().total == self.refused_at()
    }
}

/// A caller's refusal, with the log's head before the call and after the answer.
#[derive(Debug)]
struct Refusal {
    number: i64,
    request: Request,
    before: i64,
    after: i64,
}

impl Refusal {
    /// Whether the refusal was true at any time between the call and its answer. The order of positions is the
    /// order of commits, so an event beyond a head was committed after the head was read.
    fn was_true(&self, log: &[RecordedEvent]) -> bool {
        let mut total = 0;
        for event in log.iter().filter(|event| event.stream == stream(self.number)) {
            if event.position > self.after {
                break;
            }
            if event.position > self.before && total == self.request.refused_at() {
                return true;
            }
            total += by(event);
        }
        total == self.request.refused_at()
    }
}

fn by(event: &RecordedEvent) -> i64 {
    let CounterEvent::Counted { by } = serde_json::from_str(&event.payload).unwrap();
    by
}

/// Sends a request as an executor does: it retries conflicts and refreshes the state before it refuses. Without
/// `refreshes` it relies on the state in memory. Returns whether the request was done.
async fn send(store: &Store, number: i64, request: Request, refreshes: bool) -> bool {
    let counters = store.aggregates::<Counter>();
    loop {
        let mut loaded = counters.lock(number).await.unwrap();
        if refreshes && request.is_refused(&loaded) && !loaded.is_current() {
            loaded.refresh().await.unwrap();
        }
        if request.is_refused(&loaded) {
            return false;
        }
        let command = COMMAND.fetch_add(1, Ordering::Relaxed);
        let mut append = append(u128::from(command), number, loaded.version());
        append.events = vec![counted(request.by())];
        match loaded.append(append).await {
            Ok(_) => return true,
            Err(AppendError::Conflict) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// One caller, which returns the number of done requests and its refusals. It repeats one request while the
/// other store's callers send the opposite, so its state in memory is soon stale.
async fn caller(store: Store, mut request: Request) -> (usize, Vec<Refusal>) {
    let (mut done, mut refusals) = (0, Vec::new());
    for round in 0..ROUNDS {
        if round == ROUNDS / 2 {
            request = if request == Request::Take { Request::Free } else { Request::Take };
        }
        let number = round % PLACES + 1;
        let before = store.log().head().await.unwrap();
        if send(&store, number, request, true).await {
            done += 1;
        } else {
            let after = store.log().head().await.unwrap();
            refusals.push(Refusal { number, request, before, after });
        }
    }
    (done, refusals)
}

/// The result of a run.
struct Outcome {
    done: usize,
    refusals: Vec<Refusal>,
    log: Vec<RecordedEvent>,
}

impl Outcome {
    fn untrue(&self) -> Vec<&Refusal> {
        self.refusals.iter().filter(|refusal| !refusal.was_true(&self.log)).collect()
    }
}

/// Runs callers of two stores on the same places.
async fn contend(stores: &[Store; 2]) -> Outcome {
    let opposite = stores.iter().zip([Request::Take, Request::Free]).cycle().take(CALLERS);
    let callers = opposite.map(|(store, request)| caller(store.clone(), request));
    let mut outcome = Outcome { done: 0, refusals: Vec::new(), log: Vec::new() };
    for (done, refusals) in all(spawn_each(callers)).await {
        outcome.done += done;
        outcome.refusals.extend(refusals);
    }
    outcome.log = whole_log(&stores[0]).await;
    outcome
}

on_each_engine! {
    async fn contending_stores_lose_no_event_and_return_only_true_refusals(db: &TestDb) {
        let stores = [open(db).await, open(db).await];
        let outcome = contend(&stores).await;
        assert_eq!(outcome.log.len(), outcome.done, "an event per success");
        for number in 1..=PLACES {
            let own = outcome.log.iter().filter(|event| event.stream == stream(number));
            let changes: Vec<(i64, i64)> = own.map(|event| (event.sequence, by(event))).collect();
            let alternating = (1..).zip([1, -1].into_iter().cycle());
            assert_eq!(changes, alternating.take(changes.len()).collect::<Vec<_>>());
        }
        assert!(outcome.refusals.len() > 20, "only {} refusals", outcome.refusals.len());
        assert!(outcome.untrue().is_empty(), "{:?}", outcome.untrue());
        for store in stores {
            store.close().await;
        }
    }

    /// Control: a caller that relies on its memory returns a refusal that was never true between call and answer, and
    /// the check above notices it. Store 0 remembers the place as taken; store 1 has freed it since.
    async fn caller_that_does_not_refresh_returns_a_stale_refusal(db: &TestDb) {
        let stores = [open(db).await, open(db).await];
        let (number, request) = (1, Request::Take);
        assert!(send(&stores[0], number, request, false).await);
        assert!(send(&stores[1], number, Request::Free, false).await);
        let before = stores[0].log().head().await.unwrap();
        assert!(!send(&stores[0], number, request, false).await, "the remembered state refuses");
        let after = stores[0].log().head().await.unwrap();
        let log = whole_log(&stores[0]).await;
        let outcome = Outcome { done: 2, refusals: vec![Refusal { number, request, before, after }], log };
        assert_eq!(outcome.log.len(), outcome.done);
        assert_eq!(outcome.untrue().len(), 1, "the control must return a false refusal");
        assert!(send(&stores[0], number, request, true).await, "a refreshed state accepts");
        for store in stores {
            store.close().await;
        }
    }

    /// Store 0 remembers the place as taken, and the other store has appended since.
    async fn stale_state_is_refused_by_the_key_and_refreshed_for_an_answer(db: &TestDb) {
        let stores = [open(db).await, open(db).await];
        for (store, request) in [(0, Request::Take), (1, Request::Free), (1, Request::Take), (1, Request::Free)] {
            assert!(send(&stores[store], 1, request, true).await);
        }
        let mut stale = stores[0].aggregates::<Counter>().lock(1).await.unwrap();
        assert_eq!((stale.is_current(), stale.version()), (false, 1));
        stale.refresh().await.unwrap();
        assert_eq!((stale.is_current(), stale.version(), stale.state().total), (true, 4, 0));
        drop(stale);
        let stale = stores[0].aggregates::<Counter>().lock(1).await.unwrap();
        assert_eq!(stale.version(), 1);
        assert_eq!(stale.append(append(9_999, 1, 1)).await.unwrap_err(), AppendError::Conflict);
        let fresh = stores[0].aggregates::<Counter>().lock(1).await.unwrap();
        assert_eq!((fresh.is_current(), fresh.version()), (true, 4));
        drop(fresh);
        for store in stores {
            store.close().await;
        }
    }

    /// The cache keeps the entry of a locked stream, because a second entry would be a second lock.
    async fn stream_keeps_one_lock_while_other_streams_are_evicted(db: &TestDb) {
        let options = StoreOptions { cache_entries: 1, ..options(db) };
        Store::migrate(&options).await.unwrap();
        let store = Store::open(&options).await.unwrap();
        let counters = store.aggregates::<Counter>();
        // The first entry is never evicted.
        drop(counters.lock_assuming_new(2).await);
        let locked = counters.lock_assuming_new(1).await;
        for other in 3..100 {
            drop(counters.lock_assuming_new(other).await);
        }
        assert!(counters.lock_assuming_new(1).now_or_never().is_none(), "the stream is locked");
        drop(locked);
        assert!(counters.lock_assuming_new(1).now_or_never().is_some());
        store.close().await;
    }
}
