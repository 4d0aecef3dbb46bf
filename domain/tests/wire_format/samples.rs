//! One event of every kind, and a second one without its optional fields where there are any.

use chrono::{DateTime, NaiveDate, Utc};
use cqrs_es::DomainEvent;
use gdmarket_domain::{
    AlarmEvent, HoldEvent, ItemEvent, ItemNo, MarketEvent, Money, PaymentEvent, PaymentNo,
    PersonId, RentalPeriod, ReservationEvent, ReservationNo,
};
use serde_json::Value;

/// An event and its stored form.
pub(crate) struct Sample {
    pub(crate) aggregate: &'static str,
    pub(crate) event_type: String,
    pub(crate) version: String,
    pub(crate) note: &'static str,
    pub(crate) payload: Value,
    pub(crate) event: MarketEvent,
}

impl Sample {
    /// The snapshot's name: `item.ItemRegistered.v1`, with a note where an event has several shapes.
    pub(crate) fn snapshot_name(&self) -> String {
        let Self { aggregate, event_type, version, note, .. } = self;
        format!("{aggregate}.{event_type}.v{version}{note}")
    }
}

/// All samples.
pub(crate) fn samples() -> Vec<Sample> {
    let mut all = vec![];
    for (note, event) in items() {
        all.push(sample("item", note, &event, MarketEvent::Item(event.clone())));
    }
    for (note, event) in reservations().into_iter().chain(rentals()) {
        all.push(sample("reservation", note, &event, MarketEvent::Reservation(event.clone())));
    }
    for event in payments() {
        all.push(sample("payment", "", &event, MarketEvent::Payment(event.clone())));
    }
    for event in alarms() {
        all.push(sample("alarm", "", &event, MarketEvent::Alarm(event.clone())));
    }
    let refused = HoldEvent::Refused {
        reservation_no: reservation_no(),
        item_no: item_no(),
        reason: "item-taken".into(),
    };
    all.push(sample("hold", "", &refused, MarketEvent::Hold(refused.clone())));
    all
}

fn sample(
    aggregate: &'static str,
    note: &'static str,
    event: &impl DomainEvent,
    whole: MarketEvent,
) -> Sample {
    Sample {
        aggregate,
        event_type: event.event_type(),
        version: event.event_version(),
        note,
        payload: serde_json::to_value(event).unwrap(),
        event: whole,
    }
}

fn items() -> Vec<(&'static str, ItemEvent)> {
    let (item_no, reservation_no) = (item_no(), reservation_no());
    let registered = |owner_id| ItemEvent::Registered {
        item_no,
        owner_id,
        item_name: "drill".into(),
        item_price: won(100),
    };
    let held = |owner_id, period| ItemEvent::Held {
        item_no,
        reservation_no,
        renter_id: person(7),
        owner_id,
        period,
        from: day(5),
        item_name: "drill".into(),
        item_price: won(100),
    };
    vec![
        ("", registered(Some(person(3)))),
        (".without-owner", registered(None)),
        ("", ItemEvent::Changed { item_no, item_name: "saw".into(), item_price: won(200) }),
        ("", ItemEvent::Deleted { item_no }),
        ("", ItemEvent::PeriodBlocked { item_no, period: period() }),
        ("", ItemEvent::PeriodUnblocked { item_no, period: period() }),
        ("", held(Some(person(3)), Some(period()))),
        (".until-returned", held(None, None)),
        ("", ItemEvent::Released { item_no, reservation_no }),
        ("", ItemEvent::LendingAuthorized { item_no, reservation_no }),
        ("", ItemEvent::LendingRevoked { item_no, reservation_no }),
        ("", ItemEvent::LendingRevocationRefused { item_no, reservation_no }),
        ("", ItemEvent::Rented { item_no, reservation_no }),
        ("", ItemEvent::Returned { item_no, reservation_no }),
        ("", ItemEvent::RegistrationAbandoned { item_no }),
    ]
}

