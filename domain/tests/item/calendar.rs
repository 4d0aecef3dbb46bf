//! The calendar of one item: periods, open ends, blocks, several holds, and the order of lending.

use crate::commands::{
    abandon, authorize, block, change, day, delete, hold, hold_for, hold_requested_on, item_no,
    lend, owner, period, register, release, reservation, return_item, unblock,
};
use crate::table::{after, refusal};
use chrono::Days;
use cqrs_es::Aggregate;
use gdmarket_domain::item::MAX_BLOCKS;
use gdmarket_domain::{
    Decider, Item, ItemCommand, ItemError, ItemEvent, Money, PersonId, RentalPeriod, Span,
};

#[test]
fn adjacent_periods_meet_on_the_day_of_return() {
    let item = after::<Item>([register(), hold(1, Some((10, 13)))]);
    for days in [(5, 10), (13, 15)] {
        assert!(!item.decide(&hold(2, Some(days))).unwrap().is_empty(), "{days:?}");
    }
    for days in [(5, 11), (12, 15), (11, 12), (5, 20), (10, 13)] {
        assert_eq!(refusal(&item, &hold(2, Some(days))), "item-taken", "{days:?}");
    }
}

#[test]
fn hold_without_a_period_lasts_from_the_day_of_the_request_until_the_return() {
    let item = after::<Item>([register(), hold_requested_on(10, 1, None)]);
    assert_eq!(item.holds()[0].span, Span { from: day(10), to: None });
    assert!(item.decide(&hold(2, Some((5, 10)))).is_ok(), "the days before are free");
    assert_eq!(refusal(&item, &hold(2, Some((10, 11)))), "item-taken");
    assert_eq!(refusal(&item, &hold(2, Some((30, 31)))), "item-taken");
    assert_eq!(refusal(&item, &hold_requested_on(1, 2, None)), "item-taken");
}

#[test]
fn open_end_is_refused_while_a_later_hold_or_block_exists() {
    let held = after::<Item>([register(), hold(1, Some((20, 22)))]);
    assert_eq!(refusal(&held, &hold_requested_on(10, 2, None)), "item-taken");
    assert!(held.decide(&hold_requested_on(22, 2, None)).is_ok());
    let blocked = after::<Item>([register(), block(20, 22)]);
    assert_eq!(refusal(&blocked, &hold_requested_on(10, 2, None)), "item-blocked");
}

#[test]
fn rental_keeps_its_days_until_the_return() {
    let lent = [register(), hold_requested_on(1, 1, None), authorize(1), lend(None, 1)];
    let item = after::<Item>(lent.clone());
    assert_eq!(refusal(&item, &hold(2, Some((20, 22)))), "item-taken");
    assert_eq!(refusal(&item, &block(20, 22)), "item-taken");
    let back = after::<Item>(lent.into_iter().chain([return_item(None)]));
    assert!(back.decide(&hold(2, Some((1, 3)))).is_ok());
    assert!(back.holds().is_empty() && back.rental().is_none());
}

#[test]
fn hold_keeps_the_name_and_price_at_its_time() {
    let item = after::<Item>([register(), change(Some("saw"), Some(200))]);
    let held = ItemEvent::Held {
        item_no: item_no(),
        reservation_no: reservation(1),
        renter_id: PersonId::new(7).unwrap(),
        owner_id: Some(owner()),
        period: Some(period(10, 13)),
        from: day(10),
        item_name: "saw".into(),
        item_price: Money::price(200).unwrap(),
    };
    assert_eq!(item.decide(&hold(1, Some((10, 13)))).unwrap(), [held]);
}

#[test]
fn cancellation_never_frees_the_days_of_another_hold() {
    let item =
        after::<Item>([register(), hold(1, Some((10, 13))), hold(2, Some((13, 15))), release(1)]);
    assert_eq!(item.holds().len(), 1);
    assert!(item.hold_of(reservation(2)).is_some());
    assert_eq!(item.decide(&release(1)).unwrap(), []);
    let item = after::<Item>([
        register(),
        hold(1, Some((10, 13))),
        hold(2, Some((13, 15))),
        authorize(2),
        release(2),
    ]);
    assert_eq!(item.holds().len(), 1);
    assert!(item.hold_of(reservation(1)).is_some_and(|hold| !hold.authorized));
}

#[test]
fn lending_one_of_several_holds_requires_its_number() {
    let item =
        after::<Item>([register(), hold(1, Some((10, 13))), hold(2, Some((13, 15))), authorize(1)]);
    assert_eq!(refusal(&item, &lend(None, 10)), "which-reservation");
    assert_eq!(refusal(&item, &lend(Some(2), 13)), "not-paid");
    assert!(item.decide(&lend(Some(1), 10)).is_ok());
}

