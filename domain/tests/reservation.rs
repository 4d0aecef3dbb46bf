//! The reservation's table of states × commands, and the rules behind it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

#[path = "support/permits.rs"]
mod permits;
#[path = "support/table.rs"]
mod table;

use chrono::{DateTime, NaiveDate, Utc};
use cqrs_es::Aggregate;
use cqrs_es::test::TestFramework;
use gdmarket_domain::reservation::{Cancelling, ReservationStage};
use gdmarket_domain::{
    Decider, ItemNo, Money, PaymentNo, PersonId, Refusal, RentalPeriod, Reservation,
    ReservationCommand, ReservationError, ReservationEvent, ReservationNo,
};
use std::time::Duration;
use table::{after, refusal};

/// The states are columns. X (cancellation pending), Renting and Completed are split by the open request
/// (c: to cancel the reservation, p: to cancel the payment), and the closed states by their outcome. Attempt 1
/// is the open or paid one, and `first` is the current deadline to pay in U (unpaid).
const TABLE: &str = "
| | – | Req | U | O | P | Xc | Xp | Renting | Renting+c | Renting+p | Completed | Completed+c | Completed+p | Rejected | Cancelled | Expired | writes |
| Reserve | → Req | = | = | = | = | = | = | = | = | = | = | = | = | = | = | = | ReservationRequested |
| ConfirmReservation | park | → U | = | = | = | = | = | = | = | = | = | = | = | reservation-closed | reservation-closed | reservation-closed | Reserved |
| RejectReservation | park | → Rejected | already-reserved | already-reserved | already-reserved | already-reserved | already-reserved | already-reserved | already-reserved | already-reserved | already-reserved | already-reserved | already-reserved | = | reservation-closed | reservation-closed | ReservationRejected |
| CancelReservation | reservation-not-found | → Cancelled | → Cancelled | payment-pending | → Xc | = | cancellation-pending | already-lent | already-lent | already-lent | reservation-closed | reservation-closed | reservation-closed | reservation-closed | = | reservation-closed | ReservationCancelled ReservationCancellationRequested |
| RequestPayment | reservation-not-found | not-reserved | → O | payment-pending | = | cancellation-pending | cancellation-pending | = | = | = | = | = | = | reservation-closed | reservation-closed | reservation-closed | PaymentRequested |
| RequestPaymentCancellation | reservation-not-found | not-paid | not-paid | payment-pending | → Xp | cancellation-pending | = | already-lent | already-lent | already-lent | reservation-closed | reservation-closed | reservation-closed | reservation-closed | reservation-closed | reservation-closed | PaymentCancellationRequested |
| RecordPaymentApproved(1) | park | late | late | → P | = | = | = | = | = | = | = | = | = | late | late | late | ReservationPaid LatePaymentRecorded |
| RecordPaymentApproved(2) | park | late | late | late | late | late | late | late | late | late | late | late | late | late | late | late | LatePaymentRecorded |
| RecordPaymentFailed(1) | park | = | = | → U | = | = | = | = | = | = | = | = | = | = | = | = | PaymentFailed |
| RecordPaymentFailed(2) | park | = | = | = | = | = | = | = | = | = | = | = | = | = | = | = | |
| RecordLendingRevoked | park | = | = | = | = | → Cancelled | → U | = | = | = | = | = | = | = | = | = | ReservationCancelled ReservationPaymentCancelled |
| RecordRevocationRefused | park | = | = | = | = | → P | → P | = | → Renting | → Renting | = | → Completed | → Completed | = | = | = | ReservationCancellationRefused PaymentCancellationRefused |
| StartRental | park | park | park | park | → Renting | → Renting+c | → Renting+p | = | = | = | = | = | = | park | park | park | RentalStarted |
| CompleteRental | park | park | park | park | park | park | park | → Completed | → Completed+c | → Completed+p | = | = | = | park | park | park | RentalCompleted |
| ExpireReservation(first) | reservation-not-found | reservation-closed | → Expired | payment-pending | paid | cancellation-pending | cancellation-pending | paid | paid | paid | paid | paid | paid | reservation-closed | reservation-closed | reservation-closed | ReservationExpired |
| ExpireReservation(other) | reservation-not-found | reservation-closed | not-due | payment-pending | paid | cancellation-pending | cancellation-pending | paid | paid | paid | paid | paid | paid | reservation-closed | reservation-closed | reservation-closed | |
";

