//! The money: the books of the payment provider against the logs. Per reservation, charges minus refunds are the price or
//! nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::Value;
use uuid::Uuid;

use crate::log_event::LogEvent;

/// An entry of the provider's books. What was declined is no entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderEntry {
    /// A charge.
    Charge {
        /// The attempt's key.
        key: Uuid,
        /// The attempt.
        payment_no: i64,
        /// The charged amount.
        amount: i64,
    },
    /// A refund of the whole charge.
    Refund {
        /// The attempt's key.
        key: Uuid,
    },
}

impl ProviderEntry {
    /// Reads an entry as the stand-in for a payment provider shows it; `None` if it is neither charge nor refund.
    pub fn shown(entry: &Value) -> Option<Self> {
        let text = |field: &str| entry.get(field).and_then(Value::as_str).expect("a text");
        let key = || text("paymentId").parse().expect("a key");
        match text("kind") {
            "charge" => {
                let number = text("orderId").strip_prefix("gdmarket-").expect("an order");
                let amount = entry.get("amount").and_then(Value::as_i64).expect("an amount");
                let payment_no = number.parse().expect("a number");
                Some(Self::Charge { key: key(), payment_no, amount })
            }
            "refund" => Some(Self::Refund { key: key() }),
            _ => None,
        }
    }

    fn refunded(&self) -> Option<Uuid> {
        match self {
            Self::Refund { key } => Some(*key),
            Self::Charge { .. } => None,
        }
    }

    fn charged(&self) -> Option<Uuid> {
        match self {
            Self::Charge { key, .. } => Some(*key),
            Self::Refund { .. } => None,
        }
    }
}

/// A payment attempt in the log of the payment service.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    /// The reservation that it pays.
    pub reservation: i64,
    /// The price.
    pub amount: i64,
}

/// The attempts of a log, by payment number.
pub fn attempts(log: &[LogEvent]) -> BTreeMap<i64, Attempt> {
    let started = log.iter().filter(|event| event.event_type == "PaymentStarted");
    let attempt = |event: &LogEvent| {
        let number = |field: &str| event.number(field).expect("a number");
        let (reservation, amount) = (number("reservationNo"), number("amount"));
        (event.stream.number, Attempt { reservation, amount })
    };
    started.map(attempt).collect()
}

/// The cancelled and expired reservations of a log: no charge for them may remain.
pub fn closed(log: &[LogEvent]) -> BTreeSet<i64> {
    let ends = ["ReservationCancelled", "ReservationExpired"];
    let closing = log.iter().filter(|event| ends.contains(&event.event_type.as_str()));
    closing.map(|event| event.stream.number).collect()
}

/// The reservations with payment attempts that aren't paid in the end.
pub fn unpaid(log: &[LogEvent]) -> BTreeSet<i64> {
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

/// Control on a run's own books: a removed charge, a charge made twice and a missing refund are each reported.
pub fn assert_detects_wrong_charges(
    books: &[ProviderEntry],
    attempts: &BTreeMap<i64, Attempt>,
    closed: &BTreeSet<i64>,
) {
    let refunded: HashSet<_> = books.iter().filter_map(ProviderEntry::refunded).collect();
    let is_kept =
        |entry: &ProviderEntry| entry.charged().is_some_and(|key| !refunded.contains(&key));
    let mut altered = vec![];
    let without = |removed: usize| {
        let kept = books.iter().enumerate().filter(|(index, _)| *index != removed);
        kept.map(|(_, entry)| entry.clone()).collect::<Vec<_>>()
    };
    if let Some(index) = books.iter().position(is_kept) {
        altered.push(without(index));
        altered.push(books.iter().chain(books.get(index)).cloned().collect());
    }
    altered.extend(books.iter().position(|entry| entry.refunded().is_some()).map(without));
    assert!(!altered.is_empty(), "a payment was made");
    for books in altered {
        let errors = charge_errors(&books, attempts, closed);
        assert_eq!(errors.len(), 1, "{errors:?}");
    }
}

/// A reservation with attempts must have exactly one charge that isn't refunded, of the right amount and under one
/// of its attempts; a closed reservation must have none. No charge is refunded twice.
pub fn charge_errors(
    books: &[ProviderEntry],
    attempts: &BTreeMap<i64, Attempt>,
    closed: &BTreeSet<i64>,
) -> Vec<String> {
    let mut errors = Vec::new();
    let mut refunded = HashSet::new();
    for entry in books {
        if entry.refunded().is_some_and(|key| !refunded.insert(key)) {
            errors.push(format!("{entry:?} is there twice"));
        }
    }
    let mut charged: HashMap<i64, Vec<i64>> = HashMap::new();
    for entry in books {
        if let ProviderEntry::Charge { key, payment_no, amount } = entry
            && !refunded.contains(key)
        {
            match attempts.get(payment_no) {
                Some(of) => charged.entry(of.reservation).or_default().push(*amount),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_duplicate_and_wrong_charges_are_reported() {
        let uuid = |number: u32| Uuid::from_u128(number.into());
        let attempt = |reservation| Attempt { reservation, amount: 100 };
        let attempts = BTreeMap::from([(1, attempt(1)), (2, attempt(1)), (3, attempt(3))]);
        let charge = |key: u32, payment_no: i64, amount: i64| ProviderEntry::Charge {
            key: uuid(key),
            payment_no,
            amount,
        };
        let refund = |key: u32| ProviderEntry::Refund { key: uuid(key) };
        let errors =
            |books: &[ProviderEntry]| charge_errors(books, &attempts, &BTreeSet::new()).len();
        let fine = [charge(1, 1, 100), charge(3, 3, 100)];
        let with = |more: &[ProviderEntry]| [&fine[..], more].concat();
        assert_eq!(errors(&fine), 0);
        assert_eq!(errors(&fine[..1]), 1, "not charged");
        assert_eq!(errors(&with(&[charge(4, 3, 100)])), 1, "one attempt charged twice");
        assert_eq!(errors(&with(&[charge(2, 2, 100)])), 1, "two attempts charged");
        assert_eq!(errors(&with(&[charge(2, 2, 100), refund(2)])), 0, "refunded");
        assert_eq!(errors(&with(&[charge(2, 2, 100), refund(2), refund(2)])), 1, "refunded twice");
        assert_eq!(errors(&with(&[refund(3)])), 1, "everything refunded");
        assert_eq!(errors(&[charge(1, 1, 100), charge(3, 3, 200)]), 1, "another amount");
        assert_eq!(errors(&with(&[charge(9, 9, 100)])), 1, "no attempt");
        let closed = BTreeSet::from([3]);
        assert_eq!(
            charge_errors(&fine, &attempts, &closed).len(),
            1,
            "the charge remains although the reservation is closed"
        );
        assert_eq!(charge_errors(&with(&[refund(3)]), &attempts, &closed), [""; 0]);
    }
}
