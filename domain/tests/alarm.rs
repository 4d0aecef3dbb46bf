//! The alarm of an item, and the refused hold, which are the two smallest aggregates.
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
use gdmarket_domain::{
    Alarm, AlarmCommand, AlarmError, AlarmEvent, Decider, Hold, HoldCommand, HoldEvent, ItemNo,
    ReservationNo,
};
use table::{after, refusal};

const TABLE: &str = "
| | Silent | Alerted | DeleteAlerted | Withdrawn | writes |
| RaiseRegistrationAlarm | → Alerted | = | = | registration-abandoned | Alerted |
| RaiseDeletionAlarm | park | → DeleteAlerted | = | park | DeleteAlerted |
| WithdrawAlarm | park | → Withdrawn | park | = | AlarmWithdrawn |
";

#[test]
fn every_state_of_an_alarm_answers_every_command() {
    table::check(TABLE, |column| after(history(column)), command, |alarm| column_of(*alarm));
}

fn command(row: &str) -> AlarmCommand {
    let item_no = item_no();
    match row {
        "RaiseRegistrationAlarm" => AlarmCommand::RaiseRegistration { item_no },
        "RaiseDeletionAlarm" => AlarmCommand::RaiseDeletion { item_no },
        "WithdrawAlarm" => AlarmCommand::Withdraw { item_no },
        other => panic!("no such row: {other}"),
    }
}

fn history(column: &str) -> Vec<AlarmCommand> {
    let rows: &[&str] = match column {
        "Silent" => &[],
        "Alerted" => &["RaiseRegistrationAlarm"],
        "DeleteAlerted" => &["RaiseRegistrationAlarm", "RaiseDeletionAlarm"],
        "Withdrawn" => &["RaiseRegistrationAlarm", "WithdrawAlarm"],
        other => panic!("no such column: {other}"),
    };
    rows.iter().map(|row| command(row)).collect()
}

fn column_of(alarm: Alarm) -> &'static str {
    match alarm {
        Alarm::Silent => "Silent",
        Alarm::Alerted => "Alerted",
        Alarm::DeleteAlerted => "DeleteAlerted",
        Alarm::Withdrawn => "Withdrawn",
    }
}

#[test]
fn registration_alarm_is_permitted_to_all_and_the_rest_to_the_saga() {
    permits::check(
        &after::<Alarm>(history("Alerted")),
        "
| | operator:local | process | renter:7 | owner:3 |
| RaiseRegistrationAlarm | yes | yes | yes | yes |
| RaiseDeletionAlarm | yes | yes | no | no |
| WithdrawAlarm | yes | yes | no | no |
",
        command,
    );
}

#[test]
fn cqrs_test_framework_reaches_the_same_decisions() {
    let item_no = item_no();
    TestFramework::<Alarm>::with(())
        .given(vec![AlarmEvent::Alerted { item_no }])
        .when(AlarmCommand::RaiseDeletion { item_no })
        .then_expect_events(vec![AlarmEvent::DeleteAlerted { item_no }]);
    TestFramework::<Alarm>::with(())
        .given(vec![AlarmEvent::Alerted { item_no }, AlarmEvent::Withdrawn { item_no }])
        .when(AlarmCommand::RaiseRegistration { item_no })
        .then_expect_error(AlarmError::RegistrationAbandoned);
    assert_eq!(Alarm::TYPE, "alarm");
    assert!(!Alarm::default().exists());
    assert_eq!(refusal(&Alarm::default(), &AlarmCommand::Withdraw { item_no }), "impossible");
}

#[test]
fn hold_is_refused_once_and_the_first_reason_is_kept() {
    let refuse = |reason: &str| HoldCommand::Refuse {
        reservation_no: ReservationNo::new(5).unwrap(),
        item_no: item_no(),
        reason: reason.into(),
    };
    TestFramework::<Hold>::with(())
        .given_no_previous_events()
        .when(refuse("item-taken"))
        .then_expect_events(vec![HoldEvent::Refused {
            reservation_no: ReservationNo::new(5).unwrap(),
            item_no: item_no(),
            reason: "item-taken".into(),
        }]);
    let refused = after::<Hold>([refuse("item-taken")]);
    assert_eq!(refused.decide(&refuse("item-gone")).unwrap(), []);
    assert_eq!(refused.reason(), Some("item-taken"));
    assert!(refused.exists() && !Hold::default().exists());
    assert!(refused.permits(&"operator:local".parse().unwrap(), &refuse("item-gone")));
    assert!(!refused.permits(&"renter:7".parse().unwrap(), &refuse("item-gone")));
    assert_eq!(Hold::TYPE, "hold");
}

fn item_no() -> ItemNo {
    ItemNo::new(1).unwrap()
}