#[test]
fn every_state_answers_every_command_as_in_the_table() {
    table::check(TABLE, |column| after(history(column)), command, column_of);
}

fn command(row: &str) -> ReservationCommand {
    match row {
        "Reserve" => reserve(None),
        "ConfirmReservation" => confirm(),
        "RejectReservation" => ReservationCommand::Reject { reason: "item-taken".into() },
        "CancelReservation" => ReservationCommand::Cancel,
        "RequestPayment" => pay(1),
        "RequestPaymentCancellation" => ReservationCommand::RequestPaymentCancellation,
        "RecordPaymentApproved(1)" => approved(1),
        "RecordPaymentApproved(2)" => approved(2),
        "RecordPaymentFailed(1)" => failed(1),
        "RecordPaymentFailed(2)" => failed(2),
        "RecordLendingRevoked" => revoked(),
        "RecordRevocationRefused" => ReservationCommand::RecordRevocationRefused,
        "StartRental" => ReservationCommand::StartRental,
        "CompleteRental" => ReservationCommand::CompleteRental,
        "ExpireReservation(first)" => ReservationCommand::Expire { pay_by: minute(15) },
        "ExpireReservation(other)" => ReservationCommand::Expire { pay_by: minute(16) },
        other => panic!("no such row: {other}"),
    }
}

/// The shortest history that leads to a column.
fn history(column: &str) -> Vec<ReservationCommand> {
    let then = |before: &str, last: ReservationCommand| {
        let mut all = history(before);
        all.push(last);
        all
    };
    match column {
        "–" => vec![],
        "Req" => vec![reserve(None)],
        "U" => then("Req", confirm()),
        "O" => then("U", pay(1)),
        "P" => then("O", approved(1)),
        "Xc" => then("P", ReservationCommand::Cancel),
        "Xp" => then("P", ReservationCommand::RequestPaymentCancellation),
        "Renting" => then("P", ReservationCommand::StartRental),
        "Renting+c" => then("Xc", ReservationCommand::StartRental),
        "Renting+p" => then("Xp", ReservationCommand::StartRental),
        "Completed" => then("Renting", ReservationCommand::CompleteRental),
        "Completed+c" => then("Renting+c", ReservationCommand::CompleteRental),
        "Completed+p" => then("Renting+p", ReservationCommand::CompleteRental),
        "Rejected" => then("Req", ReservationCommand::Reject { reason: "item-taken".into() }),
        "Cancelled" => then("U", ReservationCommand::Cancel),
        "Expired" => then("U", ReservationCommand::Expire { pay_by: minute(15) }),
        other => panic!("no such column: {other}"),
    }
}

fn column_of(reservation: &Reservation) -> &'static str {
    match reservation.stage() {
        ReservationStage::New => "–",
        ReservationStage::Requested => "Req",
        ReservationStage::Unpaid { .. } => "U",
        ReservationStage::PaymentOpen { .. } => "O",
        ReservationStage::Paid { .. } => "P",
        ReservationStage::CancellationPending { request: Cancelling::Reservation, .. } => "Xc",
        ReservationStage::CancellationPending { request: Cancelling::Payment, .. } => "Xp",
        ReservationStage::Renting { request: None, .. } => "Renting",
        ReservationStage::Renting { request: Some(Cancelling::Reservation), .. } => "Renting+c",
        ReservationStage::Renting { request: Some(Cancelling::Payment), .. } => "Renting+p",
        ReservationStage::Completed { request: None, .. } => "Completed",
        ReservationStage::Completed { request: Some(Cancelling::Reservation), .. } => "Completed+c",
        ReservationStage::Completed { request: Some(Cancelling::Payment), .. } => "Completed+p",
        ReservationStage::Rejected => "Rejected",
        ReservationStage::Cancelled => "Cancelled",
        ReservationStage::Expired => "Expired",
    }
}