#[test]
fn lending_and_return_without_a_number_apply_to_the_only_hold_and_rental() {
    let held = [register(), hold(1, Some((10, 13))), authorize(1)];
    let item = after::<Item>(held.clone());
    let rented = ItemEvent::Rented { item_no: item_no(), reservation_no: reservation(1) };
    assert_eq!(item.decide(&lend(None, 10)).unwrap(), [rented]);
    let lent = after::<Item>(held.into_iter().chain([lend(None, 10)]));
    let returned = ItemEvent::Returned { item_no: item_no(), reservation_no: reservation(1) };
    assert_eq!(lent.decide(&return_item(None)).unwrap(), [returned]);
    assert_eq!(refusal(&lent, &lend(None, 10)), "not-reserved");
    assert_eq!(refusal(&item, &return_item(None)), "not-renting");
    let free = after::<Item>([register()]);
    assert_eq!(refusal(&free, &lend(None, 10)), "not-reserved");
    assert_eq!(refusal(&free, &return_item(None)), "not-renting");
}

#[test]
fn lending_before_the_first_day_is_refused() {
    let item = after::<Item>([register(), hold(1, Some((10, 13))), authorize(1)]);
    let early = item.decide(&lend(None, 9)).unwrap_err();
    assert_eq!(early, ItemError::TooEarly { from: day(10) });
    assert_eq!(refusal(&item, &lend(None, 9)), "too-early");
    assert!(early.to_string().contains("2027-01-10"), "the message names the day: {early}");
    assert!(item.decide(&lend(None, 12)).is_ok());
}

#[test]
fn lending_is_refused_until_the_previous_renter_has_returned_the_item() {
    let lent = [
        register(),
        hold(1, Some((10, 13))),
        hold(2, Some((13, 15))),
        authorize(1),
        authorize(2),
        lend(Some(1), 10),
    ];
    let overdue = after::<Item>(lent.clone());
    assert_eq!(refusal(&overdue, &lend(Some(2), 13)), "still-rented");
    assert_eq!(refusal(&overdue, &return_item(Some(2))), "not-renting");
    let back = after::<Item>(lent.into_iter().chain([return_item(Some(1))]));
    assert!(back.decide(&lend(Some(2), 13)).is_ok());
}

#[test]
fn repeated_return_by_the_last_reservation_changes_nothing() {
    let twice = [
        register(),
        hold(1, Some((10, 13))),
        authorize(1),
        lend(None, 10),
        return_item(None),
        hold(2, Some((11, 12))),
        authorize(2),
        lend(None, 11),
    ];
    let item = after::<Item>(twice.clone());
    assert_eq!(item.decide(&return_item(Some(1))).unwrap(), []);
    let later = after::<Item>(twice.into_iter().chain([return_item(None)]));
    assert_eq!(later.decide(&return_item(Some(2))).unwrap(), []);
    assert_eq!(refusal(&later, &return_item(Some(1))), "not-renting", "only the last is kept");
}

#[test]
fn block_adds_only_free_days() {
    let item = after::<Item>([register(), block(10, 13), block(15, 18)]);
    assert_eq!(item.decide(&block(10, 13)).unwrap(), []);
    assert_eq!(item.decide(&block(11, 12)).unwrap(), []);
    assert_eq!(item.decide(&block(8, 20)).unwrap(), blocked(&[(8, 10), (13, 15), (18, 20)]));
    assert_eq!(item.decide(&block(13, 15)).unwrap(), blocked(&[(13, 15)]));
}

#[test]
fn unblocking_frees_exactly_the_named_days() {
    let item = after::<Item>([register(), block(10, 20), block(22, 24)]);
    let middle = item.decide(&unblock(13, 15)).unwrap();
    assert_eq!(middle[0], unblocked(10, 20));
    assert_eq!(middle[1..], blocked(&[(10, 13), (15, 20)]));
    assert_eq!(item.decide(&unblock(20, 22)).unwrap(), [], "these were free");
    let both = item.decide(&unblock(18, 23)).unwrap();
    assert_eq!(both[0], unblocked(10, 20));
    assert_eq!(both[1..2], blocked(&[(10, 18)]));
    assert_eq!(both[2], unblocked(22, 24));
    assert_eq!(both[3..], blocked(&[(23, 24)]));
    let item = after::<Item>([register(), block(10, 20), unblock(13, 15)]);
    assert!(item.decide(&hold(1, Some((13, 15)))).is_ok());
    assert_eq!(refusal(&item, &hold(1, Some((12, 15)))), "item-blocked");
    assert_eq!(refusal(&item, &hold(1, Some((14, 16)))), "item-blocked");
}

