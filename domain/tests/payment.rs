//! The payment attempt's table of states × commands.
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

use cqrs_es::Aggregate;
use cqrs_es::test::TestFramework;
use gdmarket_domain::payment::AttemptProgress;
use gdmarket_domain::{
    Decider, ItemNo, Money, Payment, PaymentCommand, PaymentError, PaymentEvent, PaymentNo,
    ReservationNo,
};
use table::{after, refusal};

const TABLE: &str = "
| | – | Pending | Unknown | Approved | Declined | Cancelling | RefundRefused | Cancelled | writes |
| StartPayment | → Pending | = | = | = | = | = | = | = | PaymentStarted |
| RecordApproved | park | → Approved | → Approved | = | → Approved | = | = | = | PaymentApproved |
| RecordDeclined | park | → Declined | → Declined | = | = | = | = | = | PaymentDeclined |
| RecordUnknown | park | → Unknown | = | = | = | = | = | = | PaymentOutcomeUnknown |
| CancelPayment | park | park | park | → Cancelling | park | = | = | = | PaymentCancellationStarted |
| RecordRefundRefused | park | park | park | park | park | → RefundRefused | = | = | PaymentRefundRefused |
| RecordCancelled | park | park | park | park | park | → Cancelled | → Cancelled | = | PaymentCancelled |
";

#[test]
fn every_state_answers_every_command_as_in_the_table() {
    table::check(TABLE, |column| after(history(column)), command, column_of);
}

fn command(row: &str) -> PaymentCommand {
    match row {
        "StartPayment" => start(),
        "RecordApproved" => PaymentCommand::RecordApproved,
        "RecordDeclined" => PaymentCommand::RecordDeclined { reason: "no-cover".into() },
        "RecordUnknown" => PaymentCommand::RecordUnknown,
        "CancelPayment" => PaymentCommand::Cancel,
        "RecordRefundRefused" => {
            PaymentCommand::RecordRefundRefused { reason: "account-closed".into() }
        }
        "RecordCancelled" => PaymentCommand::RecordCancelled,
        other => panic!("no such row: {other}"),
    }
}

fn history(column: &str) -> Vec<PaymentCommand> {
    let rows: &[&str] = match column {
        "–" => &[],
        "Pending" => &["StartPayment"],
        "Unknown" => &["StartPayment", "RecordUnknown"],
        "Approved" => &["StartPayment", "RecordApproved"],
        "Declined" => &["StartPayment", "RecordDeclined"],
        "Cancelling" => &["StartPayment", "RecordApproved", "CancelPayment"],
        "RefundRefused" => {
            &["StartPayment", "RecordApproved", "CancelPayment", "RecordRefundRefused"]
        }
        "Cancelled" => &["StartPayment", "RecordApproved", "CancelPayment", "RecordCancelled"],
        other => panic!("no such column: {other}"),
    };
    rows.iter().map(|row| command(row)).collect()
}

fn column_of(payment: &Payment) -> &'static str {
    match payment.progress() {
        None => "–",
        Some(AttemptProgress::Pending) => "Pending",
        Some(AttemptProgress::Unknown) => "Unknown",
        Some(AttemptProgress::Approved) => "Approved",
        Some(AttemptProgress::Declined) => "Declined",
        Some(AttemptProgress::Cancelling) => "Cancelling",
        Some(AttemptProgress::RefundRefused) => "RefundRefused",
        Some(AttemptProgress::Cancelled) => "Cancelled",
    }
}

#[test]
fn decline_after_an_approval_changes_nothing_and_alerts_the_operator() {
    let declined = command("RecordDeclined");
    for (column, contradicts) in [
        ("–", false),
        ("Pending", false),
        ("Unknown", false),
        ("Approved", true),
        ("Declined", false),
        ("Cancelling", true),
        ("RefundRefused", true),
        ("Cancelled", true),
    ] {
        let payment = after::<Payment>(history(column));
        assert_eq!(payment.contradicts(&declined), contradicts, "{column}");
        assert!(!payment.contradicts(&PaymentCommand::RecordApproved), "{column}");
    }
}

#[test]
fn approval_after_a_decline_is_recorded_because_the_charge_took_effect() {
    let mut history = history("Declined");
    history.push(PaymentCommand::RecordApproved);
    let payment = after::<Payment>(history);
    assert_eq!(payment.progress(), Some(AttemptProgress::Approved));
}

#[test]
fn outcomes_are_recorded_only_by_the_market_itself() {
    permits::check(
        &after::<Payment>(history("Approved")),
        "
| | operator:local | process | renter:7 | owner:3 |
| StartPayment | yes | yes | yes | yes |
| RecordApproved | yes | yes | no | no |
| RecordDeclined | yes | yes | no | no |
| RecordUnknown | yes | yes | no | no |
| CancelPayment | yes | yes | no | no |
| RecordRefundRefused | yes | yes | no | no |
| RecordCancelled | yes | yes | no | no |
",
        command,
    );
}

#[test]
fn cqrs_test_framework_reaches_the_same_decisions() {
    let (payment_no, reservation_no) = (payment_no(), reservation_no());
    TestFramework::<Payment>::with(())
        .given(vec![started()])
        .when(PaymentCommand::RecordApproved)
        .then_expect_events(vec![PaymentEvent::Approved { payment_no, reservation_no }]);
    TestFramework::<Payment>::with(())
        .given(vec![started()])
        .when(PaymentCommand::Cancel)
        .then_expect_error(PaymentError::OutOfOrder);
}

#[test]
fn attempt_remembers_the_amount_to_charge() {
    let payment = after::<Payment>(history("Pending"));
    let attempt = payment.attempt().unwrap();
    assert_eq!((attempt.payment_no, attempt.reservation_no), (payment_no(), reservation_no()));
    assert_eq!(attempt.amount.won(), 300);
    assert_eq!(refusal(&Payment::default(), &PaymentCommand::RecordApproved), "impossible");
    assert!(payment.exists() && !Payment::default().exists());
    let json = serde_json::to_string(&payment).unwrap();
    assert_eq!(serde_json::from_str::<Payment>(&json).unwrap(), payment);
    assert_eq!(Payment::TYPE, "payment");
}

fn started() -> PaymentEvent {
    PaymentEvent::Started {
        payment_no: payment_no(),
        reservation_no: reservation_no(),
        item_no: ItemNo::new(1).unwrap(),
        amount: Money::price(300).unwrap(),
    }
}

fn start() -> PaymentCommand {
    PaymentCommand::Start {
        payment_no: payment_no(),
        reservation_no: reservation_no(),
        item_no: ItemNo::new(1).unwrap(),
        amount: Money::price(300).unwrap(),
    }
}

fn payment_no() -> PaymentNo {
    PaymentNo::new(9).unwrap()
}

fn reservation_no() -> ReservationNo {
    ReservationNo::new(5).unwrap()
}
