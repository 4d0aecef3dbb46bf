//! Two processes with caches of their own contend for the same items: every success has its event, and a
//! refusal that only a stale cache would give never reaches a caller.

use crate::market::{Market, hold, process, reservation_no};
use cqrs_es::DomainEvent as _;
use gdmarket_commands::CommandError;
use gdmarket_domain::{
    Decider as _, Item, ItemCommand, ItemError, ItemEvent, ItemNo, ReservationNo,
};
use gdmarket_store::{Append, AppendError, NewEvent, ReceiptKind, RecordedEvent, StreamId};
use gdmarket_testkit::{TestDb, on_each_engine};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

const HOLDERS: usize = 3;
/// The number of releases that ends a run.
const ENOUGH_RELEASES: usize = 60;
/// The number of refusals that ends a holder: one that decides on a stale cache may be refused for ever.
const MAX_REFUSALS: usize = 2_000;

/// An answer "the item is taken", with the log's head before the call and after the answer.
#[derive(Debug)]
struct Refusal {
    item: ItemNo,
    before: i64,
    after: i64,
}

impl Refusal {
    /// Whether the item was taken at any time between the two heads.
    fn was_true(&self, log: &[RecordedEvent]) -> bool {
        let item = StreamId::new("item", self.item.get());
        let mut taken = false;
        for event in log.iter().filter(|event| event.stream == item) {
            if event.position > self.after {
                break;
            }
            if event.position > self.before && taken {
                return true;
            }
            taken = event.event_type == "ItemHeld";
        }
        taken
    }
}

/// Holds the item; true when it is held, false when it is refused, `None` after too many conflicts.
async fn hold_it(market: &Market, item: ItemNo, no: ReservationNo) -> Option<bool> {
    match market.item(item, hold(no)).await {
        Ok(executed) => {
            assert_eq!(executed.count, 1);
            Some(true)
        }
        Err(CommandError::Refused { code, .. }) if code == "item-taken" => Some(false),
        Err(CommandError::Conflict { .. }) => None,
        Err(error) => panic!("{error:?}"),
    }
}

/// Holds the item by a decision on the cached state alone.
async fn hold_from_memory(market: &Market, item: ItemNo, no: ReservationNo) -> Option<bool> {
    let loaded = market.store.aggregates::<Item>().lock(item.get()).await.unwrap();
    let events = match loaded.state().decide(&hold(no)) {
        Ok(events) => events,
        Err(ItemError::Taken) => return Some(false),
        Err(error) => panic!("{error:?}"),
    };
    let append = Append {
        command_id: process().command_id,
        fingerprint: vec![],
        stream: StreamId::new("item", item.get()),
        expected: loaded.version(),
        events: events.iter().map(new_event).collect(),
        metadata: "{}".to_owned(),
        kind: ReceiptKind::Done,
        personal: None,
    };
    match loaded.append_events(append, events).await {
        Ok(_) => Some(true),
        Err(AppendError::Conflict) => None,
        Err(error) => panic!("{error:?}"),
    }
}

fn new_event(event: &ItemEvent) -> NewEvent {
    NewEvent {
        event_type: event.event_type(),
        event_version: event.event_version(),
        payload: serde_json::to_string(event).unwrap(),
    }
}

/// One run: the contended items, the next reservation number, the releases so far, and whether it is over.
struct Contention {
    items: Vec<ItemNo>,
    numbers: AtomicI64,
    released: AtomicUsize,
    is_over: AtomicBool,
    decide_again: bool,
}

type Held = (ItemNo, ReservationNo);

