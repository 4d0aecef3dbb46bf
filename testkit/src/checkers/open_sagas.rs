//! What is unfinished: requests without an answer, payments without an outcome, holds that fit no reservation. What waits
//! for a person (a reservation to be paid, an item to be lent or returned) isn't.

use std::collections::BTreeMap;

use crate::log_event::LogEvent;

/// How far a reservation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Requested,
    Unpaid,
    Paid,
    Renting,
    /// Rejected, cancelled, expired or completed.
    Closed,
}

/// A reservation as its events say, and what the item says of it.
#[derive(Debug, Default)]
struct Rental {
    stage: Option<Stage>,
    /// The attempt that it is paid by.
    paid_by: Option<i64>,
    /// Whether a payment is open.
    is_paying: bool,
    /// Whether a cancellation, of it or of its payment, waits for the item.
    is_cancelling: bool,
    hold: Option<Hold>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    Held,
    Authorized,
    Rented,
}

impl Rental {
    fn apply(&mut self, event: &LogEvent) {
        self.apply_to_stage(event);
        match event.event_type.as_str() {
            "PaymentRequested" => self.is_paying = true,
            "ReservationPaid" | "PaymentFailed" => self.is_paying = false,
            "ReservationCancellationRequested" | "PaymentCancellationRequested" => {
                self.is_cancelling = true;
            }
            "ReservationCancellationRefused"
            | "PaymentCancellationRefused"
            | "ReservationPaymentCancelled"
            | "ReservationCancelled" => self.is_cancelling = false,
            "ItemHeld" | "LendingRevoked" => self.hold = Some(Hold::Held),
            "LendingAuthorized" => self.hold = Some(Hold::Authorized),
            "ItemRented" => self.hold = Some(Hold::Rented),
            "ItemReleased" | "ItemReturned" => self.hold = None,
            _ => {}
        }
    }

    fn apply_to_stage(&mut self, event: &LogEvent) {
        let stage = match event.event_type.as_str() {
            "ReservationRequested" => Stage::Requested,
            "Reserved" | "ReservationPaymentCancelled" => Stage::Unpaid,
            "ReservationPaid" => Stage::Paid,
            "RentalStarted" => Stage::Renting,
            "ReservationRejected"
            | "ReservationCancelled"
            | "ReservationExpired"
            | "RentalCompleted" => Stage::Closed,
            _ => return,
        };
        self.stage = Some(stage);
        match event.event_type.as_str() {
            "ReservationPaid" => self.paid_by = event.number("paymentNo"),
            "ReservationPaymentCancelled" | "ReservationCancelled" => self.paid_by = None,
            _ => {}
        }
    }

    fn is_at_rest(&self) -> bool {
        let expected = match self.stage {
            None | Some(Stage::Requested) => return false,
            Some(Stage::Unpaid) => Some(Hold::Held),
            Some(Stage::Paid) => Some(Hold::Authorized),
            Some(Stage::Renting) => Some(Hold::Rented),
            Some(Stage::Closed) => None,
        };
        let is_paying = self.is_paying && self.stage == Some(Stage::Unpaid);
        self.hold == expected && !self.is_cancelling && !is_paying
    }
}

