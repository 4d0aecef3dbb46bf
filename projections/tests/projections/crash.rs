//! The process dies after each step of a loop, again and again, and goes on where it was: nothing is
//! lost, nothing happens twice, and the views equal a rebuild.
//!
//! The dying process is this very test binary, told by its environment to run [`child`] only.

use crate::market::{MANAGERS, Market, VIEWS, days, item, options, payment, reservation};
use gdmarket_domain::{ItemCommand, Money, PaymentCommand, ReservationCommand};
use gdmarket_projections::Options;
use gdmarket_testkit::on_each_engine;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

const DATABASE: &str = "GDMARKET_CRASH_DATABASE";
/// Set for a process that goes on until it is killed.
pub(crate) const FOREVER: &str = "GDMARKET_CRASH_FOREVER";
/// Set for a process whose deadlines are due at once.
pub(crate) const HURRIES: &str = "GDMARKET_CRASH_HURRIES";
/// Set for a process whose reactions bear other ids every time.
const FORGETS: &str = "GDMARKET_CRASH_FORGETS";

/// After each step of a loop.
const FAILPOINTS: [&str; 5] = [
    "projection.read",
    "projection.rows",
    "projection.committed",
    "manager.reacted",
    "manager.checkpoint",
];

const STEPS_OF_A_VIEW: [&str; 3] = ["projection.read", "projection.rows", "projection.committed"];
const STEPS_OF_A_MANAGER: [&str; 4] =
    ["projection.read", "manager.reacted", "manager.checkpoint", "projection.committed"];

/// Numbers of items that are deleted again.
const GONE: i64 = 10_000;

/// How many times a step is passed before the process dies there: so each loop is hit once.
const PASSED: [u32; 5] = [0, 1, 3, 6, 11];

const SHORT: Duration = Duration::from_millis(300);

/// A dead runner's leases end soon.
pub(crate) fn hurried() -> Options {
    Options { lease_ttl: SHORT, ..options() }
}

/// What waits for its time is due soon, too.
pub(crate) fn due_soon() -> Options {
    Options { pay_within: SHORT, settle_after: SHORT, abandon_after: SHORT, ..hurried() }
}

/// Runs all loops until nothing is left to do; told so, it dies on the way.
#[test]
#[ignore = "a process that other tests start"]
fn child() {
    #[expect(clippy::disallowed_methods, reason = "how a test talks to its child")]
    let Ok(url) = std::env::var(DATABASE) else { return };
    gdmarket_testkit::run(async {
        let market = Market::open_url(&url, false).await;
        #[expect(clippy::disallowed_methods, reason = "how a test talks to its child")]
        market.port.forgets.store(std::env::var(FORGETS).is_ok(), Ordering::Relaxed);
        #[expect(clippy::disallowed_methods, reason = "how a test talks to its child")]
        let hurries = std::env::var(HURRIES).is_ok();
        let loops = market.start_with(&if hurries { due_soon() } else { hurried() });
        #[expect(clippy::disallowed_methods, reason = "how a test talks to its child")]
        if std::env::var(FOREVER).is_ok() {
            return std::future::pending().await;
        }
        market.settle(&loops).await;
        loops.stop().await;
        market.store.close().await;
    });
}

/// The command that starts such a process.
pub(crate) fn child_command(url: &str, failpoints: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["crash::child", "--exact", "--ignored", "--nocapture"])
        .env(DATABASE, url)
        .env("FAILPOINTS", failpoints);
    command
}

/// Whether the child came to its end.
fn run_child(url: &str, failpoints: &str) -> bool {
    comes_to_its_end(&mut child_command(url, failpoints))
}