fn reservations() -> Vec<(&'static str, ReservationEvent)> {
    let (reservation_no, item_no) = (reservation_no(), item_no());
    let requested = |period| ReservationEvent::Requested {
        reservation_no,
        item_no,
        renter_id: person(7),
        period,
        asked_on: day(1),
    };
    let reserved = |owner_id| ReservationEvent::Reserved {
        reservation_no,
        item_no,
        owner_id,
        item_name: "drill".into(),
        item_price: won(100),
        total_price: won(300),
        pay_by: pay_by(),
    };
    let cancelled =
        |payment_no| ReservationEvent::Cancelled { reservation_no, item_no, payment_no };
    let reason = "item-taken".into();
    vec![
        ("", requested(Some(period()))),
        (".until-returned", requested(None)),
        ("", reserved(Some(person(3)))),
        (".without-owner", reserved(None)),
        ("", ReservationEvent::Rejected { reservation_no, item_no, reason }),
        ("", ReservationEvent::CancellationRequested { reservation_no, item_no }),
        ("", ReservationEvent::CancellationRefused { reservation_no, item_no }),
        ("", cancelled(Some(payment_no()))),
        (".unpaid", cancelled(None)),
        ("", ReservationEvent::Expired { reservation_no, item_no }),
    ]
}

fn rentals() -> Vec<(&'static str, ReservationEvent)> {
    let (reservation_no, item_no, payment_no) = (reservation_no(), item_no(), payment_no());
    let (pay_by, reason) = (pay_by(), "no-cover".into());
    vec![
        (
            "",
            ReservationEvent::PaymentRequested {
                reservation_no,
                item_no,
                payment_no,
                amount: won(300),
            },
        ),
        ("", ReservationEvent::Paid { reservation_no, item_no, payment_no }),
        ("", ReservationEvent::PaymentFailed { reservation_no, payment_no, reason, pay_by }),
        ("", ReservationEvent::PaymentCancellationRequested { reservation_no, item_no }),
        ("", ReservationEvent::PaymentCancellationRefused { reservation_no, item_no }),
        ("", ReservationEvent::PaymentCancelled { reservation_no, item_no, payment_no, pay_by }),
        ("", ReservationEvent::LatePaymentRecorded { reservation_no, payment_no }),
        ("", ReservationEvent::RentalStarted { reservation_no, item_no }),
        ("", ReservationEvent::RentalCompleted { reservation_no, item_no }),
    ]
}

fn payments() -> Vec<PaymentEvent> {
    let (payment_no, reservation_no, item_no) = (payment_no(), reservation_no(), item_no());
    let (reason, refused) = ("no-cover".into(), "account-closed".into());
    vec![
        PaymentEvent::Started { payment_no, reservation_no, item_no, amount: won(300) },
        PaymentEvent::Approved { payment_no, reservation_no },
        PaymentEvent::Declined { payment_no, reservation_no, reason },
        PaymentEvent::OutcomeUnknown { payment_no, reservation_no },
        PaymentEvent::CancellationStarted { payment_no, reservation_no },
        PaymentEvent::RefundRefused { payment_no, reservation_no, reason: refused },
        PaymentEvent::Cancelled { payment_no, reservation_no },
    ]
}

fn alarms() -> Vec<AlarmEvent> {
    let item_no = item_no();
    vec![
        AlarmEvent::Alerted { item_no },
        AlarmEvent::DeleteAlerted { item_no },
        AlarmEvent::Withdrawn { item_no },
    ]
}

fn item_no() -> ItemNo {
    ItemNo::new(1).unwrap()
}

fn reservation_no() -> ReservationNo {
    ReservationNo::new(5).unwrap()
}

fn payment_no() -> PaymentNo {
    PaymentNo::new(9).unwrap()
}

fn person(number: i64) -> PersonId {
    PersonId::new(number).unwrap()
}

fn won(won: i64) -> Money {
    Money::price(won).unwrap()
}

fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2027, 1, day).unwrap()
}

fn period() -> RentalPeriod {
    RentalPeriod::new(day(5), day(8)).unwrap()
}

fn pay_by() -> DateTime<Utc> {
    day(1).and_hms_micro_opt(12, 15, 0, 250_000).unwrap().and_utc()
}