#[test]
fn renter_may_send_every_renter_command_and_owner_may_cancel_a_confirmed_reservation() {
    let confirmed = after::<Reservation>(history("U"));
    permits::check(
        &confirmed,
        "
| | operator:local | process | renter:7 | renter:8 | owner:3 | owner:4 |
| Reserve | yes | yes | yes | no | no | no |
| CancelReservation | yes | yes | yes | no | yes | no |
| RequestPayment | yes | yes | yes | no | no | no |
| RequestPaymentCancellation | yes | yes | yes | no | no | no |
| ConfirmReservation | yes | yes | no | no | no | no |
| RejectReservation | yes | yes | no | no | no | no |
| RecordPaymentApproved(1) | yes | yes | no | no | no | no |
| RecordPaymentFailed(1) | yes | yes | no | no | no | no |
| RecordLendingRevoked | yes | yes | no | no | no | no |
| RecordRevocationRefused | yes | yes | no | no | no | no |
| StartRental | yes | yes | no | no | no | no |
| CompleteRental | yes | yes | no | no | no | no |
| ExpireReservation(first) | yes | yes | no | no | no | no |
",
        command,
    );
}

#[test]
fn owner_may_not_cancel_before_the_hold() {
    permits::check(
        &after::<Reservation>(history("Req")),
        "
| | operator:local | renter:7 | owner:3 |
| CancelReservation | yes | yes | no |
",
        command,
    );
}

#[test]
fn missing_aggregate_is_reported_to_every_actor() {
    let nothing = Reservation::default();
    assert!(!nothing.exists());
    assert!(after::<Reservation>(history("Req")).exists());
    permits::check(
        &nothing,
        "
| | operator:local | renter:7 | renter:8 | owner:3 |
| CancelReservation | yes | yes | yes | yes |
| RequestPayment | yes | yes | yes | yes |
",
        command,
    );
}

#[test]
fn price_is_per_day_of_a_period_and_charged_once_without_one() {
    let total = |period| {
        let reserved = after::<Reservation>([reserve(period), confirm()]);
        reserved.terms().unwrap().total_price.won()
    };
    assert_eq!(total(None), 100);
    assert_eq!(total(Some((1, 2))), 100);
    assert_eq!(total(Some((1, 8))), 700);
}

#[test]
fn amount_of_a_payment_is_the_total_of_the_hold() {
    let reserved = after::<Reservation>([reserve(Some((1, 4))), confirm()]);
    assert_eq!(
        reserved.decide(&pay(1)).unwrap(),
        [ReservationEvent::PaymentRequested {
            reservation_no: number(),
            item_no: item(),
            payment_no: payment(1),
            amount: Money::price(300).unwrap(),
        }]
    );
}

#[test]
fn cancellation_of_a_paid_reservation_names_the_attempt_to_refund() {
    let pending = after::<Reservation>(history("Xc"));
    assert_eq!(
        pending.decide(&revoked()).unwrap(),
        [ReservationEvent::Cancelled {
            reservation_no: number(),
            item_no: item(),
            payment_no: Some(payment(1)),
        }]
    );
    let unpaid = after::<Reservation>(history("U"));
    assert_eq!(
        unpaid.decide(&ReservationCommand::Cancel).unwrap(),
        [ReservationEvent::Cancelled {
            reservation_no: number(),
            item_no: item(),
            payment_no: None
        }]
    );
}