/// The rentals and payments that are unfinished, by the events of all logs, each log in its order.
pub fn open_sagas(events: &[LogEvent]) -> Vec<String> {
    let mut rentals: BTreeMap<i64, Rental> = BTreeMap::new();
    let mut payments: BTreeMap<i64, &LogEvent> = BTreeMap::new();
    for event in events {
        match event.stream.kind.as_str() {
            "reservation" => rentals.entry(event.stream.number).or_default().apply(event),
            "item" => {
                if let Some(reservation) = event.number("reservationNo") {
                    rentals.entry(reservation).or_default().apply(event);
                }
            }
            "payment" => {
                payments.insert(event.stream.number, event);
            }
            _ => {}
        }
    }
    let open = rentals.iter().filter(|(_, rental)| !rental.is_at_rest());
    let mut open: Vec<String> =
        open.map(|(number, rental)| format!("reservation {number}: {rental:?}")).collect();
    open.extend(payments.into_iter().filter_map(|(number, last)| {
        let reservation = last.number("reservationNo").unwrap_or_default();
        let is_current = rentals.get(&reservation).is_some_and(|of| of.paid_by == Some(number));
        let is_final = match last.event_type.as_str() {
            "PaymentApproved" => is_current,
            "PaymentDeclined" | "PaymentCancelled" => !is_current,
            _ => false,
        };
        (!is_final).then(|| format!("payment {number} of reservation {reservation}: {last}"))
    }));
    open
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::log_event::StreamName;

    /// Events of reservation 1, of item 1 and of payment 1.
    fn log(types: &[&str]) -> Vec<LogEvent> {
        let kind = |event: &str| match event {
            "ItemHeld" | "LendingAuthorized" | "LendingRevoked" | "ItemReleased" | "ItemRented"
            | "ItemReturned" => "item",
            "PaymentStarted" | "PaymentApproved" | "PaymentDeclined" | "PaymentCancelled" => {
                "payment"
            }
            _ => "reservation",
        };
        let event = |(event_type, sequence): (&&str, i64)| LogEvent {
            position: sequence,
            stream: StreamName::new(kind(event_type), 1),
            sequence,
            event_type: (*event_type).to_owned(),
            event_version: "1".to_owned(),
            payload: json!({*event_type: {"reservationNo": 1, "paymentNo": 1}}).to_string(),
            metadata: "{}".to_owned(),
            recorded_at: 0,
        };
        types.iter().zip(1..).map(event).collect()
    }

    /// A rental until the renter has cancelled it; the events that may be the last without leaving something open.
    const CANCELLED: [(&str, bool); 14] = [
        ("ReservationRequested", false),
        ("ItemHeld", false),
        ("Reserved", true),
        ("PaymentRequested", false),
        ("PaymentStarted", false),
        ("PaymentApproved", false),
        ("ReservationPaid", false),
        ("LendingAuthorized", true),
        ("ReservationCancellationRequested", false),
        ("LendingRevoked", false),
        ("ReservationCancelled", false),
        ("ItemReleased", false),
        ("PaymentCancelled", true),
        ("ItemHeld", false),
    ];

    #[test]
    fn rental_is_open_until_each_step_that_waits_for_nobody_is_done() {
        for length in 1..=CANCELLED.len() {
            let events: Vec<&str> = CANCELLED[..length].iter().map(|(event, _)| *event).collect();
            let open = open_sagas(&log(&events));
            assert_eq!(open.is_empty(), CANCELLED[length - 1].1, "{events:?}: {open:?}");
        }
    }

    #[test]
    fn lent_returned_and_declined_are_finished_and_a_rejection_needs_no_hold() {
        let reserved = ["ReservationRequested", "ItemHeld", "Reserved"];
        let pay = ["PaymentRequested", "PaymentStarted", "PaymentApproved", "ReservationPaid"];
        for (more, is_finished) in [
            (&["LendingAuthorized", "ItemRented"][..], false),
            (&["LendingAuthorized", "ItemRented", "RentalStarted"], true),
            (&["LendingAuthorized", "ItemRented", "RentalStarted", "ItemReturned"], false),
            (
                &[
                    "LendingAuthorized",
                    "ItemRented",
                    "RentalStarted",
                    "ItemReturned",
                    "RentalCompleted",
                ],
                true,
            ),
            (&["LendingAuthorized", "PaymentDeclined"], false),
        ] {
            let open = open_sagas(&log(&[&reserved[..], &pay, more].concat()));
            assert_eq!(open.is_empty(), is_finished, "{more:?}: {open:?}");
        }
        let declined = ["PaymentRequested", "PaymentStarted", "PaymentDeclined"];
        assert_eq!(open_sagas(&log(&[&reserved[..], &declined].concat())).len(), 1);
        let failed = [&reserved[..], &declined, &["PaymentFailed"]].concat();
        assert_eq!(open_sagas(&log(&failed)), [""; 0]);
        let rejected = ["ReservationRequested", "ReservationRejected"];
        assert_eq!(open_sagas(&log(&rejected)), [""; 0]);
        assert_eq!(open_sagas(&log(&[&rejected[..], &["ItemHeld"]].concat())).len(), 1);
    }
}
