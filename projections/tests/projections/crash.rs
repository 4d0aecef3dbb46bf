//! The process crashes repeatedly after each step of a loop and continues where it was: nothing is lost, nothing
//! happens twice, and the views equal a rebuild.
//!
//! The crashing process is this test binary, which runs [`child`] only when its environment says so.

use crate::market::{MANAGERS, Market, VIEWS, days, item, options, payment, reservation};
use gdmarket_domain::{ItemCommand, Money, PaymentCommand, ReservationCommand};
use gdmarket_projections::Options;
use gdmarket_testkit::on_each_engine;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

const DATABASE: &str = "GDMARKET_CRASH_DATABASE";
/// Set for a process that runs until it is killed.
pub(crate) const FOREVER: &str = "GDMARKET_CRASH_FOREVER";
/// Set for a process whose deadlines are due at once.
pub(crate) const SHORT_DEADLINES: &str = "GDMARKET_CRASH_SHORT_DEADLINES";
/// Set for a process whose reactions get new ids every time.
const FRESH_IDS: &str = "GDMARKET_CRASH_FRESH_IDS";

/// The failpoints after each step of a loop.
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

/// The first number of the items that are deleted.
const GONE: i64 = 10_000;

/// How often a step is passed before the process crashes there; with these counts each loop is hit once.
const PASSES: [u32; 5] = [0, 1, 3, 6, 11];

const SHORT: Duration = Duration::from_millis(300);

/// Options under which the leases of a dead runner end soon.
pub(crate) fn with_short_leases() -> Options {
    Options { lease_ttl: SHORT, ..options() }
}

/// Options under which deadlines are due soon, too.
pub(crate) fn due_soon() -> Options {
    Options { pay_within: SHORT, settle_after: SHORT, abandon_after: SHORT, ..with_short_leases() }
}

/// Runs all loops until nothing is left to do, or crashes at the failpoints of its environment.
#[test]
#[ignore = "other tests start this as a process"]
fn child() {
    #[expect(clippy::disallowed_methods, reason = "how a test talks to its child")]
    let Ok(url) = std::env::var(DATABASE) else { return };
    gdmarket_testkit::run(async {
        let market = Market::open_url(&url, false).await;
        #[expect(clippy::disallowed_methods, reason = "how a test talks to its child")]
        market.port.fresh_ids.store(std::env::var(FRESH_IDS).is_ok(), Ordering::Relaxed);
        #[expect(clippy::disallowed_methods, reason = "how a test talks to its child")]
        let short_deadlines = std::env::var(SHORT_DEADLINES).is_ok();
        let loops =
            market.start_with(&if short_deadlines { due_soon() } else { with_short_leases() });
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

/// Runs a child; returns whether it completed.
fn run_child(url: &str, failpoints: &str) -> bool {
    completes(&mut child_command(url, failpoints))
}

pub(crate) fn completes(child: &mut Command) -> bool {
    let output = child.output().unwrap();
    let output_text = String::from_utf8_lossy(&output.stdout);
    assert!(output_text.contains("running 1 test"), "{output_text}");
    if !output.status.success() {
        use std::os::unix::process::ExitStatusExt;
        let was_killed = output.status.signal() == Some(9);
        assert!(was_killed, "{child:?}: {output_text}{}", String::from_utf8_lossy(&output.stderr));
    }
    output.status.success()
}

/// Prepares a round, whose items and reservations are numbered from `base + 1`, and payments from ten times `base`.
async fn prepare(market: &Market, base: i64) {
    let loops = market.start_with(&with_short_leases());
    for number in base + 1..=base + 4 {
        market.register(number, Some(10)).await;
        market.reserve(number, number, days(2, 4)).await;
    }
    market.settle(&loops).await;
    market.pay(base + 4, 10 * base + 40, base + 4).await;
    market.settle(&loops).await;
    loops.stop().await;
}

/// Sends commands that give every loop something to do, while no loop runs.
async fn send_work(market: &Market, base: i64) {
    market.pay(base + 1, 10 * base + 10, base + 1).await;
    let declined = 10 * base + 20;
    market.start_payment(base + 2, declined, base + 2).await;
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

/// Asserts that every expected event happened once.
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

/// Crashes repeatedly after one step, then completes.
async fn crash_at(url: &str, failpoint: &str, base: i64) {
    let market = Market::open_url(url, false).await;
    prepare(&market, base).await;
    send_work(&market, base).await;
    market.store.close().await;
    let mut crashes = 0;
    for passed in PASSES {
        let first = if passed == 0 { String::new() } else { format!("{passed}*off->") };
        crashes += u32::from(!run_child(url, &format!("{failpoint}={first}return")));
    }
    assert!(crashes >= 2, "only {crashes} crashes at {failpoint}");
    assert!(run_child(url, ""), "the last run completes");
    let market = Market::open_url(url, false).await;
    check(&market.history().await, base);
    market.store.close().await;
}

on_each_engine! {
    async fn crash_after_every_step_loses_and_repeats_nothing(db: &TestDb) {
        Market::open(db).await.store.close().await;
        for (base, failpoint) in (0..).step_by(100).zip(FAILPOINTS) {
            crash_at(db.url(), failpoint, base).await;
        }
        let market = Market::open_url(db.url(), false).await;
        market.assert_equals_rebuild().await;
    }

    /// Each loop by itself crashes the process after each of its own steps.
    async fn every_loop_continues_after_a_crash_at_each_of_its_steps(db: &TestDb) {
        let market = Market::open(db).await;
        let mut number = 0;
        for (steps, subscriptions) in [(&STEPS_OF_A_VIEW[..], &VIEWS[..]), (&STEPS_OF_A_MANAGER, &MANAGERS)] {
            for (step, subscription) in steps.iter().flat_map(|step| subscriptions.iter().map(move |s| (step, s))) {
                number += 1;
                work_for_every_loop(&market, number).await;
                let failpoint = format!("{step}@{subscription}=return");
                assert!(!run_child(db.url(), &failpoint), "no crash at {failpoint}");
            }
        }
        assert!(run_child(db.url(), ""), "the last run completes");
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

    /// Control: a process whose reactions get new ids repeats what it did before the crash, where the aggregate's own
    /// rules don't refuse it.
    async fn reactions_with_new_ids_happen_twice_after_a_crash(db: &TestDb) {
        let market = Market::open(db).await;
        // The hold is released, so the item doesn't refuse the same hold again.
        market.register(1, Some(10)).await;
        market.reserve(1, 1, days(2, 4)).await;
        market.reservation(1, ReservationCommand::Cancel).await;
        for (failpoint, ends) in [("manager.reacted@holding=return", false), ("", true)] {
            let mut child = child_command(db.url(), failpoint);
            assert_eq!(completes(child.env(FRESH_IDS, "1")), ends, "{failpoint}");
        }
        let history = market.history().await;
        let held = history.iter().filter(|found| *found == "item/1 ItemHeld").count();
        assert_eq!(held, 2, "{history:?}");
    }
}

/// Sends commands that give every loop something to do: a hold that is confirmed, a late payment that is refunded.
async fn work_for_every_loop(market: &Market, number: i64) {
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
