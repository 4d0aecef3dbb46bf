//! The gateway's own ledger against the market's log: who was charged, and how often.

use gdmarket_simulators::LedgerEntry;
use gdmarket_store::RecordedEvent;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// A payment attempt as the market's log has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) reservation: i64,
    amount: i64,
}

/// The attempts of a log, by their numbers.
pub(crate) fn attempts(log: &[RecordedEvent]) -> BTreeMap<i64, Attempt> {
    let started = log.iter().filter(|event| event.event_type == "PaymentStarted");
    let attempt = |event: &RecordedEvent| {
        let payload: Value = serde_json::from_str(&event.payload).unwrap();
        let number = |field: &str| payload["PaymentStarted"][field].as_i64().unwrap();
        let (reservation, amount) = (number("reservationNo"), number("amount"));
        (event.stream.number, Attempt { reservation, amount })
    };
    started.map(attempt).collect()
}

/// The reservations of a log that came to nothing: nobody may have paid for them in the end.
pub(crate) fn closed(log: &[RecordedEvent]) -> BTreeSet<i64> {
    let ends = ["ReservationCancelled", "ReservationExpired"];
    let closing = log.iter().filter(|event| ends.contains(&event.event_type.as_str()));
    closing.map(|event| event.stream.number).collect()
}

/// The reservations of a log that aren't paid in the end, whatever was tried.
pub(crate) fn unpaid(log: &[RecordedEvent]) -> BTreeSet<i64> {
    let mut paid = BTreeSet::new();
    for event in log {
        match event.event_type.as_str() {
            "ReservationPaid" => paid.insert(event.stream.number),
            "ReservationPaymentCancelled" | "ReservationCancelled" => {
                paid.remove(&event.stream.number)
            }
            _ => continue,
        };
    }
    let tried = attempts(log).into_values().map(|attempt| attempt.reservation);
    tried.filter(|reservation| !paid.contains(reservation)).collect()
}

/// Control on a run's own books: with a charge taken out, with one made twice and with one that wasn't
/// given back, that is told.
pub(crate) fn assert_notices_what_is_charged_wrongly(
    book: &[LedgerEntry],
    attempts: &BTreeMap<i64, Attempt>,
    closed: &BTreeSet<i64>,
) {
    let refunded: HashSet<_> = book.iter().filter_map(refund_of).collect();
    let is_kept = |entry: &LedgerEntry| match entry {
        LedgerEntry::Charge { key, .. } => !refunded.contains(key),
        LedgerEntry::Refund { .. } => false,
    };
    let mut altered = vec![];
    let without = |index: usize| [&book[..index], &book[index + 1..]].concat();
    if let Some(index) = book.iter().position(is_kept) {
        altered.push(without(index));
        altered.push([book, &book[index..=index]].concat());
    }
    altered.extend(book.iter().position(|entry| refund_of(entry).is_some()).map(without));
    assert!(!altered.is_empty(), "somebody has paid");
    for book in altered {
        let told = wrongly_charged(&book, attempts, closed);
        assert_eq!(told.len(), 1, "{told:?}");
    }
}

/// A reservation with an attempt must have exactly one charge that wasn't given back, of the right
/// amount, under an attempt of its own; one that is closed none. Every sentence is one that is not so.
pub(crate) fn wrongly_charged(
    book: &[LedgerEntry],
    attempts: &BTreeMap<i64, Attempt>,
    closed: &BTreeSet<i64>,
) -> Vec<String> {
    let refunded: HashSet<_> = book.iter().filter_map(refund_of).collect();
    let mut charged: HashMap<i64, Vec<i64>> = HashMap::new();
    let mut wrong = Vec::new();
    for entry in book {
        if let LedgerEntry::Charge { key, payment_no, amount } = entry
            && !refunded.contains(key)
        {
            match attempts.get(&payment_no.get()) {
                Some(of) => charged.entry(of.reservation).or_default().push(amount.won()),
                None => wrong.push(format!("{entry:?} is of no attempt")),
            }
        }
    }
    let expected: BTreeMap<i64, i64> =
        attempts.values().map(|attempt| (attempt.reservation, attempt.amount)).collect();
    for (reservation, amount) in expected {
        let taken = charged.remove(&reservation).unwrap_or_default();
        let due: &[i64] = if closed.contains(&reservation) { &[] } else { &[amount] };
        if taken != due {
            wrong.push(format!("{taken:?} were taken for reservation {reservation}, due {due:?}"));
        }
    }
    wrong
}

fn refund_of(entry: &LedgerEntry) -> Option<uuid::Uuid> {
    match entry {
        LedgerEntry::Refund { key } => Some(*key),
        LedgerEntry::Charge { .. } => None,
    }
}

/// The judge notices what it is for.
#[test]
fn control_what_is_charged_twice_wrongly_or_not_at_all_is_told() {
    let attempt = |reservation| Attempt { reservation, amount: 100 };
    let attempts = BTreeMap::from([(1, attempt(1)), (2, attempt(1)), (3, attempt(3))]);
    let charge = |key: u32, payment: i64, amount: i64| {
        let entry =
            json!({"kind": "charge", "key": uuid(key), "paymentNo": payment, "amount": amount});
        serde_json::from_value::<LedgerEntry>(entry).unwrap()
    };
    let refund = |key: u32| LedgerEntry::Refund { key: uuid(key) };
    let wrong = |book: &[LedgerEntry]| wrongly_charged(book, &attempts, &BTreeSet::new()).len();
    let fine = [charge(1, 1, 100), charge(3, 3, 100)];
    assert_eq!(wrong(&fine), 0);
    assert_eq!(wrong(&fine[..1]), 1, "not charged");
    assert_eq!(wrong(&[&fine[..], &[charge(4, 3, 100)]].concat()), 1, "one attempt charged twice");
    assert_eq!(wrong(&[&fine[..], &[charge(2, 2, 100)]].concat()), 1, "two attempts charged");
    assert_eq!(wrong(&[&fine[..], &[charge(2, 2, 100), refund(2)]].concat()), 0, "given back");
    assert_eq!(wrong(&[&fine[..], &[refund(3)]].concat()), 1, "all of it given back");
    assert_eq!(wrong(&[charge(1, 1, 100), charge(3, 3, 200)]), 1, "another amount");
    assert_eq!(wrong(&[&fine[..], &[charge(9, 9, 100)]].concat()), 1, "for nothing");
    let closed = BTreeSet::from([3]);
    assert_eq!(
        wrongly_charged(&fine, &attempts, &closed).len(),
        1,
        "kept though it came to nothing"
    );
    let given_back = [&fine[..], &[refund(3)]].concat();
    assert_eq!(wrongly_charged(&given_back, &attempts, &closed), [""; 0]);
}

fn uuid(number: u32) -> uuid::Uuid {
    uuid::Uuid::from_u128(number.into())
}
