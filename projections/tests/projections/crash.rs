//! The process dies after each step of a loop, again and again, and goes on where it was: nothing is
//! lost, nothing happens twice, and the views equal a rebuild.
//!
//! The dying process is this very test binary, told by its environment to run [`child`] only.

use crate::market::{Market, VIEWS, days};
use gdmarket_domain::{PaymentCommand, ReservationCommand};
use gdmarket_testkit::{TestDb, on_each_engine};
use std::process::Command;

const DATABASE: &str = "GDMARKET_CRASH_DATABASE";

/// After each step of a loop.
const FAILPOINTS: [&str; 5] = [
    "projection.read",
    "projection.rows",
    "projection.committed",
    "manager.reacted",
    "manager.checkpoint",
];

/// How many times a step is passed before the process dies there: so each loop is hit once.
const PASSED: [u32; 5] = [0, 1, 3, 6, 11];

/// Runs all loops until nothing is left to do; told so, it dies on the way.
#[test]
#[ignore = "a process that other tests start"]
fn child() {
    #[expect(clippy::disallowed_methods, reason = "how a test talks to its child")]
    let Ok(url) = std::env::var(DATABASE) else { return };
    gdmarket_testkit::run(async {
        let market = Market::open_url(&url, false).await;
        let loops = market.start();
        market.settle(&loops).await;
        loops.stop().await;
        market.store.close().await;
    });
}

/// Whether the child came to its end.
fn run_child(url: &str, failpoints: &str) -> bool {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["crash::child", "--exact", "--ignored", "--nocapture"])
        .env(DATABASE, url)
        .env("FAILPOINTS", failpoints)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("running 1 test"), "{said}");
    if !output.status.success() {
        use std::os::unix::process::ExitStatusExt;
        let aborted = output.status.signal() == Some(6);
        assert!(aborted, "{failpoints}: {said}{}", String::from_utf8_lossy(&output.stderr));
    }
    output.status.success()
}

/// Something for every loop to do, with nobody at work.
async fn prepare(market: &Market) {
    let loops = market.start();
    for number in 1..=4 {
        market.register(number, Some(10 + number)).await;
    }
    for number in 1..=4 {
        market.reserve(number, number, days(2, 4)).await;
    }
    market.settle(&loops).await;
    market.pay(4, 40, 4).await;
    market.settle(&loops).await;
    loops.stop().await;
}

/// What is asked while all loops are dead.
async fn ask(market: &Market) {
    market.pay(1, 10, 1).await;
    market.begin_payment(2, 20, 2).await;
    market.payment(20, PaymentCommand::RecordDeclined { reason: "no-cover".to_owned() }).await;
    market.reservation(3, ReservationCommand::Cancel).await;
    market.reservation(4, ReservationCommand::Cancel).await;
    for number in 5..=12 {
        market.reserve(number, 1 + number % 4, days(2, 4)).await;
    }
    market.register(5, None).await;
    market.alert(6).await;
}

on_each_engine! {
    async fn dying_after_every_step_loses_and_doubles_nothing(db: &TestDb) {
        let market = Market::open(db).await;
        prepare(&market).await;
        ask(&market).await;
        market.store.close().await;

        let mut died = vec![];
        for failpoint in FAILPOINTS {
            for passed in PASSED {
                let first = if passed == 0 { String::new() } else { format!("{passed}*off->") };
                if !run_child(db.url(), &format!("{failpoint}={first}return")) {
                    died.push(format!("{failpoint} {passed}"));
                }
            }
        }
        assert!(run_child(db.url(), ""), "it comes to its end");
        for failpoint in FAILPOINTS {
            assert!(died.iter().any(|d| d.starts_with(failpoint)), "never died there: {died:?}");
        }
        assert!(died.len() >= 10, "{died:?}");

        let market = Market::open_url(db.url(), false).await;
        let history = market.history().await;
        let count = |event: &str| history.iter().filter(|found| *found == event).count();
        for once in [
            "reservation/1 ReservationPaid", "item/1 LendingAuthorized",
            "reservation/2 PaymentFailed", "item/3 ItemReleased", "item/4 LendingRevoked",
            "reservation/4 ReservationCancelled", "payment/40 PaymentCancelled", "item/4 ItemReleased",
        ] {
            assert_eq!(count(once), 1, "{once}: {history:?}");
        }
        for number in 5..=12 {
            let held = count(&format!("reservation/{number} Reserved"));
            let refused = count(&format!("reservation/{number} ReservationRejected"));
            assert_eq!(held + refused, 1, "reservation {number}: {history:?}");
        }
        let live = market.all_rows().await;
        for view in VIEWS {
            market.views_sql(&format!("DROP TABLE view_{view}")).await;
            market.views_sql(&format!("DELETE FROM checkpoints WHERE subscription = '{view}'")).await;
        }
        let loops = market.start();
        market.settle(&loops).await;
        loops.stop().await;
        assert_eq!(market.all_rows().await, live, "the views equal a rebuild");
        assert_eq!(market.history().await, history, "rebuilding does nothing");
    }
}
