//! Two processes with caches of their own fight over the same items: whoever is told of a success has
//! an event, and a refusal that only a stale cache would give never reaches a caller.

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
/// How often something was held and let go before the fight is over.
const ENOUGH: usize = 60;
/// How often a holder is refused before it gives up: whoever believes what isn't so any more may do so
/// for ever.
const PATIENCE: usize = 2_000;

/// "The item is taken", and the log's head before the call and after the answer.
#[derive(Debug)]
struct Refusal {
    item: ItemNo,
    before: i64,
    after: i64,
}

impl Refusal {
    /// Whether it was taken at any time between. Beyond a head is what was committed after it.
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

/// Whether the item is held now, or refused; `None` if others were faster all the time.
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

/// The same by whoever believes what it has in memory.
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

/// A fight under way: what it is about, who gets which number, how often something was let go, and
/// whether it is over.
struct Fight {
    items: Vec<ItemNo>,
    numbers: AtomicI64,
    released: AtomicUsize,
    is_over: AtomicBool,
    look_again: bool,
}

type Held = (ItemNo, ReservationNo);

impl Fight {
    /// Holds one item after the other until it is over; gives the refusals it was told.
    async fn hold(
        self: Arc<Self>,
        market: Market,
        held: mpsc::UnboundedSender<Held>,
    ) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        for item in self.items.iter().cycle().copied() {
            if self.is_over.load(Ordering::SeqCst) || refusals.len() >= PATIENCE {
                break;
            }
            let no = reservation_no(self.numbers.fetch_add(1, Ordering::SeqCst));
            let before = market.store.log().head().await.unwrap();
            let done = if self.look_again {
                hold_it(&market, item, no).await
            } else {
                hold_from_memory(&market, item, no).await
            };
            match done {
                // Whoever doesn't take it any more has ended the fight.
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

    /// Lets go what the other process holds. A stale cache knows nothing of that: it would say that
    /// all is so already, which is told here.
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
                return Some(format!("{item} was let go already by {reservation_no}"));
            }
            if self.released.fetch_add(1, Ordering::SeqCst) + 1 >= ENOUGH {
                self.is_over.store(true, Ordering::SeqCst);
            }
        }
        None
    }
}

/// Holders in both processes, each with somebody in the other who lets go: how much they were
/// refused, and what of it was never so.
async fn fight(db: &TestDb, look_again: bool) -> (usize, Vec<String>) {
    let one = Market::open(db).await;
    let markets = [one.clone(), one.beside(db).await];
    let items = vec![one.register().await, one.register().await];
    let (numbers, released, is_over) = (AtomicI64::new(1), AtomicUsize::new(0), false.into());
    let fight = Arc::new(Fight { items, numbers, released, is_over, look_again });
    let (mut holders, mut releasers) = (JoinSet::new(), JoinSet::new());
    for (market, other) in [(&markets[0], &markets[1]), (&markets[1], &markets[0])] {
        let (held, to_release) = mpsc::unbounded_channel();
        releasers.spawn(Arc::clone(&fight).release(other.clone(), to_release));
        for _ in 0..HOLDERS {
            holders.spawn(Arc::clone(&fight).hold(market.clone(), held.clone()));
        }
    }
    let refusals: Vec<Refusal> = holders.join_all().await.into_iter().flatten().collect();
    let mut untrue: Vec<String> = releasers.join_all().await.into_iter().flatten().collect();
    let released = fight.released.load(Ordering::SeqCst);
    let log = one.log().await;
    let count = |kind| log.iter().filter(|event| event.event_type == kind).count();
    if untrue.is_empty() {
        assert_eq!((count("ItemHeld"), count("ItemReleased")), (released, released));
        assert!(!look_again || released >= ENOUGH, "let go {released} times only");
    }
    let never_so = refusals.iter().filter(|refusal| !refusal.was_true(&log));
    untrue.extend(never_so.map(|refusal| format!("{refusal:?}")));
    for market in markets {
        market.close().await;
    }
    (refusals.len(), untrue)
}

on_each_engine! {
    async fn a_refusal_that_only_a_stale_cache_gives_never_reaches_a_caller(db: &TestDb) {
        let (refusals, untrue) = fight(db, true).await;
        assert!(refusals > 20, "{refusals} refusals only");
        assert_eq!(untrue, [""; 0]);
    }

    /// Control: without a second look callers are told what was never so since they asked.
    async fn control_without_a_second_decision_stale_refusals_are_returned(db: &TestDb) {
        let (refusals, untrue) = fight(db, false).await;
        assert!(!untrue.is_empty(), "the control must tell what isn't so: {refusals} refusals");
    }
}
