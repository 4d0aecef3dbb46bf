//! A log in which a saga stands at every step, written by hand: for tests of what is open, without a server that
//! would take the next step.

use gdmarket_testkit::TestDb;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Events of all aggregates, in the order in which they are written.
#[derive(Default)]
pub(crate) struct LogScript {
    sequences: BTreeMap<String, i64>,
    rows: Vec<String>,
}

/// The fields of all events; each event ignores the fields of the others.
fn fields(no: i64) -> Value {
    json!({
        "reservationNo": no, "itemNo": no, "paymentNo": no, "renterId": 9, "ownerId": 7,
        "askedOn": "2027-01-01", "from": "2027-01-05", "itemName": "Camera", "itemPrice": 100,
        "totalPrice": 300, "amount": 300, "reason": "item-taken", "payBy": "2999-01-01T00:00:00Z",
        "period": {"from": "2027-01-05", "to": "2027-01-08"},
    })
}

impl LogScript {
    /// Adds one event whose fields are as of `changes`.
    fn add(&mut self, stream: &str, event_type: &str, no: i64, changes: &Value) {
        let mut body = fields(no);
        for (name, value) in changes.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let (kind, number) = stream.split_once('/').expect("a stream");
        let sequence = self.sequences.entry(stream.to_owned()).or_default();
        *sequence += 1;
        let payload = json!({ event_type: body });
        self.rows.push(format!(
            "('{kind}', '{number}', {sequence}, '{event_type}', '1', '{payload}', '{{}}')"
        ));
    }

    /// Adds events of reservation `no`, of the item and of the payment with the same number.
    pub(crate) fn rental(&mut self, no: i64, events: &[&str]) {
        for event_type in events {
            let kind = kind_of(event_type);
            self.add(&format!("{kind}/{no}"), event_type, no, &json!({}));
        }
    }

    fn rental_with(&mut self, no: i64, event_type: &str, changes: &Value) {
        self.add(&format!("{}/{no}", kind_of(event_type)), event_type, no, changes);
    }

    /// Writes it all.
    pub(crate) async fn write(&self, db: &TestDb) {
        let rows = self.rows.join(", ");
        db.log_sql(&format!(
            "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, \
             event_version, payload, metadata) VALUES {rows}"
        ))
        .await;
    }
}

fn kind_of(event_type: &str) -> &'static str {
    match event_type {
        "HoldRefused" => "hold",
        "PaymentStarted"
        | "PaymentApproved"
        | "PaymentDeclined"
        | "PaymentOutcomeUnknown"
        | "PaymentCancellationStarted"
        | "PaymentRefundRefused"
        | "PaymentCancelled" => "payment",
        "Alerted" | "DeleteAlerted" | "AlarmWithdrawn" => "alarm",
        "ItemRegistered"
        | "ItemDeleted"
        | "RegistrationAbandoned"
        | "ItemHeld"
        | "ItemReleased"
        | "LendingAuthorized"
        | "LendingRevoked"
        | "LendingRevocationRefused"
        | "ItemRented"
        | "ItemReturned" => "item",
        _ => "reservation",
    }
}

const RESERVED: [&str; 3] = ["ReservationRequested", "ItemHeld", "Reserved"];
const OPEN: [&str; 4] = ["ReservationRequested", "ItemHeld", "Reserved", "PaymentRequested"];
const PAID: [&str; 8] = [
    "ReservationRequested",
    "ItemHeld",
    "Reserved",
    "PaymentRequested",
    "PaymentStarted",
    "PaymentApproved",
    "ReservationPaid",
    "LendingAuthorized",
];

/// A saga, by its events after a common beginning, and what is open after them.
struct Case {
    no: i64,
    beginning: &'static [&'static str],
    then: &'static [&'static str],
    open: &'static [[&'static str; 3]],
}

const fn case(
    no: i64,
    beginning: &'static [&'static str],
    then: &'static [&'static str],
    open: &'static [[&'static str; 3]],
) -> Case {
    Case { no, beginning, then, open }
}

