//! What a service answers to calls of other services, asked directly: who may call, how long it takes, and what a repeat
//! or another content under the same number is answered.

use crate::calls::PROGRAM;
use crate::shared_keys::shared_keys;
use gdmarket_commands::{Clock as _, SystemClock};
use gdmarket_domain::Service;
use gdmarket_service_token::{SERVICE_TOKEN, TokenIssuer};
use gdmarket_testkit::{KeysFile, Server, ServerOptions, TestDb};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

const KEY: &str = "a1";

/// A process with all services answers these calls as one with the called service alone.
async fn serve(db: &TestDb, variables: &[(&str, &str)]) -> (Server, KeysFile) {
    let file = KeysFile::new(KEY);
    let options = ServerOptions::new(PROGRAM).on(db).variable(KeysFile::VARIABLE, &file.path());
    let set = |options: ServerOptions, (name, value): &(&str, &str)| options.variable(name, value);
    (variables.iter().fold(options, set).start().await, file)
}

/// A call with a fresh token and a new command id.
fn call(server: &Server, caller: Service, audience: Service, path: &str) -> RequestBuilder {
    let issuer = TokenIssuer::new(caller, shared_keys(KEY));
    let token = issuer.issue(audience, SystemClock.now(), SystemClock.new_id());
    Client::new().post(server.url(path)).header(SERVICE_TOKEN, token)
}

fn raise(server: &Server, number: i64, command_id: Uuid) -> RequestBuilder {
    let path = format!("/internal/alarms/{number}/raise");
    let call = call(server, Service::Item, Service::Alarm, &path).json(&body(&json!({})));
    call.header("Idempotency-Key", command_id.to_string())
}

fn attempt(server: &Server, caller: Service, amount: i64) -> RequestBuilder {
    let path = "/internal/payments/1/attempt";
    let content = json!({"reservationNo": 7, "itemNo": 3, "amount": amount});
    let call = call(server, caller, Service::Payment, path).json(&body(&content));
    call.header("Idempotency-Key", SystemClock.new_id().to_string())
}

/// A body with what goes with every command.
fn body(content: &Value) -> Value {
    let mut body = content.clone();
    body["context"] = json!({"correlationId": Uuid::from_u128(5), "actor": "operator:local"});
    body
}

async fn answer(call: RequestBuilder) -> (u16, Value) {
    let answer = call.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

async fn refused(call: RequestBuilder, status: u16, code: &str) -> Value {
    let (answered, problem) = answer(call).await;
    assert_eq!((answered, &problem["code"]), (status, &code.into()), "{problem}");
    problem
}

#[tokio::test]
async fn calls_are_for_the_services_that_make_them_and_repeats_have_the_first_answer() {
    let db = TestDb::sqlite();
    let (server, _file) = serve(&db, &[]).await;
    let before = db.head().await;
    let unsigned = Client::new().post(server.url("/internal/alarms/1/raise"));
    refused(unsigned, 401, "service-token-refused").await;
    let foreign = raise(&server, 1, Uuid::nil()).header(SERVICE_TOKEN, "v1.item.alarm.1.1.x");
    refused(foreign, 401, "service-token-refused").await;
    let stranger =
        refused(attempt(&server, Service::Item, 100), 401, "service-token-refused").await;
    let detail = stranger["detail"].as_str().unwrap();
    assert!(detail.contains("reservation") && detail.contains("item"), "{detail}");
    let path = "/internal/alarms/1/raise";
    let without_id = call(&server, Service::Item, Service::Alarm, path).json(&body(&json!({})));
    refused(without_id, 400, "bad-header").await;
    let spent = raise(&server, 1, Uuid::nil()).header("Gdmarket-Timeout-Ms", "10");
    refused(spent, 503, "timed-out").await;
    assert_eq!(db.head().await, before, "nothing was written");

    let id = SystemClock.new_id();
    for number in [4, 5] {
        let raised = answer(raise(&server, number, id)).await;
        assert_eq!(raised, (200, json!({"result": "raised", "itemNo": 4})), "{number}");
    }
    let taken = answer(raise(&server, 4, SystemClock.new_id())).await;
    assert_eq!(taken, (200, json!({"result": "number-taken", "highest": 4})));

    for _ in 0..2 {
        let paid = answer(attempt(&server, Service::Reservation, 100)).await;
        assert_eq!(paid, (200, json!({"outcome": "approved"})));
    }
    let other = answer(attempt(&server, Service::Reservation, 200)).await;
    assert_eq!(other, (200, json!({"outcome": "number-taken", "highest": 1})));
}

#[tokio::test]
async fn service_answers_within_the_time_of_its_caller_and_writes_nothing_after_it() {
    let slow = [
        ("GDMARKET__ALARM__DELAY_MS", "30000"),
        ("GDMARKET__ALARM__ANSWER_WITHIN_MS", "60000"),
        ("GDMARKET__PAYMENT__DELAY_MS", "30000"),
        ("GDMARKET__PAYMENT__ANSWER_WITHIN_MS", "60000"),
    ];
    let db = TestDb::sqlite();
    let (server, _file) = serve(&db, &slow).await;
    let before = db.head().await;
    // Its own limits are longer than the delays: only the caller's limit can end the calls.
    let raise = raise(&server, 1, SystemClock.new_id()).header("Gdmarket-Timeout-Ms", "300");
    refused(raise, 503, "alarm-unavailable").await;
    assert_eq!(db.head().await, before, "an alarm without an answer is not recorded");
    let attempt = attempt(&server, Service::Reservation, 100);
    let paid = answer(attempt.header("x-envoy-expected-rq-timeout-ms", "300")).await;
    assert_eq!(paid, (200, json!({"outcome": "unknown"})));
}
