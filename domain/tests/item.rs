//! The item's table of states × commands. The rules about days are tested in `item/calendar.rs`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

#[path = "item/calendar.rs"]
mod calendar;
#[path = "item/commands.rs"]
mod commands;
#[path = "support/permits.rs"]
mod permits;
#[path = "support/table.rs"]
mod table;

use chrono::NaiveDate;
use commands::{
    abandon, authorize, block, change, delete, hold, item_no, lend, owner, period, register,
    release, reservation, return_item, revoke, unblock,
};
use cqrs_es::Aggregate;
use cqrs_es::test::TestFramework;
use gdmarket_domain::item::Listing;
use gdmarket_domain::{Decider, Item, ItemCommand, ItemError, ItemEvent, Money, Refusal};
use table::after;

/// The states are columns, seen from reservation 1, which requests days that reservation 2 may have. They
/// include the unregistered number, the abandoned one, and the owner's block on these days.
const TABLE: &str = "
| | – | abandoned | free | blocked | held by another | rented by another | held | authorised | rented | returned | deleted | writes |
| RegisterItem | → free | registration-abandoned | = | = | = | = | = | = | = | = | = | ItemRegistered |
| ChangeItem | item-not-found | item-not-found | ItemChanged | ItemChanged | ItemChanged | ItemChanged | ItemChanged | ItemChanged | ItemChanged | ItemChanged | item-not-found | ItemChanged |
| DeleteItem | item-not-found | item-not-found | → deleted | → deleted | item-in-use | item-in-use | item-in-use | item-in-use | item-in-use | → deleted | = | ItemDeleted |
| BlockPeriod | item-not-found | item-not-found | → blocked | = | item-taken | item-taken | item-taken | item-taken | item-taken | → blocked | item-not-found | PeriodBlocked |
| UnblockPeriod | item-not-found | item-not-found | = | → free | = | = | = | = | = | = | item-not-found | PeriodUnblocked |
| HoldItem | item-unknown | item-unknown | → held | item-blocked | item-taken | item-taken | = | = | = | → held | item-gone | ItemHeld |
| ReleaseItem | = | = | = | = | = | = | → free | → free | = | = | = | ItemReleased |
| AuthorizeLending | no-hold | no-hold | no-hold | no-hold | no-hold | no-hold | → authorised | = | no-hold | no-hold | no-hold | LendingAuthorized |
| RevokeLending | park | park | LendingRevocationRefused | LendingRevocationRefused | LendingRevocationRefused | LendingRevocationRefused | LendingRevoked | → held | LendingRevocationRefused | LendingRevocationRefused | LendingRevocationRefused | LendingRevoked LendingRevocationRefused |
| LendItem | item-not-found | item-not-found | not-reserved | not-reserved | not-reserved | not-reserved | not-paid | → rented | = | not-reserved | item-not-found | ItemRented |
| ReturnItem | item-not-found | item-not-found | not-renting | not-renting | not-renting | not-renting | not-renting | not-renting | → returned | = | item-not-found | ItemReturned |
| AbandonRegistration | → abandoned | = | = | = | = | = | = | = | = | = | = | RegistrationAbandoned |
";

#[test]
fn every_state_answers_every_command_as_in_the_table() {
    table::check(TABLE, |column| after(history(column)), command, column_of);
}

fn command(row: &str) -> ItemCommand {
    match row {
        "RegisterItem" => register(),
        "ChangeItem" => change(Some("saw"), Some(200)),
        "DeleteItem" => delete(),
        "BlockPeriod" => block(10, 13),
        "UnblockPeriod" => unblock(10, 13),
        "HoldItem" => hold(1, Some((10, 13))),
        "ReleaseItem" => release(1),
        "AuthorizeLending" => authorize(1),
        "RevokeLending" => revoke(1),
        "LendItem" => lend(Some(1), 10),
        "ReturnItem" => return_item(Some(1)),
        "AbandonRegistration" => abandon(),
        other => panic!("no such row: {other}"),
    }
}

fn history(column: &str) -> Vec<ItemCommand> {
    let lent = |r| vec![register(), hold(r, Some((10, 13))), authorize(r), lend(Some(r), 10)];
    match column {
        "–" => vec![],
        "abandoned" => vec![abandon()],
        "free" => vec![register()],
        "blocked" => vec![register(), block(10, 13)],
        "held by another" => vec![register(), hold(2, Some((12, 15)))],
        "rented by another" => lent(2),
        "held" => vec![register(), hold(1, Some((10, 13)))],
        "authorised" => vec![register(), hold(1, Some((10, 13))), authorize(1)],
        "rented" => lent(1),
        "returned" => [lent(1), vec![return_item(None)]].concat(),
        "deleted" => vec![register(), delete()],
        other => panic!("no such column: {other}"),
    }
}