#[test]
fn cancelled_payment_restarts_the_time_to_pay_and_allows_a_new_attempt() {
    let mut history = history("Xp");
    history.push(revoked());
    let unpaid = after::<Reservation>(history.clone());
    assert_eq!(unpaid.stage(), ReservationStage::Unpaid { pay_by: minute(45) });
    history.push(pay(2));
    let open = after::<Reservation>(history);
    assert_eq!(open.stage(), ReservationStage::PaymentOpen { payment_no: payment(2) });
}

#[test]
fn failed_attempt_leaves_the_later_of_the_current_deadline_and_five_minutes() {
    let mut unpaid = after::<Reservation>(history("U"));
    for (no, at, pay_by) in [(1, 4, 15), (2, 14, 19), (3, 18, 23), (4, 22, 27), (5, 26, 30)] {
        let events = failed_at(&unpaid, no, at);
        assert_eq!(events.len(), 1, "attempt {no}");
        let paid = unpaid.decide(&pay(no)).unwrap();
        for event in paid.into_iter().chain(events) {
            unpaid.apply(event);
        }
        assert_eq!(
            unpaid.stage(),
            ReservationStage::Unpaid { pay_by: minute(pay_by) },
            "attempt {no}"
        );
    }
    assert_eq!(refusal(&unpaid, &ReservationCommand::Expire { pay_by: minute(27) }), "not-due");
    assert!(unpaid.decide(&ReservationCommand::Expire { pay_by: minute(30) }).is_ok());
}

#[test]
fn failing_card_expires_the_reservation_after_twice_the_time_to_pay() {
    let unpaid = after::<Reservation>(history("U"));
    let (reservation_no, item_no, payment_no) = (number(), item(), payment(1));
    let reason = "no-cover".to_owned();
    let pay_by = minute(30);
    assert_eq!(
        failed_at(&unpaid, 1, 30),
        [
            ReservationEvent::PaymentFailed { reservation_no, payment_no, reason, pay_by },
            ReservationEvent::Expired { reservation_no, item_no },
        ]
    );
}

#[test]
fn failure_after_a_cancelled_payment_leaves_its_deadline() {
    let mut history = history("Xp");
    history.push(revoked());
    let unpaid = after::<Reservation>(history);
    let [ReservationEvent::PaymentFailed { pay_by, .. }] = failed_at(&unpaid, 2, 44)[..] else {
        panic!("one event")
    };
    assert_eq!(pay_by, minute(45));
}

#[test]
fn late_payment_is_recorded_once_per_attempt() {
    let mut history = history("P");
    history.push(approved(2));
    let once = after::<Reservation>(history.clone());
    assert_eq!(
        once.stage(),
        ReservationStage::Paid { payment_no: payment(1) },
        "nothing else changes"
    );
    assert_eq!(once.decide(&approved(2)).unwrap(), []);
    history.push(approved(3));
    let twice = after::<Reservation>(history);
    assert_eq!(twice.decide(&approved(3)).unwrap(), []);
}

#[test]
fn refusal_after_the_lending_answers_the_open_request() {
    let refused = ReservationCommand::RecordRevocationRefused;
    let (reservation_no, item_no) = (number(), item());
    assert_eq!(
        after::<Reservation>(history("Renting+c")).decide(&refused).unwrap(),
        [ReservationEvent::CancellationRefused { reservation_no, item_no }]
    );
    assert_eq!(
        after::<Reservation>(history("Completed+p")).decide(&refused).unwrap(),
        [ReservationEvent::PaymentCancellationRefused { reservation_no, item_no }]
    );
}

#[test]
fn cqrs_test_framework_reaches_the_same_decisions() {
    TestFramework::<Reservation>::with(())
        .given(vec![requested()])
        .when(ReservationCommand::Cancel)
        .then_expect_events(vec![ReservationEvent::Cancelled {
            reservation_no: number(),
            item_no: item(),
            payment_no: None,
        }]);
    TestFramework::<Reservation>::with(())
        .given(vec![requested()])
        .when(pay(1))
        .then_expect_error(ReservationError::NotReserved);
    TestFramework::<Reservation>::with(())
        .given_no_previous_events()
        .when(reserve(None))
        .then_expect_events(vec![requested()]);
}

