//! Reads the log once and keeps the sagas that are open: memory grows with what is open, not with the log.
//!
//! A saga that ends is forgotten. If an event about it comes later, such as a late approval, only that event is known:
//! such sagas are read again from their streams by [`super::Sagas`].

use super::open_saga::OpenSaga;
use super::saga_key::SagaKey;
use crate::engine::feed::decode;
use gdmarket_domain::Services;
use gdmarket_store::RecordedEvent;
use std::collections::BTreeMap;

/// The open sagas after the events so far.
#[derive(Debug)]
pub(super) struct SagaScan {
    seen: Services,
    sagas: BTreeMap<SagaKey, OpenSaga>,
    /// The positions of events that can't be read: how many, and the first.
    unreadable: Option<UnreadableEvents>,
}

/// Events that can't be read: what follows from them isn't known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnreadableEvents {
    /// How many there are.
    pub count: u64,
    /// The position of the first.
    pub first: i64,
}

impl SagaScan {
    pub(super) const fn new(seen: Services) -> Self {
        Self { seen, sagas: BTreeMap::new(), unreadable: None }
    }

    pub(super) fn take(&mut self, event: &RecordedEvent) {
        let Ok(decoded) = decode(event.as_event_ref()) else {
            let unreadable =
                self.unreadable.get_or_insert(UnreadableEvents { count: 0, first: event.position });
            unreadable.count += 1;
            return;
        };
        let Some(key) = SagaKey::of(&decoded) else { return };
        let saga = self.sagas.entry(key).or_insert_with(|| OpenSaga::new(key));
        saga.apply(decoded, event.recorded_at, self.seen);
        if !saga.is_open() {
            self.sagas.remove(&key);
        }
    }

    pub(super) fn finish(self) -> (BTreeMap<SagaKey, OpenSaga>, Option<UnreadableEvents>) {
        (self.sagas, self.unreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gdmarket_domain::Service;
    use gdmarket_store::StreamId;
    use serde_json::json;

    const PAID: [&str; 8] = [
        "reservation ReservationRequested",
        "item ItemHeld",
        "reservation Reserved",
        "reservation PaymentRequested",
        "payment PaymentStarted",
        "payment PaymentApproved",
        "reservation ReservationPaid",
        "item LendingAuthorized",
    ];
    const BROUGHT_BACK: [&str; 4] = [
        "item ItemRented",
        "reservation RentalStarted",
        "item ItemReturned",
        "reservation RentalCompleted",
    ];

    /// An event of the saga with this number, as it is stored.
    fn event(position: i64, number: i64, what: &str) -> RecordedEvent {
        let (kind, event_type) = what.split_once(' ').unwrap();
        let body = json!({
            "reservationNo": number, "itemNo": number, "paymentNo": number, "renterId": 4,
            "ownerId": 5, "askedOn": "2027-01-01", "from": "2027-01-01", "itemName": "Camera",
            "itemPrice": 100, "totalPrice": 100, "amount": 100, "reason": "no-cover",
            "payBy": "2027-01-01T00:15:00Z", "period": null,
        });
        RecordedEvent {
            position,
            stream: StreamId::new(kind.to_owned(), number),
            sequence: position,
            event_type: event_type.to_owned(),
            event_version: "1".to_owned(),
            payload: json!({ event_type: body }).to_string(),
            metadata: "{}".to_owned(),
            recorded_at: position * 1_000_000,
            damage: None,
        }
    }

    fn scan(seen: Services, events: &[&str]) -> SagaScan {
        let mut scan = SagaScan::new(seen);
        for (position, what) in (1..).zip(events) {
            scan.take(&event(position, 7, what));
        }
        scan
    }

    /// The steps of the only saga, each with the second since which it waits.
    fn steps(scan: &SagaScan) -> Vec<(&'static str, i64)> {
        let open = scan.sagas.values().flat_map(OpenSaga::steps);
        open.map(|open| (open.next.step.name(), open.since / 1_000_000)).collect()
    }

    #[test]
    fn memory_holds_only_what_is_open() {
        let mut scan = SagaScan::new(Services::ALL);
        let mut position = 0;
        for number in 1..=1_000 {
            for what in PAID.iter().chain(&BROUGHT_BACK) {
                position += 1;
                scan.take(&event(position, number, what));
            }
            assert!(scan.sagas.is_empty(), "after {number}");
        }
        scan.take(&event(position + 1, 1_001, PAID[0]));
        assert_eq!(scan.sagas.len(), 1);
    }

    #[test]
    fn step_keeps_its_time_until_it_is_done() {
        let mut events = PAID.to_vec();
        assert_eq!(steps(&scan(Services::ALL, &events)), [("lend", 8)]);
        events.extend([
            "reservation PaymentCancellationRequested",
            "item LendingRevoked",
            "reservation ReservationPaymentCancelled",
        ]);
        let mut scan = scan(Services::ALL, &events);
        assert_eq!(steps(&scan), [("pay", 11), ("refund", 11)]);
        scan.take(&event(12, 7, "payment PaymentCancellationStarted"));
        assert_eq!(steps(&scan), [("pay", 11), ("refund", 11)], "the refund waits as before");
        scan.take(&event(13, 7, "payment PaymentCancelled"));
        assert_eq!(steps(&scan), [("pay", 11)]);
    }

    /// What a service of its own knows from its own log.
    #[test]
    fn set_of_services_limits_what_is_known() {
        let only = |service, events: &[&str]| {
            let own: Vec<&str> = events
                .iter()
                .filter(|what| {
                    let kind = what.split_once(' ').unwrap().0;
                    let aggregate = gdmarket_domain::AggregateType::named(kind).unwrap();
                    Service::of(gdmarket_domain::MarketPart::Aggregate(aggregate)) == service
                })
                .copied()
                .collect();
            let found = steps(&scan(Services::of(&[service]), &own));
            found.into_iter().map(|(step, _)| step).collect::<Vec<_>>()
        };
        assert_eq!(only(Service::Reservation, &PAID[..1]), ["hold"]);
        assert_eq!(only(Service::Reservation, &PAID[..4]), ["charge"]);
        assert_eq!(only(Service::Reservation, &PAID), ["lend"]);
        assert_eq!(only(Service::Item, &PAID[..2]), ["pay"]);
        assert_eq!(only(Service::Item, &PAID), ["lend"]);
        assert_eq!(only(Service::Payment, &PAID[..5]), ["charge"]);
        assert_eq!(only(Service::Payment, &PAID), [""; 0]);
        assert_eq!(only(Service::Alarm, &["alarm Alerted"]), [""; 0]);
        let cancelled = [
            &PAID[..],
            &["reservation ReservationCancellationRequested", "item LendingRevoked"],
            &["reservation ReservationCancelled", "payment PaymentCancellationStarted"],
        ]
        .concat();
        assert_eq!(only(Service::Reservation, &cancelled), [""; 0], "the refund is another's");
        assert_eq!(only(Service::Payment, &cancelled), ["refund"]);
    }

    #[test]
    fn event_that_cannot_be_read_is_counted_with_its_position() {
        let scan =
            scan(Services::ALL, &["reservation ReservationRequested", "reservation Nonsense"]);
        let (sagas, unreadable) = scan.finish();
        assert_eq!(sagas.len(), 1);
        assert_eq!(unreadable, Some(UnreadableEvents { count: 1, first: 2 }));
    }
}
