//! The calling service is killed between its own write and the other service's: the repeat under the same key completes
//! the command once.

use crate::calls::{PROGRAM, PROVIDER, pay, provider_entries, read, register, reserve};
use gdmarket_testkit::{Engine, SplitMarket, SplitMarketOptions};
use reqwest::{Client, Method};
use serde_json::{Value, json};

async fn start() -> SplitMarket {
    SplitMarketOptions::new(PROGRAM)
        .process("item", Engine::Sqlite)
        .process("reservation", Engine::Sqlite)
        .process("payment,alarm", Engine::Sqlite)
        .variable("GDMARKET__PAYMENT__ANSWER_WITHIN_MS", "3000")
        .provider(PROVIDER, &[])
        .start()
        .await
}

/// Sends a request during which the service is killed at this point, and starts the service again.
async fn kill_at(
    market: &mut SplitMarket,
    service: &str,
    failpoint: &str,
    interrupted: Interrupted,
) {
    market.set_variable(service, "FAILPOINTS", &format!("{failpoint}=return"));
    market.restart(service).await;
    let Interrupted { path, body } = interrupted;
    let request = Client::new().request(Method::POST, market.url(service, path)).json(&body);
    let sent = request.header("Idempotency-Key", "k").send().await;
    assert!(sent.is_err(), "{service} passes {failpoint}: {sent:?}");
    market.set_variable(service, "FAILPOINTS", "");
    market.restart(service).await;
}

/// A request that has no answer.
struct Interrupted {
    path: &'static str,
    body: Value,
}

#[tokio::test]
async fn registration_and_payment_that_are_killed_between_two_logs_are_completed_once_by_a_repeat()
{
    let mut market = start().await;
    let body = json!({"itemName": "Camera", "itemPrice": 100});
    let interrupted = Interrupted { path: "/items", body };
    kill_at(&mut market, "item", "commands.after-alarm", interrupted).await;
    let item = register(&market, Some("k")).await.expect(201);
    assert_eq!(item["itemNo"], 1, "the alarm's number");
    let alarms = read(&market, "alarm", "/alarms").await;
    assert_eq!(alarms["_embedded"]["alarms"].as_array().map(Vec::len), Some(1), "{alarms}");

    reserve(&market).await.expect(201);
    let interrupted = Interrupted { path: "/reservations/1/payment", body: json!({}) };
    kill_at(&mut market, "reservation", "commands.after-intent", interrupted).await;
    pay(&market, Some("k")).await.expect(200);
    assert_eq!(provider_entries(&market).await.len(), 1);
}
