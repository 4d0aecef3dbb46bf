//! The program dies at a chosen step inside a command. Whoever asks again under the same key has it done
//! once: one item, one reservation, one charge and its refund.

use crate::charges::{attempts, closed, wrongly_charged};
use crate::kills::{at_rest, gateway_book, whole_log};
use crate::market::{Answer, Market};
use crate::views::{everything, rebuilt_views_equal};
use gdmarket_simulators::LedgerEntry;
use gdmarket_testkit::{ServerOptions, on_each_engine};
use reqwest::Method;
use serde_json::{Value, json};
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Every step of a command that a rental comes by.
const STEPS: [&str; 9] = [
    "commands.after-alert",
    "commands.after-alarm",
    "commands.after-intent",
    "commands.before-confirm",
    "commands.after-confirm",
    "commands.before-refund",
    "commands.after-refund",
    "store.before-append",
    "store.after-commit",
];
const SOON: Duration = Duration::from_secs(30);
/// Between two questions about an outcome that isn't in.
const PAUSE: Duration = Duration::from_millis(100);
/// An attempt that was cut off before the gateway heard of it fails: then one pays anew.
const ATTEMPTS: usize = 3;

/// Asks until the outcome is in; `None` when nobody answers any more.
async fn ask(
    market: &Market,
    (method, path): (Method, &str),
    body: Value,
    key: &str,
) -> Option<Answer> {
    let until = Instant::now() + SOON;
    loop {
        let answer = market.send(method.clone(), path, Some(body.clone()), Some(key)).await.ok()?;
        if !matches!(answer.status, 202 | 503) {
            return Some(answer);
        }
        assert!(Instant::now() < until, "{path}: {answer:?}");
        sleep(PAUSE).await;
    }
}

/// An item is registered, reserved, paid and cancelled; `None` when nobody answers any more.
async fn rental(market: &Market, round: usize) -> Option<()> {
    let item = json!({"itemName": format!("Camera {round}"), "itemPrice": 100});
    let item = ask(market, (Method::POST, "/items"), item, &format!("item-{round}")).await?;
    let wish = json!({"itemNo": item.expect(201).number("itemNo"), "customerId": 7});
    let wish = ask(market, (Method::POST, "/reservations"), wish, &format!("wish-{round}")).await?;
    let path = format!("/reservations/{}", wish.expect(201).number("reservationNo"));
    let pay = format!("{path}/payment");
    for attempt in 0..ATTEMPTS {
        let paid = ask(market, (Method::POST, &pay), json!({}), &format!("pay-{attempt}")).await?;
        if paid.status == 200 {
            break;
        }
        assert!(attempt + 1 < ATTEMPTS, "{paid:?}");
    }
    ask(market, (Method::DELETE, &path), json!({}), "cancel").await?.expect(200);
    Some(())
}

on_each_engine! {
    async fn what_was_cut_off_inside_a_command_is_done_once_when_asked_again(db: &TestDb) {
        let options = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket"))
            .on(db)
            .variable("GDMARKET__PAYMENT__TIMEOUT_MS", "2000");
        for (round, step) in STEPS.into_iter().enumerate() {
            let dying = options.clone().variable("FAILPOINTS", &format!("{step}=return"));
            let mut dying = dying.start().await;
            // A refund follows the answer: then all are answered before it dies.
            rental(&Market::at(&dying.url("")), round).await;
            let ended = dying.wait(SOON).await;
            assert_eq!(ended.signal(), Some(9), "{step} is on the way of a rental");
            let mut sound = options.clone().start().await;
            rental(&Market::at(&sound.url("")), round).await.expect("answers");
            sound.terminate().await;
            assert!(sound.wait(SOON).await.success(), "{step}: {}", sound.stderr());
        }
        let mut server = options.start().await;
        let market = Market::at(&server.url(""));
        at_rest(&market, db).await;
        let log = whole_log(db).await;
        let count = |event_type: &str| log.iter().filter(|e| e.event_type == event_type).count();
        for once in ["ItemRegistered", "Reserved", "ReservationPaid", "ReservationCancelled", "PaymentCancelled"] {
            assert_eq!(count(once), STEPS.len(), "{once}");
        }
        let book = gateway_book(db).await;
        assert_eq!(wrongly_charged(&book, &attempts(&log), &closed(&log)), Vec::<String>::new());
        let refunds = book.iter().filter(|entry| matches!(entry, LedgerEntry::Refund { .. }));
        assert_eq!((book.len(), refunds.count()), (2 * STEPS.len(), STEPS.len()), "{book:?}");
        let shown = everything(&market).await;
        rebuilt_views_equal(&shown, &mut server, db).await;
    }
}
