//! The request of each command, and the effects by which it is done.

use super::subject::Subject;
use gdmarket_domain::Service;
use gdmarket_domain::service::PersonCommand;
use reqwest::Method;
use serde_json::{Value, json};

/// A period that no other request of these tests names.
const DAYS: [&str; 2] = ["2099-01-05", "2099-01-08"];

/// A request of a person.
pub(super) struct PersonRequest {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Value,
}

/// A resource that shows a part of what a command leads to.
pub(super) struct Effect {
    /// The service that shows it.
    pub(super) service: Service,
    pub(super) path: String,
    pub(super) is_done: fn(u16, &Value) -> bool,
}

fn effect(service: Service, path: String, is_done: fn(u16, &Value) -> bool) -> Effect {
    Effect { service, path, is_done }
}

fn days() -> Value {
    let [from, to] = DAYS;
    json!({"period": {"from": from, "to": to}})
}

/// The request of a command about its subject.
pub(super) fn request(command: PersonCommand, subject: &Subject) -> PersonRequest {
    let item = |below: &str| format!("/items/{}{below}", subject.item_no());
    let reservation = |below: &str| format!("/reservations/{}{below}", subject.reservation_no());
    let nothing = || json!({});
    let (method, path, body) = match command {
        PersonCommand::RegisterItem => (Method::POST, "/items".to_owned(), Subject::new_item()),
        PersonCommand::ChangeItem => (Method::PATCH, item(""), json!({"itemPrice": 250})),
        PersonCommand::DeleteItem => (Method::POST, item("/delete"), nothing()),
        PersonCommand::BlockPeriod => (Method::POST, item("/block"), days()),
        PersonCommand::UnblockPeriod => (Method::POST, item("/unblock"), days()),
        PersonCommand::LendItem => (Method::POST, item("/lend"), nothing()),
        PersonCommand::ReturnItem => (Method::POST, item("/return"), nothing()),
        PersonCommand::RequestReservation => {
            (Method::POST, "/reservations".to_owned(), subject.new_reservation())
        }
        PersonCommand::CancelReservation => (Method::POST, reservation("/cancel"), nothing()),
        PersonCommand::PayReservation => (Method::POST, reservation("/payment"), nothing()),
        PersonCommand::CancelPayment => (Method::POST, reservation("/payment/cancel"), nothing()),
    };
    PersonRequest { method, path, body }
}

/// All that a command leads to, by the service that does it.
pub(super) fn effects(command: PersonCommand, subject: &Subject) -> Vec<Effect> {
    let item = |is_done| effect(Service::Item, format!("/items/{}", subject.item_no()), is_done);
    let alarm = |is_done| effect(Service::Alarm, format!("/alarms/{}", subject.item_no()), is_done);
    let reservation = |is_done| {
        effect(Service::Reservation, format!("/reservations/{}", subject.reservation_no()), is_done)
    };
    let refund = || {
        let path = format!("/payments?itemNo={}", subject.item_no());
        effect(Service::Payment, path, |_, found| is_only_payment(found, "Cancelled"))
    };
    let calendar = |is_done| {
        let [from, to] = DAYS;
        let path = format!("/items/{}/calendar?from={from}&to={to}", subject.item_no());
        effect(Service::Item, path, is_done)
    };
    match command {
        PersonCommand::RegisterItem => {
            vec![item(|status, _| status == 200), alarm(|_, found| has(found, "Alerted"))]
        }
        PersonCommand::ChangeItem => vec![item(|_, found| found["itemPrice"] == 250)],
        PersonCommand::DeleteItem => {
            vec![item(|status, _| status == 404), alarm(|_, found| has(found, "DeleteAlerted"))]
        }
        PersonCommand::BlockPeriod => vec![calendar(|_, found| found["busy"] != json!([]))],
        PersonCommand::UnblockPeriod => vec![calendar(|_, found| found["busy"] == json!([]))],
        PersonCommand::LendItem => vec![
            item(|_, found| found["rentalStatus"] == "Renting"),
            reservation(|_, found| found["status"] == "Renting"),
        ],
        PersonCommand::ReturnItem => vec![
            item(|_, found| found["rentalStatus"] == "Returned"),
            reservation(|_, found| found["status"] == "Completed"),
        ],
        PersonCommand::RequestReservation => vec![
            reservation(|_, found| found["status"] == "Reserved"),
            item(|_, found| found["reservationNo"].is_i64()),
        ],
        PersonCommand::CancelReservation => vec![
            reservation(|_, found| found["status"] == "Cancelled"),
            item(|_, found| found["reservationNo"].is_null()),
            refund(),
        ],
        PersonCommand::PayReservation => vec![
            reservation(|_, found| found["paymentStatus"] == "Paid"),
            item(|_, found| is_lendable(found)),
            effect(
                Service::Payment,
                format!("/payments?itemNo={}", subject.item_no()),
                |_, found| is_only_payment(found, "Approved"),
            ),
        ],
        PersonCommand::CancelPayment => vec![
            reservation(|_, found| found["paymentStatus"] == "NotPaid"),
            item(|_, found| !is_lendable(found)),
            refund(),
        ],
    }
}

/// Whether the last announcement of an alarm is this one.
fn has(alarm: &Value, status: &str) -> bool {
    alarm["alarmStatus"] == status
}

/// Whether an item offers to be lent.
pub(super) fn is_lendable(item: &Value) -> bool {
    let actions = item["actions"].as_array().into_iter().flatten();
    actions.into_iter().any(|action| action["name"] == "lend" && action["allowed"] == true)
}

/// Whether there is exactly one payment, and it has this status.
fn is_only_payment(found: &Value, status: &str) -> bool {
    let payments = found["_embedded"]["payments"].as_array();
    payments.is_some_and(|all| all.len() == 1 && all.iter().all(|one| one["status"] == status))
}