pub(crate) fn comes_to_its_end(child: &mut Command) -> bool {
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("running 1 test"), "{said}");
    if !output.status.success() {
        use std::os::unix::process::ExitStatusExt;
        let was_killed = output.status.signal() == Some(9);
        assert!(was_killed, "{child:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    }
    output.status.success()
}

/// A round's numbers start here: items and reservations `base + 1` and on, payments ten times those.
async fn prepare(market: &Market, base: i64) {
    let loops = market.start_with(&hurried());
    for number in base + 1..=base + 4 {
        market.register(number, Some(10)).await;
        market.reserve(number, number, days(2, 4)).await;
    }
    market.settle(&loops).await;
    market.pay(base + 4, 10 * base + 40, base + 4).await;
    market.settle(&loops).await;
    loops.stop().await;
}

/// Something for every loop to do, asked while nobody is at work.
async fn ask(market: &Market, base: i64) {
    market.pay(base + 1, 10 * base + 10, base + 1).await;
    let declined = 10 * base + 20;
    market.begin_payment(base + 2, declined, base + 2).await;
    let reason = "no-cover".to_owned();
    market.payment(declined, PaymentCommand::RecordDeclined { reason }).await;
    market.reservation(base + 3, ReservationCommand::Cancel).await;
    market.reservation(base + 4, ReservationCommand::Cancel).await;
    for number in 5..=12 {
        market.reserve(base + number, base + 1 + number % 4, days(2, 4)).await;
    }
    market.register(base + 5, None).await;
    market.alert(base + 6).await;
}

/// What must have happened, once.
fn check(history: &[String], base: i64) {
    let count = |event: String| history.iter().filter(|found| **found == event).count();
    let (one, two, three, four) = (base + 1, base + 2, base + 3, base + 4);
    for once in [
        format!("reservation/{one} ReservationPaid"),
        format!("item/{one} LendingAuthorized"),
        format!("reservation/{two} PaymentFailed"),
        format!("item/{three} ItemReleased"),
        format!("item/{four} LendingRevoked"),
        format!("reservation/{four} ReservationCancelled"),
        format!("payment/{} PaymentCancelled", 10 * base + 40),
        format!("item/{four} ItemReleased"),
    ] {
        assert_eq!(count(once.clone()), 1, "{once}: {history:?}");
    }
    for number in base + 5..=base + 12 {
        let held = count(format!("reservation/{number} Reserved"));
        let refused = count(format!("reservation/{number} ReservationRejected"));
        assert_eq!(held + refused, 1, "reservation {number}: {history:?}");
    }
}

/// Dies after one step again and again, then comes to its end.
async fn die_at(url: &str, failpoint: &str, base: i64) {
    let market = Market::open_url(url, false).await;
    prepare(&market, base).await;
    ask(&market, base).await;
    market.store.close().await;
    let mut died = 0;
    for passed in PASSED {
        let first = if passed == 0 { String::new() } else { format!("{passed}*off->") };
        died += u32::from(!run_child(url, &format!("{failpoint}={first}return")));
    }
    assert!(died >= 2, "it died at {failpoint} {died} times only");
    assert!(run_child(url, ""), "it comes to its end");
    let market = Market::open_url(url, false).await;
    check(&market.history().await, base);
    market.store.close().await;
}

on_each_engine! {
    async fn dying_after_every_step_loses_and_doubles_nothing(db: &TestDb) {
        Market::open(db).await.store.close().await;
        for (base, failpoint) in (0..).step_by(100).zip(FAILPOINTS) {
            die_at(db.url(), failpoint, base).await;
        }
        let market = Market::open_url(db.url(), false).await;
        market.assert_equals_rebuild().await;
    }

    /// Whoever else is at work: here each loop by itself dies after each of its own steps.
    async fn every_loop_dies_after_each_of_its_steps_and_goes_on(db: &TestDb) {
        let market = Market::open(db).await;
        let mut number = 0;
        for (steps, subscriptions) in [(&STEPS_OF_A_VIEW[..], &VIEWS[..]), (&STEPS_OF_A_MANAGER, &MANAGERS)] {
            for (step, subscription) in steps.iter().flat_map(|step| subscriptions.iter().map(move |s| (step, s))) {
                number += 1;
                something_for_everybody(&market, number).await;
                let failpoint = format!("{step}@{subscription}=return");
                assert!(!run_child(db.url(), &failpoint), "nobody died at {failpoint}");
            }
        }
        assert!(run_child(db.url(), ""), "it comes to its end");
        let history = market.history().await;
        let count = |event: String| history.iter().filter(|found| **found == event).count();
        for number in 1..=number {
            assert_eq!(count(format!("item/{number} ItemHeld")), 1, "{history:?}");
            assert_eq!(count(format!("reservation/{number} Reserved")), 1, "{history:?}");
            assert_eq!(count(format!("reservation/{number} LatePaymentRecorded")), 1, "{history:?}");
            assert_eq!(count(format!("payment/{number} PaymentCancelled")), 1, "{history:?}");
            assert_eq!(count(format!("alarm/{number} DeleteAlerted")), 0, "{history:?}");
            let gone = format!("alarm/{} DeleteAlerted", GONE + number);
            assert_eq!(count(gone), 1, "{history:?}");
        }
        market.assert_equals_rebuild().await;
    }

    /// Control: a process whose reactions bear other ids every time does again what it did before it
    /// died, where the aggregate's own rules don't refuse it.
    async fn control_under_other_ids_what_a_dead_process_did_happens_twice(db: &TestDb) {
        let market = Market::open(db).await;
        // Held and released: the item doesn't refuse the same hold once more.
        market.register(1, Some(10)).await;
        market.reserve(1, 1, days(2, 4)).await;
        market.reservation(1, ReservationCommand::Cancel).await;
        for (failpoint, ends) in [("manager.reacted@holding=return", false), ("", true)] {
            let mut child = child_command(db.url(), failpoint);
            assert_eq!(comes_to_its_end(child.env(FORGETS, "1")), ends, "{failpoint}");
        }
        let history = market.history().await;
        let held = history.iter().filter(|found| *found == "item/1 ItemHeld").count();
        assert_eq!(held, 2, "{history:?}");
    }
}

/// Events of every kind, with a reaction to most: held and confirmed; approved late and refunded.
async fn something_for_everybody(market: &Market, number: i64) {
    market.register(number, Some(10)).await;
    market.reserve(number, number, days(2, 4)).await;
    let start = PaymentCommand::Start {
        payment_no: payment(number),
        reservation_no: reservation(number),
        item_no: item(number),
        amount: Money::price(100).unwrap(),
    };
    market.payment(number, start).await;
    market.payment(number, PaymentCommand::RecordApproved).await;
    market.register(GONE + number, None).await;
    market.item(GONE + number, ItemCommand::Delete).await;
}
