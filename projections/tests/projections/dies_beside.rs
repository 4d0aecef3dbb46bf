//! The process dies at each step of what a process manager does beside its batches: a deadline that is
//! due, an event that is tried again. Whoever goes on does all of it, and nothing twice.

use crate::crash::{FOREVER, HURRIES, child_command, comes_to_its_end, due_soon, hurried};
use crate::market::{Market, SOON, item, payment, reservation};
use gdmarket_domain::{Money, PaymentCommand};
use gdmarket_testkit::{eventually, on_each_engine};

/// What was due is done; and it is written down that it is.
const STEPS_OF_A_DEADLINE: [&str; 2] = ["manager.fired", "manager.noted"];
/// Whose deadlines there are.
const HAVE_DEADLINES: [&str; 3] = ["reservation_process", "payment_process", "abandonment"];
/// An event is tried again; its row is gone; its key goes on.
const STEPS_OF_A_TRY: [&str; 3] = ["manager.retried", "manager.dequeued", "manager.let-go"];
/// Whose reactions take so long that they are done beside.
const TAKES_LONG: &str = "payment_process";

/// Numbers of what is paid without an outcome, never registered, and paid late.
const UNSETTLED: i64 = 100;
const NEVER_REGISTERED: i64 = 200;
const LATE: i64 = 300;

/// Reserved while there is time enough to pay, so that an attempt comes in time later on.
async fn reserved_at_leisure(market: &Market, numbers: impl Iterator<Item = i64>) {
    let loops = market.start_with(&hurried());
    for number in numbers {
        market.register(number, None).await;
        market.reserve(number, number, None).await;
    }
    market.settle(&loops).await;
    loops.stop().await;
}

/// One of everything that waits for its time, and a refund.
async fn something_that_waits(market: &Market, number: i64) {
    let (unsettled, late) = (UNSETTLED + number, LATE + number);
    market.begin_payment(unsettled, unsettled, unsettled).await;
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

/// What must come of it.
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

fn dies_at(market_url: &str, failpoint: &str) {
    let mut child = child_command(market_url, &format!("{failpoint}=return"));
    let ended = comes_to_its_end(child.env(FOREVER, "1").env(HURRIES, "1"));
    assert!(!ended, "it goes on until it dies at {failpoint}");
}

on_each_engine! {
    async fn dying_beside_the_batches_forgets_and_doubles_nothing(db: &TestDb) {
        let market = Market::open(db).await;
        let due = STEPS_OF_A_DEADLINE.iter().flat_map(|step| HAVE_DEADLINES.map(|of| format!("{step}@{of}")));
        let tried = STEPS_OF_A_TRY.iter().map(|step| format!("{step}@{TAKES_LONG}"));
        let deaths: Vec<(i64, String)> = (1..).zip(due.chain(tried)).collect();
        reserved_at_leisure(&market, deaths.iter().map(|(number, _)| UNSETTLED + number)).await;
        for (number, failpoint) in &deaths {
            something_that_waits(&market, *number).await;
            dies_at(db.url(), failpoint);
        }
        let all: Vec<String> = deaths.iter().flat_map(|(number, _)| expected(*number)).collect();
        let loops = market.start_with(&due_soon());
        eventually(SOON, || async {
            let history = market.history().await;
            let missing: Vec<_> = all.iter().filter(|wanted| !history.contains(wanted)).collect();
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