impl Contention {
    /// Holds one item after the other until the run is over; returns the refusals that it met.
    async fn hold(
        self: Arc<Self>,
        market: Market,
        held: mpsc::UnboundedSender<Held>,
    ) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        for item in self.items.iter().cycle().copied() {
            if self.is_over.load(Ordering::SeqCst) || refusals.len() >= MAX_REFUSALS {
                break;
            }
            let no = reservation_no(self.numbers.fetch_add(1, Ordering::SeqCst));
            let before = market.store.log().head().await.unwrap();
            let done = if self.decide_again {
                hold_it(&market, item, no).await
            } else {
                hold_from_memory(&market, item, no).await
            };
            match done {
                // The receiver is gone when the run is over.
                Some(true) => drop(held.send((item, no))),
                Some(false) => {
                    let after = market.store.log().head().await.unwrap();
                    refusals.push(Refusal { item, before, after });
                }
                None => {}
            }
        }
        refusals
    }

    /// Releases what the other process holds. A release decided on a stale cache would find nothing to
    /// release; this returns the first such answer.
    async fn release(
        self: Arc<Self>,
        market: Market,
        mut held: mpsc::UnboundedReceiver<Held>,
    ) -> Option<String> {
        while let Some((item, reservation_no)) = held.recv().await {
            let released = loop {
                match market.item(item, ItemCommand::Release { reservation_no }).await {
                    Ok(executed) => break executed,
                    Err(CommandError::Conflict { .. }) => {}
                    Err(error) => panic!("{error:?}"),
                }
            };
            if released.count == 0 {
                self.is_over.store(true, Ordering::SeqCst);
                return Some(format!("{item} was released already by {reservation_no}"));
            }
            if self.released.fetch_add(1, Ordering::SeqCst) + 1 >= ENOUGH_RELEASES {
                self.is_over.store(true, Ordering::SeqCst);
            }
        }
        None
    }
}

/// Runs holders in both processes, each with a releaser in the other process; returns the number of refusals
/// and the answers that were false.
async fn contend(db: &TestDb, decide_again: bool) -> (usize, Vec<String>) {
    let one = Market::open(db).await;
    let markets = [one.clone(), one.in_another_process(db).await];
    let items = vec![one.register().await, one.register().await];
    let (numbers, released, is_over) = (AtomicI64::new(1), AtomicUsize::new(0), false.into());
    let contention = Arc::new(Contention { items, numbers, released, is_over, decide_again });
    let (mut holders, mut releasers) = (JoinSet::new(), JoinSet::new());
    for (market, other) in [(&markets[0], &markets[1]), (&markets[1], &markets[0])] {
        let (held, to_release) = mpsc::unbounded_channel();
        releasers.spawn(Arc::clone(&contention).release(other.clone(), to_release));
        for _ in 0..HOLDERS {
            holders.spawn(Arc::clone(&contention).hold(market.clone(), held.clone()));
        }
    }
    let refusals: Vec<Refusal> = holders.join_all().await.into_iter().flatten().collect();
    let mut untrue: Vec<String> = releasers.join_all().await.into_iter().flatten().collect();
    let released = contention.released.load(Ordering::SeqCst);
    let log = one.log().await;
    let count = |kind| log.iter().filter(|event| event.event_type == kind).count();
    if untrue.is_empty() {
        assert_eq!((count("ItemHeld"), count("ItemReleased")), (released, released));
        assert!(!decide_again || released >= ENOUGH_RELEASES, "only {released} releases");
    }
    let false_refusals = refusals.iter().filter(|refusal| !refusal.was_true(&log));
    untrue.extend(false_refusals.map(|refusal| format!("{refusal:?}")));
    for market in markets {
        market.close().await;
    }
    (refusals.len(), untrue)
}

on_each_engine! {
    async fn refusal_that_only_a_stale_cache_gives_never_reaches_a_caller(db: &TestDb) {
        let (refusals, untrue) = contend(db, true).await;
        assert!(refusals > 20, "only {refusals} refusals");
        assert_eq!(untrue, [""; 0]);
    }

    /// The control: it shows that the test above would notice a false refusal.
    async fn stale_refusals_are_returned_without_a_second_decision(db: &TestDb) {
        let (refusals, untrue) = contend(db, false).await;
        assert!(!untrue.is_empty(), "no false answer among {refusals} refusals");
    }
}