#[test]
fn state_survives_its_own_json() {
    for column in ["–", "U", "Xp", "Renting+c", "Cancelled"] {
        let state = after::<Reservation>(history(column));
        let json = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<Reservation>(&json).unwrap(), state);
    }
    assert_eq!(Reservation::TYPE, "reservation");
}

fn requested() -> ReservationEvent {
    ReservationEvent::Requested {
        reservation_no: number(),
        item_no: item(),
        renter_id: PersonId::new(7).unwrap(),
        period: None,
        asked_on: day(1),
    }
}

fn reserve(period: Option<(u32, u32)>) -> ReservationCommand {
    ReservationCommand::Reserve {
        reservation_no: number(),
        item_no: item(),
        renter_id: PersonId::new(7).unwrap(),
        period: period.map(|(from, to)| RentalPeriod::new(day(from), day(to)).unwrap()),
        asked_on: day(1),
    }
}

fn confirm() -> ReservationCommand {
    ReservationCommand::Confirm {
        owner_id: Some(PersonId::new(3).unwrap()),
        item_name: "drill".into(),
        item_price: Money::price(100).unwrap(),
        pay_by: minute(15),
    }
}

fn pay(no: i64) -> ReservationCommand {
    ReservationCommand::RequestPayment { payment_no: payment(no) }
}

fn approved(no: i64) -> ReservationCommand {
    ReservationCommand::RecordPaymentApproved { payment_no: payment(no) }
}

fn failed(no: i64) -> ReservationCommand {
    ReservationCommand::RecordPaymentFailed {
        payment_no: payment(no),
        reason: "no-cover".into(),
        failed_at: minute(1),
        pay_within: Duration::from_mins(15),
    }
}

/// The events of an attempt that failed at minute `at`, of a reservation of minute 0 with `payBy` at minute 15.
fn failed_at(reservation: &Reservation, no: i64, at: u32) -> Vec<ReservationEvent> {
    let mut open = reservation.clone();
    for event in open.decide(&pay(no)).unwrap() {
        open.apply(event);
    }
    let failed = ReservationCommand::RecordPaymentFailed {
        payment_no: payment(no),
        reason: "no-cover".into(),
        failed_at: minute(at),
        pay_within: Duration::from_mins(15),
    };
    open.decide(&failed).unwrap()
}

fn revoked() -> ReservationCommand {
    ReservationCommand::RecordLendingRevoked { pay_by: minute(45) }
}

fn number() -> ReservationNo {
    ReservationNo::new(5).unwrap()
}

fn item() -> ItemNo {
    ItemNo::new(1).unwrap()
}

fn payment(no: i64) -> PaymentNo {
    PaymentNo::new(no).unwrap()
}

fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2027, 1, day).unwrap()
}

fn minute(minute: u32) -> DateTime<Utc> {
    day(1).and_hms_opt(12, minute, 0).unwrap().and_utc()
}

/// Every other refusal is remembered under a client's key, so that a repeated request gets the same answer.
#[test]
fn only_refusals_that_resolve_without_the_caller_are_transient() {
    let all = [
        ReservationError::NotFound,
        ReservationError::Closed,
        ReservationError::AlreadyReserved,
        ReservationError::PaymentPending,
        ReservationError::CancellationPending,
        ReservationError::AlreadyLent,
        ReservationError::NotReserved,
        ReservationError::NotPaid,
        ReservationError::NotDue,
        ReservationError::Paid,
        ReservationError::OutOfOrder,
    ];
    let transient: Vec<_> =
        all.iter().filter(|refusal| refusal.is_transient()).map(Refusal::code).collect();
    assert_eq!(transient, ["payment-pending", "cancellation-pending", "not-reserved"]);
}