#[test]
fn taken_days_cannot_be_blocked_and_blocks_do_not_prevent_deletion() {
    let item = after::<Item>([register(), hold(1, Some((10, 13)))]);
    assert_eq!(refusal(&item, &block(12, 14)), "item-taken");
    assert_eq!(item.decide(&block(13, 14)).unwrap(), blocked(&[(13, 14)]));
    let blocked = after::<Item>([register(), block(10, 13)]);
    assert_eq!(blocked.decide(&delete()).unwrap(), [ItemEvent::Deleted { item_no: item_no() }]);
}

#[test]
fn number_of_blocks_is_limited() {
    let mut item = after::<Item>([register()]);
    let mut from = day(1);
    for _ in 0..MAX_BLOCKS {
        let next = from.checked_add_days(Days::new(1)).unwrap();
        let command = ItemCommand::BlockPeriod { period: RentalPeriod::new(from, next).unwrap() };
        for event in item.decide(&command).unwrap() {
            item.apply(event);
        }
        from = next.checked_add_days(Days::new(1)).unwrap();
    }
    let next = from.checked_add_days(Days::new(1)).unwrap();
    let one_more = ItemCommand::BlockPeriod { period: RentalPeriod::new(from, next).unwrap() };
    assert_eq!(refusal(&item, &one_more), "too-many-blocks");
}

#[test]
fn unregistered_item_is_never_held() {
    assert_eq!(refusal(&Item::default(), &hold(1, None)), "item-unknown");
    assert_eq!(refusal(&after::<Item>([abandon()]), &hold(1, None)), "item-unknown");
    assert_eq!(refusal(&after::<Item>([register(), delete()]), &hold(1, None)), "item-gone");
}

fn blocked(periods: &[(u32, u32)]) -> Vec<ItemEvent> {
    periods
        .iter()
        .map(|(from, to)| ItemEvent::PeriodBlocked {
            item_no: item_no(),
            period: period(*from, *to),
        })
        .collect()
}

fn unblocked(from: u32, to: u32) -> ItemEvent {
    ItemEvent::PeriodUnblocked { item_no: item_no(), period: period(from, to) }
}

#[test]
fn overdue_rental_takes_today_whatever_its_period() {
    let lent = [register(), hold(1, Some((10, 12))), authorize(1), lend(None, 10)];
    let item = after::<Item>(lent.clone());
    // During the period and on the day of return, two days later, and long after.
    for (today, taken) in [(10, 12), (12, 13), (14, 15), (20, 21)] {
        for days in [Some((today, today + 1)), Some((today, today + 5)), None] {
            let request = hold_requested_on(today, 2, days);
            assert_eq!(refusal(&item, &request), "item-taken", "{request:?}");
        }
        let later = hold_requested_on(today, 2, Some((taken, taken + 1)));
        assert_eq!(item.decide(&later).unwrap().len(), 1, "{later:?}");
    }
    let back = after::<Item>(lent.into_iter().chain([return_item(None)]));
    assert_eq!(back.decide(&hold_requested_on(14, 2, None)).unwrap().len(), 1);
}

#[test]
fn lending_after_the_last_day_is_refused() {
    let item = after::<Item>([register(), hold(1, Some((10, 13))), authorize(1)]);
    assert!(item.decide(&lend(None, 12)).is_ok());
    for today in [13, 14, 30] {
        let over = item.decide(&lend(None, today)).unwrap_err();
        assert_eq!(over, ItemError::PeriodOver { to: day(13) }, "{today}");
    }
    let open = after::<Item>([register(), hold_requested_on(1, 1, None), authorize(1)]);
    assert!(open.decide(&lend(None, 31)).is_ok(), "an open end has no last day");
    let unpaid = after::<Item>([register(), hold(1, Some((10, 13)))]);
    assert_eq!(refusal(&unpaid, &lend(None, 14)), "not-paid");
}

#[test]
fn owner_cannot_rent_their_own_item() {
    let item = after::<Item>([register()]);
    let own = owner().get();
    assert_eq!(refusal(&item, &hold_for(own, 1, 1, Some((10, 13)))), "own-item");
    let held = after::<Item>([register(), hold(2, Some((10, 13)))]);
    assert_eq!(refusal(&held, &hold_for(own, 1, 1, Some((10, 13)))), "own-item", "taken or not");
    let nobodys = ItemCommand::Register {
        item_no: item_no(),
        owner_id: None,
        item_name: "drill".into(),
        item_price: Money::price(100).unwrap(),
    };
    assert!(after::<Item>([nobodys]).decide(&hold_for(own, 1, 1, None)).is_ok());
}