fn column_of(item: &Item) -> &'static str {
    let mine = reservation(1);
    match item.listing() {
        None => return "–",
        Some(Listing::Abandoned) => return "abandoned",
        Some(Listing::Deleted { .. }) => return "deleted",
        Some(Listing::Registered { .. }) => {}
    }
    match (item.hold_of(mine), item.holds(), item.rental()) {
        (Some(hold), _, _) if hold.authorized => "authorised",
        (Some(_), _, _) => "held",
        (None, [_, ..], _) => "held by another",
        (None, [], Some(_)) if item.is_rented_by(mine) => "rented",
        (None, [], Some(_)) => "rented by another",
        (None, [], None) if !item.blocks().is_empty() => "blocked",
        (None, [], None) if item.was_returned_last_by(mine) => "returned",
        (None, [], None) => "free",
    }
}

#[test]
fn owner_commands_are_permitted_to_the_owner_and_the_operator_only() {
    permits::check(
        &after::<Item>(history("authorised")),
        "
| | operator:local | process | owner:3 | owner:4 | renter:3 |
| RegisterItem | yes | yes | yes | yes | yes |
| ChangeItem | yes | yes | yes | no | no |
| DeleteItem | yes | yes | yes | no | no |
| BlockPeriod | yes | yes | yes | no | no |
| UnblockPeriod | yes | yes | yes | no | no |
| LendItem | yes | yes | yes | no | no |
| ReturnItem | yes | yes | yes | no | no |
| HoldItem | yes | yes | no | no | no |
| ReleaseItem | yes | yes | no | no | no |
| AuthorizeLending | yes | yes | no | no | no |
| RevokeLending | yes | yes | no | no | no |
| AbandonRegistration | yes | yes | no | no | no |
",
        command,
    );
}

#[test]
fn deleted_item_keeps_its_owner() {
    permits::check(
        &after::<Item>(history("deleted")),
        "
| | operator:local | owner:3 | owner:4 |
| DeleteItem | yes | yes | no |
",
        command,
    );
}

#[test]
fn missing_aggregate_is_reported_to_every_actor() {
    assert!(!Item::default().exists());
    assert!(after::<Item>([abandon()]).exists());
    permits::check(
        &Item::default(),
        "
| | operator:local | owner:3 | renter:3 |
| LendItem | yes | yes | yes |
| HoldItem | yes | no | no |
",
        command,
    );
}

#[test]
fn change_records_name_and_price_and_keeps_an_absent_one() {
    let item = after::<Item>([register()]);
    let changed = |name: &str, price| {
        vec![ItemEvent::Changed {
            item_no: item_no(),
            item_name: name.into(),
            item_price: Money::price(price).unwrap(),
        }]
    };
    assert_eq!(item.decide(&change(Some("saw"), None)).unwrap(), changed("saw", 100));
    assert_eq!(item.decide(&change(None, Some(200))).unwrap(), changed("drill", 200));
    assert_eq!(item.decide(&change(Some("drill"), Some(100))).unwrap(), []);
    assert_eq!(item.decide(&change(None, None)).unwrap(), []);
    let item = after::<Item>([register(), change(Some("saw"), None)]);
    assert_eq!(item.owner_id(), Some(owner()), "the owner stays");
}

#[test]
fn cqrs_test_framework_reaches_the_same_decisions() {
    TestFramework::<Item>::with(())
        .given_no_previous_events()
        .when(register())
        .then_expect_events(vec![registered()]);
    TestFramework::<Item>::with(()).given(vec![registered()]).when(block(1, 3)).then_expect_events(
        vec![ItemEvent::PeriodBlocked { item_no: item_no(), period: period(1, 3) }],
    );
    TestFramework::<Item>::with(())
        .given(vec![registered()])
        .when(authorize(1))
        .then_expect_error(ItemError::NoHold);
}

#[test]
fn state_survives_its_own_json() {
    for column in ["–", "abandoned", "blocked", "authorised", "rented", "returned", "deleted"] {
        let state = after::<Item>(history(column));
        let json = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<Item>(&json).unwrap(), state);
    }
    assert_eq!(Item::TYPE, "item");
}

fn registered() -> ItemEvent {
    ItemEvent::Registered {
        item_no: item_no(),
        owner_id: Some(owner()),
        item_name: "drill".into(),
        item_price: Money::price(100).unwrap(),
    }
}

/// Every other refusal is remembered under a client's key, so that a repeated request gets the same answer.
#[test]
fn only_refusals_that_resolve_without_the_caller_are_transient() {
    let all = [
        ItemError::NotFound,
        ItemError::Unknown,
        ItemError::Gone,
        ItemError::Taken,
        ItemError::Blocked,
        ItemError::OwnItem,
        ItemError::NoHold,
        ItemError::NotReserved,
        ItemError::NotPaid,
        ItemError::TooEarly { from: NaiveDate::MIN },
        ItemError::PeriodOver { to: NaiveDate::MIN },
        ItemError::StillRented,
        ItemError::NotRenting,
        ItemError::WhichReservation,
        ItemError::InUse,
        ItemError::RegistrationAbandoned,
        ItemError::TooManyBlocks,
        ItemError::OutOfOrder,
    ];
    let transient: Vec<_> =
        all.iter().filter(|refusal| refusal.is_transient()).map(Refusal::code).collect();
    assert_eq!(transient, ["not-paid", "too-early", "still-rented"]);
}