/// Every step of a rental; without open steps it is done.
const RENTALS: [Case; 32] = [
    case(1, &[], &["ReservationRequested"], &[["Requested", "hold", "item"]]),
    case(2, &["ReservationRequested"], &["ItemHeld"], &[["Requested", "confirm", "reservation"]]),
    case(3, &["ReservationRequested"], &["HoldRefused"], &[["Requested", "reject", "reservation"]]),
    case(4, &["ReservationRequested", "HoldRefused"], &["ReservationRejected"], &[]),
    case(5, &RESERVED, &[], &[["Unpaid", "pay", "renter"]]),
    case(6, &OPEN, &[], &[["PaymentOpen", "charge", "payment"]]),
    case(7, &OPEN, &["PaymentStarted"], &[["PaymentOpen", "charge", "payment"]]),
    case(
        8,
        &OPEN,
        &["PaymentStarted", "PaymentOutcomeUnknown"],
        &[["PaymentOpen", "settle", "payment"]],
    ),
    case(
        9,
        &OPEN,
        &["PaymentStarted", "PaymentApproved"],
        &[["PaymentOpen", "record-outcome", "reservation"]],
    ),
    case(
        10,
        &OPEN,
        &["PaymentStarted", "PaymentDeclined"],
        &[["PaymentOpen", "record-outcome", "reservation"]],
    ),
    case(
        11,
        &OPEN,
        &["PaymentStarted", "PaymentDeclined", "PaymentFailed"],
        &[["Unpaid", "pay", "renter"]],
    ),
    case(
        12,
        &OPEN,
        &["PaymentStarted", "PaymentApproved", "ReservationPaid"],
        &[["Paid", "authorize", "item"]],
    ),
    case(13, &PAID, &[], &[["Paid", "lend", "owner"]]),
    case(14, &PAID, &["ItemRented"], &[["Paid", "record-lending", "reservation"]]),
    case(15, &PAID, &["ItemRented", "RentalStarted"], &[["Renting", "return", "renter"]]),
    case(
        16,
        &PAID,
        &["ItemRented", "RentalStarted", "ItemReturned"],
        &[["Renting", "record-return", "reservation"]],
    ),
    case(17, &PAID, &["ItemRented", "RentalStarted", "ItemReturned", "RentalCompleted"], &[]),
    case(
        18,
        &PAID,
        &["ReservationCancellationRequested"],
        &[["CancellationPending", "revoke", "item"]],
    ),
    case(
        19,
        &PAID,
        &["ReservationCancellationRequested", "LendingRevoked"],
        &[["CancellationPending", "record-decision", "reservation"]],
    ),
    case(
        20,
        &PAID,
        &["ReservationCancellationRequested", "ItemRented"],
        &[
            ["CancellationPending", "record-lending", "reservation"],
            ["CancellationPending", "revoke", "item"],
        ],
    ),
    case(
        21,
        &PAID,
        &["ReservationCancellationRequested", "ItemRented", "RentalStarted"],
        &[["Renting", "return", "renter"], ["Renting", "revoke", "item"]],
    ),
    case(
        22,
        &PAID,
        &["ReservationCancellationRequested", "LendingRevoked", "ReservationCancelled"],
        &[["Cancelled", "refund", "payment"], ["Cancelled", "release", "item"]],
    ),
    case(
        23,
        &PAID,
        &[
            "ReservationCancellationRequested",
            "LendingRevoked",
            "ReservationCancelled",
            "ItemReleased",
            "PaymentCancellationStarted",
        ],
        &[["Cancelled", "refund", "payment"]],
    ),
    case(
        24,
        &PAID,
        &[
            "ReservationCancellationRequested",
            "LendingRevoked",
            "ReservationCancelled",
            "ItemReleased",
            "PaymentCancellationStarted",
            "PaymentRefundRefused",
        ],
        &[["Cancelled", "settle-refund", "operator"]],
    ),
    case(
        25,
        &PAID,
        &[
            "ReservationCancellationRequested",
            "LendingRevoked",
            "ReservationCancelled",
            "ItemReleased",
            "PaymentCancellationStarted",
            "PaymentCancelled",
        ],
        &[],
    ),
    case(
        26,
        &PAID,
        &["PaymentCancellationRequested", "LendingRevoked", "ReservationPaymentCancelled"],
        &[["Unpaid", "pay", "renter"], ["Unpaid", "refund", "payment"]],
    ),
    case(27, &RESERVED, &["ReservationExpired"], &[["Expired", "release", "item"]]),
    case(28, &RESERVED, &["ReservationExpired", "ItemReleased"], &[]),
    // The saga ended before the charge turned up.
    case(
        29,
        &OPEN,
        &[
            "PaymentStarted",
            "PaymentDeclined",
            "PaymentFailed",
            "ReservationExpired",
            "ItemReleased",
            "PaymentApproved",
        ],
        &[["Expired", "record-late-approval", "reservation"]],
    ),
    case(
        30,
        &OPEN,
        &[
            "PaymentStarted",
            "PaymentDeclined",
            "PaymentFailed",
            "ReservationExpired",
            "ItemReleased",
            "PaymentApproved",
            "LatePaymentRecorded",
        ],
        &[["Expired", "refund", "payment"]],
    ),
    case(
        31,
        &PAID,
        &[
            "PaymentCancellationRequested",
            "ItemRented",
            "RentalStarted",
            "LendingRevocationRefused",
        ],
        &[["Renting", "record-decision", "reservation"], ["Renting", "return", "renter"]],
    ),
    case(
        32,
        &PAID,
        &[
            "PaymentCancellationRequested",
            "ItemRented",
            "RentalStarted",
            "ItemReturned",
            "RentalCompleted",
        ],
        &[["Completed", "revoke", "item"]],
    ),
];

