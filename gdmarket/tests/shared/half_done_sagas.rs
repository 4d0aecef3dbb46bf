//! A log in which a saga is at every step, written by hand: for tests of what is open, without a server that would
//! take the next step, and of a server that takes over from there.

use gdmarket_testkit::TestDb;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Events of all aggregates, in the order in which they are written.
#[derive(Clone, Default)]
struct LogScript {
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

    /// Adds events of reservation, item and payment `no`.
    fn saga(&mut self, no: i64, events: &[&str], changes: &Value) {
        for event_type in events {
            self.add(&format!("{}/{no}", kind_of(event_type)), event_type, no, changes);
        }
    }

    /// A script that continues after this one.
    fn continued(&self) -> Self {
        Self { sequences: self.sequences.clone(), rows: vec![] }
    }

    /// Writes it all.
    async fn write(&self, db: &TestDb) {
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

/// The names of a state, of a step and of the awaited party.
pub(crate) type StepNames = [&'static str; 3];

/// A saga, by its events after a common beginning, and what is open after them.
struct Case {
    no: i64,
    beginning: &'static [&'static str],
    then: &'static [&'static str],
    open: &'static [StepNames],
    /// How many of the last events have reactions that aren't done.
    undone: usize,
}

impl Case {
    const fn undone(self, undone: usize) -> Self {
        Self { undone, ..self }
    }

    fn events(&self) -> Vec<&'static str> {
        [self.beginning, self.then].concat()
    }
}

const fn case(
    no: i64,
    beginning: &'static [&'static str],
    then: &'static [&'static str],
    open: &'static [StepNames],
) -> Case {
    Case { no, beginning, then, open, undone: 1 }
}

/// Every step of a rental; without open steps it is done.
const RENTALS: [Case; 35] = [
    case(1, &[], &["ReservationRequested"], &[["Requested", "hold", "item"]]),
    case(2, &["ReservationRequested"], &["ItemHeld"], &[["Requested", "confirm", "reservation"]]),
    case(3, &["ReservationRequested"], &["HoldRefused"], &[["Requested", "reject", "reservation"]]),
    case(4, &["ReservationRequested", "HoldRefused"], &["ReservationRejected"], &[]),
    case(5, &RESERVED, &[], &[["Unpaid", "pay", "renter"]]),
    case(6, &OPEN, &[], &[["PaymentOpen", "charge", "payment"]]),
    case(7, &OPEN, &["PaymentStarted"], &[["PaymentOpen", "charge", "payment"]]).undone(2),
    case(
        8,
        &OPEN,
        &["PaymentStarted", "PaymentOutcomeUnknown"],
        &[["PaymentOpen", "settle", "payment"]],
    )
    .undone(3),
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
    )
    .undone(2),
    case(
        21,
        &PAID,
        &["ReservationCancellationRequested", "ItemRented", "RentalStarted"],
        &[["Renting", "return", "renter"], ["Renting", "revoke", "item"]],
    )
    .undone(3),
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
    )
    .undone(3),
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
    )
    .undone(5),
    // Cancelled before the item has answered, without a payment.
    case(
        51,
        &["ReservationRequested"],
        &["ReservationCancelled"],
        &[["Cancelled", "release", "item"]],
    )
    .undone(2),
    case(52, &["ReservationRequested"], &["ReservationCancelled", "HoldRefused"], &[]),
    // The time to pay is over.
    case(53, &RESERVED, &[], &[["Unpaid", "expire", "reservation"]]),
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

/// A log with a saga at every step.
pub(crate) struct HalfDoneSagas {
    /// The events whose reactions are done.
    done: LogScript,
    /// The later ones.
    last: LogScript,
    /// Every open step, by saga.
    pub(crate) open: Vec<(String, StepNames)>,
}

impl HalfDoneSagas {
    pub(crate) fn new() -> Self {
        let sagas = [(&RENTALS[..], "reservation"), (&ANNOUNCEMENTS[..], "item")];
        let mut done = LogScript::default();
        for of in &RENTALS {
            done.saga(of.no, &["Alerted", "ItemRegistered"], &json!({}));
        }
        let mut open = vec![];
        for (of, kind) in
            sagas.iter().flat_map(|(cases, kind)| cases.iter().map(move |of| (of, kind)))
        {
            let events = of.events();
            done.saga(of.no, &events[..events.len() - of.undone], &changes_of(of.no));
            open.extend(of.open.iter().map(|step| (format!("{kind}/{}", of.no), *step)));
        }
        let mut last = done.continued();
        for of in sagas.iter().flat_map(|(cases, _)| *cases) {
            let events = of.events();
            last.saga(of.no, &events[events.len() - of.undone..], &changes_of(of.no));
        }
        open.sort();
        Self { done, last, open }
    }

    /// Writes all of it.
    pub(crate) async fn write(&self, db: &TestDb) {
        self.write_done(db).await;
        self.write_last(db).await;
    }

    /// Writes all of it where a server has run, so that its process managers have only the last events before them.
    pub(crate) async fn write_for_a_stopped_server(&self, db: &TestDb) {
        self.write_done(db).await;
        skip_managers_to_head(db).await;
        self.write_last(db).await;
    }

    /// Writes the events whose reactions are done.
    async fn write_done(&self, db: &TestDb) {
        self.done.write(db).await;
    }

    /// Writes the events whose reactions aren't done.
    async fn write_last(&self, db: &TestDb) {
        self.last.write(db).await;
    }
}

/// Takes the reactions to all events for done.
async fn skip_managers_to_head(db: &TestDb) {
    let head = db.log_number("SELECT max(position) FROM events").await;
    let managers =
        "'holding', 'reservation_process', 'payment_process', 'alarm_saga', 'abandonment'";
    let sql =
        format!("UPDATE checkpoints SET position = {head} WHERE subscription IN ({managers})");
    db.views_sql(&sql).await;
}

/// What is different in one of the sagas.
fn changes_of(no: i64) -> Value {
    match no {
        51 | 52 => json!({"paymentNo": null}),
        53 => json!({"payBy": "2020-01-01T00:15:00Z"}),
        _ => json!({}),
    }
}
