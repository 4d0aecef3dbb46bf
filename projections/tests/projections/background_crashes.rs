//! The process crashes at each step of a process manager's background work: a deadline that is due, an event that is
//! retried. The next process completes all of it, and nothing twice.

use crate::crash::{
    FOREVER, SHORT_DEADLINES, child_command, completes, due_soon, with_short_leases,
};
use crate::market::{Market, SOON, item, payment, reservation};
use gdmarket_domain::{Money, PaymentCommand};
use gdmarket_testkit::{eventually, on_each_engine};

/// The deadline's command was sent, and then recorded as done.
const STEPS_OF_A_DEADLINE: [&str; 2] = ["manager.fired", "manager.noted"];
/// The managers with deadlines.
const HAVE_DEADLINES: [&str; 3] = ["reservation_process", "payment_process", "abandonment"];
/// The event was retried, its row was deleted, and its key was released.
const STEPS_OF_A_RETRY: [&str; 3] = ["manager.retried", "manager.dequeued", "manager.unparked"];
/// The manager whose reactions run in the background because they take long.
const SLOW_MANAGER: &str = "payment_process";

/// The first numbers of payments without an outcome, of items that are never registered, and of late payments.
const UNSETTLED: i64 = 100;
const NEVER_REGISTERED: i64 = 200;
const LATE: i64 = 300;

/// Makes reservations with a long time to pay, so that a later attempt is in time.
async fn reserve_with_a_long_time_to_pay(market: &Market, numbers: impl Iterator<Item = i64>) {
    let loops = market.start_with(&with_short_leases());
    for number in numbers {
        market.register(number, None).await;
        market.reserve(number, number, None).await;
    }
    market.settle(&loops).await;
    loops.stop().await;
}

/// Sends commands that lead to one deadline of each kind, and to a refund.
async fn work_with_deadlines(market: &Market, number: i64) {
    let (unsettled, late) = (UNSETTLED + number, LATE + number);
    market.start_payment(unsettled, unsettled, unsettled).await;
    market.alert(NEVER_REGISTERED + number).await;
    market.register(number, None).await;
    market.reserve(number, number, None).await;
    let start = PaymentCommand::Start {
        payment_no: payment(late),
        reservation_no: reservation(number),
        item_no: item(number),
        amount: Money::price(100).unwrap(),
    };
    market.payment(late, start).await;
    market.payment(late, PaymentCommand::RecordApproved).await;
}

/// The events that must follow.
fn expected(number: i64) -> [String; 6] {
    let unsettled = UNSETTLED + number;
    let never = NEVER_REGISTERED + number;
    [
        format!("reservation/{number} ReservationExpired"),
        format!("item/{number} ItemReleased"),
        format!("payment/{unsettled} PaymentDeclined"),
        format!("item/{never} RegistrationAbandoned"),
        format!("alarm/{never} AlarmWithdrawn"),
        format!("payment/{} PaymentCancelled", LATE + number),
    ]
}

fn crash_at(url: &str, failpoint: &str) {
    let mut child = child_command(url, &format!("{failpoint}=return"));
    let ended = completes(child.env(FOREVER, "1").env(SHORT_DEADLINES, "1"));
    assert!(!ended, "the process didn't crash at {failpoint}");
}

on_each_engine! {
    async fn crash_in_background_work_loses_and_repeats_nothing(db: &TestDb) {
        let market = Market::open(db).await;
        let due = STEPS_OF_A_DEADLINE.iter().flat_map(|step| HAVE_DEADLINES.map(|of| format!("{step}@{of}")));
        let tried = STEPS_OF_A_RETRY.iter().map(|step| format!("{step}@{SLOW_MANAGER}"));
        let crashes: Vec<(i64, String)> = (1..).zip(due.chain(tried)).collect();
        reserve_with_a_long_time_to_pay(&market, crashes.iter().map(|(number, _)| UNSETTLED + number)).await;
        for (number, failpoint) in &crashes {
            work_with_deadlines(&market, *number).await;
            crash_at(db.url(), failpoint);
        }
        let all: Vec<String> = crashes.iter().flat_map(|(number, _)| expected(*number)).collect();
        let loops = market.start_with(&due_soon());
        eventually(SOON, || async {
            let history = market.history().await;
            let missing: Vec<_> = all.iter().filter(|event| !history.contains(event)).collect();
            if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?}")) }
        })
        .await;
        market.settle(&loops).await;
        loops.stop().await;
        let history = market.history().await;
        for once in &all {
            let times = history.iter().filter(|found| *found == once).count();
            assert_eq!(times, 1, "{once}: {history:?}");
        }
        market.assert_equals_rebuild().await;
    }
}
