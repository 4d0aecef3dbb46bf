//! The program is killed at each failpoint inside a command. A repetition under the same key completes the command
//! once: one item, one reservation, one charge and its refund.

use crate::idle::wait_until_idle;
use crate::stored_state::{provider_entries, whole_log};
use crate::views::assert_rebuilt_views_equal;
use gdmarket_testkit::{
    Answer, MarketClient, ProviderEntry, ServerOptions, all_resources, attempts, charge_errors,
    closed, eventually, on_each_engine,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The failpoints of a command that a rental passes.
const FAILPOINTS: [&str; 9] = [
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
/// Between two requests for an outcome that isn't known yet.
const PAUSE: Duration = Duration::from_millis(100);
/// An attempt that is killed before it reaches the gateway fails, so the renter pays again.
const ATTEMPTS: usize = 3;

/// One request, with its key.
struct Request<'a> {
    method: Method,
    path: &'a str,
    body: Value,
    key: String,
}

impl<'a> Request<'a> {
    fn post(path: &'a str, body: Value, key: String) -> Self {
        Self { method: Method::POST, path, body, key }
    }
}

/// Repeats a request until its outcome is known; `None` once the server doesn't answer.
async fn outcome_of(market: &MarketClient, request: Request<'_>) -> Option<Answer> {
    let Request { method, path, body, key } = request;
    let deadline = Instant::now() + SOON;
    loop {
        let answer =
            market.send(method.clone(), path, Some(body.clone()), Some(&key)).await.ok()?;
        if !matches!(answer.status, 202 | 503) {
            return Some(answer);
        }
        assert!(Instant::now() < deadline, "{path}: {answer:?}");
        sleep(PAUSE).await;
    }
}

/// Registers, reserves, pays and cancels; `None` once the server doesn't answer.
async fn rental(market: &MarketClient, round: usize) -> Option<()> {
    let item = json!({"itemName": format!("Camera {round}"), "itemPrice": 100});
    let register = Request::post("/items", item, format!("item-{round}"));
    let registered = outcome_of(market, register).await?.expect(201);
    let body = json!({"itemNo": registered.number("itemNo"), "customerId": 7});
    let reserve = Request::post("/reservations", body, format!("reservation-{round}"));
    let reserved = outcome_of(market, reserve).await?;
    let path = format!("/reservations/{}", reserved.expect(201).number("reservationNo"));
    let payment = format!("{path}/payment");
    for attempt in 0..ATTEMPTS {
        let pay = Request::post(&payment, json!({}), format!("pay-{attempt}"));
        let paid = outcome_of(market, pay).await?;
        if paid.status == 200 {
            break;
        }
        assert!(attempt + 1 < ATTEMPTS, "{paid:?}");
    }
    let (body, key) = (json!({}), "cancel".to_owned());
    let cancel = Request { method: Method::DELETE, path: &path, body, key };
    outcome_of(market, cancel).await?.expect(200);
    Some(())
}

on_each_engine! {
    async fn command_killed_at_a_failpoint_is_completed_once_by_a_repetition(db: &TestDb) {
        let options = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket"))
            .on(db)
            .variable("GDMARKET__PAYMENT__TIMEOUT_MS", "2000");
        for (round, failpoint) in FAILPOINTS.into_iter().enumerate() {
            let crashing = options.clone().variable("FAILPOINTS", &format!("{failpoint}=return"));
            let mut crashing = crashing.start().await;
            // A refund follows the answer: at its failpoints all requests are answered before the crash.
            rental(&MarketClient::at(&crashing.url("")), round).await;
            let ended = crashing.wait(SOON).await;
            assert_eq!(ended.signal(), Some(9), "a rental passes {failpoint}");
            let mut server = options.clone().start().await;
            rental(&MarketClient::at(&server.url("")), round).await.expect("answers");
            // A refund that is left over would kill the next round's server while it starts.
            eventually(SOON, || async {
                let log = whole_log(db).await;
                let refunds = log.iter().filter(|event| event.event_type == "PaymentCancelled").count();
                if refunds == round + 1 { Ok(()) } else { Err(refunds) }
            })
            .await;
            server.terminate().await;
            assert!(server.wait(SOON).await.success(), "{failpoint}: {}", server.stderr());
        }
        let mut server = options.start().await;
        let market = MarketClient::at(&server.url(""));
        wait_until_idle(&market, db).await;
        let log = whole_log(db).await;
        let count = |event_type: &str| log.iter().filter(|e| e.event_type == event_type).count();
        for once in ["ItemRegistered", "Reserved", "ReservationPaid", "ReservationCancelled", "PaymentCancelled"] {
            assert_eq!(count(once), FAILPOINTS.len(), "{once}");
        }
        let ledger = provider_entries(db).await;
        assert_eq!(charge_errors(&ledger, &attempts(&log), &closed(&log)), Vec::<String>::new());
        let refunds = ledger.iter().filter(|entry| matches!(entry, ProviderEntry::Refund { .. }));
        assert_eq!((ledger.len(), refunds.count()), (2 * FAILPOINTS.len(), FAILPOINTS.len()), "{ledger:?}");
        let shown = all_resources(&market).await;
        assert_rebuilt_views_equal(&shown, &mut server, db).await;
    }
}
