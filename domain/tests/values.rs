//! The limits of the value objects: ids, money, periods, actors.
#![expect(clippy::unwrap_used, reason = "a test")]

use chrono::NaiveDate;
use gdmarket_domain::ids::MAX_ID;
use gdmarket_domain::money::MAX_PRICE;
use gdmarket_domain::{Actor, ItemNo, Money, PeriodError, PersonId, RentalPeriod, Span};

#[test]
fn id_is_limited_to_exact_json_numbers() {
    assert_eq!(MAX_ID, 9_007_199_254_740_991);
    for good in [1, MAX_ID] {
        assert_eq!(ItemNo::new(good).unwrap().get(), good);
        assert_eq!(good.to_string().parse::<ItemNo>().unwrap().to_string(), good.to_string());
    }
    for bad in [0, -1, MAX_ID + 1, i64::MIN] {
        assert!(ItemNo::new(bad).is_err(), "{bad}");
        assert!(serde_json::from_str::<ItemNo>(&bad.to_string()).is_err(), "{bad}");
    }
    for bad in ["", "+1", "-1", " 1", "1.0", "0", "9007199254740992", "99999999999999999999"] {
        assert!(bad.parse::<ItemNo>().is_err(), "{bad}");
    }
}

#[test]
fn price_is_at_least_one_won_and_a_total_never_overflows() {
    for bad in [0, -1, MAX_PRICE + 1] {
        assert!(Money::price(bad).is_err(), "{bad}");
    }
    let highest = Money::price(MAX_PRICE).unwrap();
    assert_eq!(highest.times(365).won(), 365 * MAX_PRICE);
    assert_eq!(highest.times(i64::MAX).won(), i64::MAX);
    assert_eq!(highest.to_string(), "1000000000 KRW");
    assert!(serde_json::from_str::<Money>("-1").is_err());
    assert!(serde_json::from_str::<Money>("1.5").is_err());
}

#[test]
fn period_has_one_to_365_days() {
    assert_eq!(RentalPeriod::new(day(1), day(1)), Err(PeriodError::UpsideDown));
    assert_eq!(RentalPeriod::new(day(2), day(1)), Err(PeriodError::UpsideDown));
    assert_eq!(RentalPeriod::new(day(1), day(366)).unwrap().days(), 365);
    assert_eq!(RentalPeriod::new(day(1), day(367)), Err(PeriodError::TooLong));
    let upside_down = r#"{"from":"2027-01-02","to":"2027-01-01"}"#;
    assert!(serde_json::from_str::<RentalPeriod>(upside_down).is_err());
}

#[test]
fn period_without_another_leaves_the_days_before_and_after_it() {
    let without = |other: (i64, i64)| -> Vec<(NaiveDate, NaiveDate)> {
        let rest = period(10, 20).without(period(other.0, other.1));
        rest.map(|part| (part.from(), part.to())).collect()
    };
    assert_eq!(without((1, 10)), [(day(10), day(20))]);
    assert_eq!(without((20, 30)), [(day(10), day(20))]);
    assert_eq!(without((5, 15)), [(day(15), day(20))]);
    assert_eq!(without((15, 25)), [(day(10), day(15))]);
    assert_eq!(without((12, 14)), [(day(10), day(12)), (day(14), day(20))]);
    assert_eq!(without((10, 20)), []);
    assert_eq!(without((1, 30)), []);
}

#[test]
fn spans_overlap_only_when_they_share_a_day() {
    let open = |from| Span { from: day(from), to: None };
    let closed = |from, to| Span::from(period(from, to));
    for (one, other, overlap) in [
        (closed(1, 3), closed(3, 5), false),
        (closed(1, 4), closed(3, 5), true),
        (closed(1, 9), closed(3, 5), true),
        (open(5), closed(1, 5), false),
        (open(5), closed(1, 6), true),
        (open(5), open(300), true),
    ] {
        assert_eq!(one.overlaps(&other), overlap, "{one:?} {other:?}");
        assert_eq!(other.overlaps(&one), overlap, "{other:?} {one:?}");
    }
    assert_eq!(Span::requested(None, day(4)), open(4));
    assert_eq!(Span::requested(Some(period(6, 7)), day(4)), closed(6, 7));
}

#[test]
fn actor_is_written_as_it_is_parsed() {
    for text in ["operator:local", "operator:a.b-c_9", "owner:3", "renter:7"] {
        assert_eq!(text.parse::<Actor>().unwrap().to_string(), text);
    }
    let long = format!("operator:{}", "x".repeat(65));
    for bad in [
        "",
        "operator",
        "operator:",
        "operator:a b",
        "owner:",
        "owner:0",
        "owner:x",
        "renter:-1",
        "process:holding",
        "thief:1",
        &long,
    ] {
        assert!(bad.parse::<Actor>().is_err(), "{bad}");
    }
    assert_eq!(Actor::Process("holding").to_string(), "process:holding");
}

#[test]
fn item_without_an_owner_belongs_to_the_operator() {
    let someone = PersonId::new(3).unwrap();
    let owner = Actor::Owner(someone);
    assert!(owner.is_owner(Some(someone)) && !owner.is_owner(None));
    assert!(!owner.is_renter(someone), "an owner isn't the renter of the same number");
    assert!(Actor::Operator("local".into()).is_owner(None));
    assert!(!Actor::Renter(someone).is_owner(Some(someone)));
}

fn day(number: i64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 12, 31).unwrap() + chrono::TimeDelta::days(number)
}

fn period(from: i64, to: i64) -> RentalPeriod {
    RentalPeriod::new(day(from), day(to)).unwrap()
}
