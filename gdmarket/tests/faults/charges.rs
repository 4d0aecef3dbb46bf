//! Compares the gateway's ledger with the market's log: which reservations were charged, and how often.

use gdmarket_simulators::LedgerEntry;
use gdmarket_store::RecordedEvent;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// A payment attempt in the market's log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) reservation: i64,
    amount: i64,
}

/// The attempts of a log, by payment number.
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

/// The cancelled and expired reservations of a log: no charge for them may remain.
pub(crate) fn closed(log: &[RecordedEvent]) -> BTreeSet<i64> {
    let ends = ["ReservationCancelled", "ReservationExpired"];
    let closing = log.iter().filter(|event| ends.contains(&event.event_type.as_str()));
    closing.map(|event| event.stream.number).collect()
}

/// The reservations of a log with payment attempts that aren't paid in the end.
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
    let attempted = attempts(log).into_values().map(|attempt| attempt.reservation);
    attempted.filter(|reservation| !paid.contains(reservation)).collect()
}

/// Control on a run's own ledger: a removed charge, a charge made twice and a missing refund are each reported.
pub(crate) fn assert_detects_wrong_charges(
    ledger: &[LedgerEntry],
    attempts: &BTreeMap<i64, Attempt>,
    closed: &BTreeSet<i64>,
) {
    let refunded: HashSet<_> = ledger.iter().filter_map(refund_of).collect();
    let is_kept = |entry: &LedgerEntry| match entry {
        LedgerEntry::Charge { key, .. } => !refunded.contains(key),
        LedgerEntry::Refund { .. } => false,
    };
    let mut altered = vec![];
    let without = |index: usize| [&ledger[..index], &ledger[index + 1..]].concat();
    if let Some(index) = ledger.iter().position(is_kept) {
        altered.push(without(index));
        altered.push([ledger, &ledger[index..=index]].concat());
    }
    altered.extend(ledger.iter().position(|entry| refund_of(entry).is_some()).map(without));
    assert!(!altered.is_empty(), "a payment was made");
    for ledger in altered {
        let errors = charge_errors(&ledger, attempts, closed);
        assert_eq!(errors.len(), 1, "{errors:?}");
    }
}

/// A reservation with attempts must have exactly one charge that isn't refunded, of the right amount and under one
/// of its attempts; a closed reservation must have none. Returns the violations, one sentence each.
pub(crate) fn charge_errors(
    ledger: &[LedgerEntry],
    attempts: &BTreeMap<i64, Attempt>,
    closed: &BTreeSet<i64>,
) -> Vec<String> {
    let refunded: HashSet<_> = ledger.iter().filter_map(refund_of).collect();
    let mut charged: HashMap<i64, Vec<i64>> = HashMap::new();
    let mut errors = Vec::new();
    for entry in ledger {
        if let LedgerEntry::Charge { key, payment_no, amount } = entry
            && !refunded.contains(key)
        {
            match attempts.get(&payment_no.get()) {
                Some(of) => charged.entry(of.reservation).or_default().push(amount.won()),
                None => errors.push(format!("{entry:?} belongs to no attempt")),
            }
        }
    }
    let expected: BTreeMap<i64, i64> =
        attempts.values().map(|attempt| (attempt.reservation, attempt.amount)).collect();
    for (reservation, amount) in expected {
        let amounts = charged.remove(&reservation).unwrap_or_default();
        let due: &[i64] = if closed.contains(&reservation) { &[] } else { &[amount] };
        if amounts != due {
            errors.push(format!("reservation {reservation} is charged {amounts:?}, due {due:?}"));
        }
    }
    errors
}

fn refund_of(entry: &LedgerEntry) -> Option<uuid::Uuid> {
    match entry {
        LedgerEntry::Refund { key } => Some(*key),
        LedgerEntry::Charge { .. } => None,
    }
}

#[test]
fn control_charge_errors_report_missing_duplicate_and_wrong_charges() {
    let attempt = |reservation| Attempt { reservation, amount: 100 };
    let attempts = BTreeMap::from([(1, attempt(1)), (2, attempt(1)), (3, attempt(3))]);
    let charge = |key: u32, payment: i64, amount: i64| {
        let entry =
            json!({"kind": "charge", "key": uuid(key), "paymentNo": payment, "amount": amount});
        serde_json::from_value::<LedgerEntry>(entry).unwrap()
    };
    let refund = |key: u32| LedgerEntry::Refund { key: uuid(key) };
    let errors = |ledger: &[LedgerEntry]| charge_errors(ledger, &attempts, &BTreeSet::new()).len();
    let fine = [charge(1, 1, 100), charge(3, 3, 100)];
    assert_eq!(errors(&fine), 0);
    assert_eq!(errors(&fine[..1]), 1, "not charged");
    assert_eq!(errors(&[&fine[..], &[charge(4, 3, 100)]].concat()), 1, "one attempt charged twice");
    assert_eq!(errors(&[&fine[..], &[charge(2, 2, 100)]].concat()), 1, "two attempts charged");
    assert_eq!(errors(&[&fine[..], &[charge(2, 2, 100), refund(2)]].concat()), 0, "refunded");
    assert_eq!(errors(&[&fine[..], &[refund(3)]].concat()), 1, "everything refunded");
    assert_eq!(errors(&[charge(1, 1, 100), charge(3, 3, 200)]), 1, "another amount");
    assert_eq!(errors(&[&fine[..], &[charge(9, 9, 100)]].concat()), 1, "no attempt");
    let closed = BTreeSet::from([3]);
    assert_eq!(
        charge_errors(&fine, &attempts, &closed).len(),
        1,
        "the charge remains although the reservation is closed"
    );
    let refunded = [&fine[..], &[refund(3)]].concat();
    assert_eq!(charge_errors(&refunded, &attempts, &closed), [""; 0]);
}

fn uuid(number: u32) -> uuid::Uuid {
    uuid::Uuid::from_u128(number.into())
}