/// Every step of a registration and a deletion.
const ANNOUNCEMENTS: [Case; 5] = [
    case(61, &[], &["Alerted"], &[["Alerted", "register", "item"]]),
    case(62, &["Alerted"], &["RegistrationAbandoned"], &[["Abandoned", "withdraw", "alarm"]]),
    case(63, &["Alerted"], &["RegistrationAbandoned", "AlarmWithdrawn"], &[]),
    case(
        64,
        &["Alerted", "ItemRegistered"],
        &["ItemDeleted"],
        &[["Deleted", "announce-deletion", "alarm"]],
    ),
    case(65, &["Alerted", "ItemRegistered"], &["ItemDeleted", "DeleteAlerted"], &[]),
];

/// Writes a saga at every step into a log; returns every open step.
pub(crate) async fn write_half_done_sagas(db: &TestDb) -> Vec<(String, [&'static str; 3])> {
    let mut script = LogScript::default();
    let mut open = vec![];
    for (cases, kind) in [(RENTALS.as_slice(), "reservation"), (ANNOUNCEMENTS.as_slice(), "item")] {
        for Case { no, beginning, then, open: steps } in cases {
            script.rental(*no, beginning);
            script.rental(*no, then);
            open.extend(steps.iter().map(|step| (format!("{kind}/{no}"), *step)));
        }
    }
    // A cancellation before the item has answered, without a payment.
    script.rental(51, &["ReservationRequested"]);
    script.rental_with(51, "ReservationCancelled", &json!({"paymentNo": null}));
    open.push(("reservation/51".to_owned(), ["Cancelled", "release", "item"]));
    script.rental(52, &["ReservationRequested"]);
    script.rental_with(52, "ReservationCancelled", &json!({"paymentNo": null}));
    script.rental(52, &["HoldRefused"]);
    // The time to pay is over.
    script.rental(53, &["ReservationRequested", "ItemHeld"]);
    script.rental_with(53, "Reserved", &json!({"payBy": "2020-01-01T00:15:00Z"}));
    open.push(("reservation/53".to_owned(), ["Unpaid", "expire", "reservation"]));
    script.write(db).await;
    open.sort();
    open
}
