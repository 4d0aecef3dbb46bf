//! Inspection: an aggregate's state at every position, and the trace of a reservation or a correlation.

use crate::market::{Market, reservation};
use crate::scenario;
use gdmarket_domain::{Alarm, DecodeError, Item, MarketEvent, Payment, Reservation};
use gdmarket_projections::{AggregateKind, EventView, QueryError, TracedEvent};
use gdmarket_store::RecordedEvent;
use gdmarket_testkit::on_each_engine;
use std::collections::BTreeSet;
use uuid::Uuid;

fn decoded(event: &RecordedEvent) -> Result<MarketEvent, DecodeError> {
    let RecordedEvent { stream, event_type, event_version, payload, .. } = event;
    MarketEvent::decode(&stream.kind, event_type, event_version, payload)
}

/// The state after some events, as the domain's JSON.
fn folded<A: cqrs_es::Aggregate>(events: Vec<A::Event>) -> serde_json::Value {
    let mut state = A::default();
    for event in events {
        state.apply(event);
    }
    serde_json::to_value(state).unwrap()
}

/// A stream's state, folded by the domain alone.
fn by_hand(events: &[&RecordedEvent]) -> serde_json::Value {
    let events: Vec<MarketEvent> = events.iter().map(|event| decoded(event).unwrap()).collect();
    macro_rules! of {
        ($($variant:ident => $aggregate:ty),*) => {
            match events.first().unwrap() {
                $(MarketEvent::$variant(_) => folded::<$aggregate>(
                    events.iter().map(|event| match event {
                        MarketEvent::$variant(event) => event.clone(),
                        other => panic!("{other:?}"),
                    }).collect(),
                ),)*
                MarketEvent::Hold(_) => panic!("holds have no state to show"),
            }
        };
    }
    of!(Item => Item, Reservation => Reservation, Payment => Payment, Alarm => Alarm)
}

fn without_underscores(value: &serde_json::Value) -> String {
    value.to_string().replace('_', "").to_lowercase()
}

fn flat<'a>(events: &'a [TracedEvent], all: &mut Vec<&'a TracedEvent>) {
    for event in events {
        all.push(event);
        flat(&event.consequences, all);
    }
}

on_each_engine! {
    async fn state_is_the_fold_of_its_stream_up_to_a_position(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        scenario::play(&market, &loops).await;
        loops.stop().await;
        let queries = market.queries();
        let log = market.store.log().read_after(0, 100_000).await.unwrap();
        let kinds = [
            AggregateKind::Item,
            AggregateKind::Reservation,
            AggregateKind::Payment,
            AggregateKind::Alarm,
        ];
        let mut seen = BTreeSet::new();
        for event in &log {
            let kind = kinds.into_iter().find(|kind| kind.name() == event.stream.kind);
            let Some(kind) = kind else { continue };
            let number = event.stream.number;
            let now = queries.state_at(kind, number, Some(event.position), 2).await.unwrap().unwrap();
            let stream: Vec<_> = log
                .iter()
                .filter(|e| e.stream == event.stream && e.position <= event.position)
                .collect();
            assert_eq!(without_underscores(&now.state), without_underscores(&by_hand(&stream)));
            assert_eq!((now.stream, now.version), (event.stream.to_string(), event.sequence));
            assert_eq!(now.events.len(), stream.len().min(2));
            assert_eq!(usize::try_from(now.earlier_events).unwrap(), stream.len().saturating_sub(2));
            assert_eq!(now.events.last().map(|e| e.position), Some(event.position));
            if event.sequence == 1 {
                let before = queries.state_at(kind, number, Some(event.position - 1), 2).await.unwrap();
                assert_eq!(before, None, "{event} is the first event of the stream");
                seen.insert(kind.name());
            }
        }
        assert_eq!(seen.len(), 4, "every kind was requested");
        let none = queries.state_at(AggregateKind::Item, 4711, None, 2).await.unwrap();
        assert_eq!(none, None);
        market.store.close().await;
    }

    async fn trace_contains_every_event_that_names_its_reservation_once(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        scenario::play(&market, &loops).await;
        loops.stop().await;
        let log = market.store.log().read_after(0, 100_000).await.unwrap();
        let events_of_log: Vec<_> = log.iter().map(EventView::from).collect();
        for no in 1..=7 {
            let found = market.queries().trace_reservation(reservation(no)).await.unwrap().unwrap();
            let mut events = vec![];
            flat(&found.trace.events, &mut events);
            let mut positions: Vec<_> = events.iter().map(|e| e.event.position).collect();
            positions.sort_unstable();
            let expected = events_of_log.iter().filter(|event| event.names("reservationNo", no));
            assert_eq!(positions, expected.map(|event| event.position).collect::<Vec<_>>());
            assert!(found.trace.is_complete());
            assert_eq!(found.renter_id.map(gdmarket_domain::PersonId::get), Some(1000 + no));
            for event in &events {
                for consequence in &event.consequences {
                    assert_eq!(consequence.event.caused_by, Some(event.event.position));
                }
            }
            let causes: Vec<_> = found.trace.events.iter().map(|e| e.event.caused_by).collect();
            assert!(causes.iter().all(Option::is_none), "events of people's commands have no cause: {causes:?}");
        }
        let owners: Vec<_> = [1, 4, 6, 7].map(reservation).into_iter().collect();
        let mut of = vec![];
        for no in owners {
            let found = market.queries().trace_reservation(no).await.unwrap().unwrap();
            of.push(found.owner_id.map(gdmarket_domain::PersonId::get));
        }
        assert_eq!(of, [Some(10), Some(11), None, None]);
        assert_eq!(market.queries().trace_reservation(reservation(99)).await.unwrap(), None);
        market.store.close().await;
    }

    async fn correlation_is_found_in_all_streams(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        scenario::play(&market, &loops).await;
        loops.stop().await;
        let log = market.store.log().read_after(0, 100_000).await.unwrap();
        let events_of_log: Vec<_> = log.iter().map(EventView::from).collect();
        let head = log.last().unwrap().position;
        let ids: BTreeSet<_> = events_of_log.iter().filter_map(EventView::correlation_id).collect();
        assert!(ids.len() > 10);
        for id in ids {
            let expected: Vec<_> = events_of_log
                .iter()
                .filter(|event| event.correlation_id() == Some(id))
                .map(|event| event.position)
                .collect();
            let mut reached = 0;
            let trace = market
                .queries()
                .trace_correlation(id.parse().unwrap(), 0, None, &mut |at| reached = at)
                .await
                .unwrap();
            let mut events = vec![];
            flat(&trace.events, &mut events);
            let mut positions: Vec<_> = events.iter().map(|e| e.event.position).collect();
            positions.sort_unstable();
            assert_eq!((positions, reached), (expected, head));
        }
        let queries = market.queries();
        let none = queries.trace_correlation(Uuid::from_u128(1), 0, None, &mut |_| ()).await;
        assert_eq!(none.map(|trace| trace.events), Ok::<_, QueryError>(vec![]));
        market.store.close().await;
    }
}
