//! Payments whose outcome contradicts the log, or whose refund is refused for good: an operator sees each of
//! them, and settles it with `gdmarket payments settle` while the server runs.

use crate::command_line::PROGRAM;
use crate::tools::{Tools, register, send};
use gdmarket_commands::GATEWAY_NAMESPACE;
use gdmarket_testkit::{Server, ServerOptions, TestDb, eventually, on_each_engine};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(30);

async fn shown(server: &Server, path: &str) -> Value {
    let answer = Client::new().get(server.url(path)).send().await;
    answer.expect("an answer").json().await.expect("JSON")
}

async fn see(server: &Server, path: &str, field: &str, expected: &str) {
    eventually(SOON, || async {
        let shown = shown(server, path).await;
        if shown[field] == expected { Ok(()) } else { Err(shown) }
    })
    .await;
}

/// A reservation of a camera for 100 won.
async fn reserved(server: &Server) {
    register(server).await;
    let body = json!({"customerName": "Song", "customerId": 9, "itemNo": 1});
    send(server, Method::POST, "/reservations", body).await;
}

/// The gateway has charged another amount than requested, and its answer was lost.
async fn charge_another_amount(db: &TestDb, tools: &Tools<'_>) {
    let identity = tools.json("check")[0]["logId"].as_str().expect("an id").to_owned();
    let log_id: Uuid = identity.parse().expect("an id");
    let mut name = vec![];
    for part in [log_id.as_bytes().as_slice(), 1_i64.to_be_bytes().as_slice()] {
        name.extend_from_slice(&u64::try_from(part.len()).expect("a length").to_be_bytes());
        name.extend_from_slice(part);
    }
    let key = Uuid::new_v5(&GATEWAY_NAMESPACE, &name);
    let charge = json!({"kind": "charge", "key": key, "paymentNo": 1, "amount": 99});
    db.log_sql(&format!(
        "INSERT INTO books (book, key, value) VALUES ('payment-gateway', 'charge/{key}', '{charge}')"
    ))
    .await;
    let request = json!({"PaymentRequested":
        {"reservationNo": 1, "itemNo": 1, "paymentNo": 1, "amount": 100}});
    db.log_sql(&format!(
        "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, \
         payload, metadata) VALUES ('reservation', '1', 3, 'PaymentRequested', '1', '{request}', '{{}}')"
    ))
    .await;
    db.log_sql("INSERT INTO numbers (kind, last) VALUES ('payment', 1)").await;
    let rows = "SELECT count(*) FROM deadlines WHERE key = 'payment/1'";
    eventually(SOON, || async {
        let count = db.views_number(rows).await;
        if count == 1 { Ok(()) } else { Err(count) }
    })
    .await;
    db.views_sql("UPDATE deadlines SET due_at = 0 WHERE key = 'payment/1'").await;
}

fn parked(tools: &Tools<'_>) -> Vec<Value> {
    tools.json("parked list")
}

/// Waits until payment 1 is the only parked key, and returns its row.
async fn await_parked(tools: &Tools<'_>, reason: &str) -> Value {
    eventually(SOON, || async {
        let listed = parked(tools);
        let is_it = |of: &Value| {
            of["subscription"] == "payment_process"
                && of["key"] == "payment/1"
                && of["reason"].as_str().is_some_and(|is| is.contains(reason))
        };
        if listed.len() == 1 && is_it(&listed[0]) { Ok(listed[0].clone()) } else { Err(listed) }
    })
    .await
}

async fn await_nothing_parked(tools: &Tools<'_>) {
    eventually(SOON, || async {
        let listed = parked(tools);
        if listed.is_empty() { Ok(()) } else { Err(listed) }
    })
    .await;
}

async fn await_parked_metric(server: &Server, count: &str) {
    let line = format!("gdmarket_projection_parked{{subscription=\"payment_process\"}} {count}");
    eventually(SOON, || async {
        let metrics = Client::new().get(server.url("/metrics")).send().await.expect("an answer");
        let metrics = metrics.text().await.expect("text");
        if metrics.lines().any(|other| other == line) { Ok(()) } else { Err(metrics) }
    })
    .await;
}

/// The warnings of a check about parked keys.
fn parked_warnings(tools: &Tools<'_>) -> Vec<String> {
    let report = tools.json("check --quick").remove(0);
    let warnings = report["warnings"].as_array().expect("warnings").iter();
    let parked = warnings.filter(|warning| warning["code"] == "parked");
    parked.map(|warning| warning["detail"].as_str().expect("text").to_owned()).collect()
}

fn settle(tools: &Tools<'_>, outcome: &str) -> Value {
    tools.json(&format!("payments settle 1 --outcome {outcome} --reason by-phone --yes")).remove(0)
}

fn recorded(outcome: &str, is_new: bool, status: &str) -> Value {
    json!({"payment": 1, "outcome": outcome, "recorded": is_new, "status": status})
}

/// The last event of payment 1: its type, its actor, and the reason that the operator gave.
fn last_event(tools: &Tools<'_>) -> [String; 3] {
    let last = tools.json("events list --payment 1").pop().expect("an event");
    let position = last["position"].as_i64().expect("a position");
    let event = tools.json(&format!("events show {position}")).remove(0);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    [text(&event["type"]), text(&event["actor"]), text(&event["metadata"]["reason"])]
}

/// A paid reservation that is cancelled, after the gateway's books were changed.
async fn cancelled_after(server: &Server, db: &TestDb, change: &str) {
    reserved(server).await;
    send(server, Method::POST, "/reservations/1/payment", json!({})).await;
    see(server, "/payments/1", "status", "Approved").await;
    db.log_sql(change).await;
    send(server, Method::POST, "/reservations/1/cancel", json!({})).await;
}

const OTHER_AMOUNT: &str =
    "UPDATE books SET value = replace(value, '\"amount\":100', '\"amount\":99')";
const NO_CHARGE: &str = "DELETE FROM books";

on_each_engine! {
    async fn charge_of_another_amount_is_parked_until_an_operator_records_it(db: &TestDb) {
        let server = ServerOptions::new(PROGRAM).on(db).start().await;
        let tools = Tools { db };
        reserved(&server).await;
        charge_another_amount(db, &tools).await;
        let listed = await_parked(&tools, "payment-mismatch").await;
        assert_eq!((&listed["isDeadline"], &listed["state"]), (&json!(true), &json!("retrying")));
        await_parked_metric(&server, "1").await;
        assert_eq!(parked_warnings(&tools).len(), 1, "{:?}", parked_warnings(&tools));
        assert!(parked_warnings(&tools)[0].contains("payment_process payment/1"));
        assert_eq!(shown(&server, "/payments/1").await["status"], "Pending");
        let shows = tools.json("parked show payment_process payment/1").remove(0);
        assert_eq!(shows["events"][0]["type"], "PaymentRequested");
        let (code, message) = tools.refused("parked retry payment_process payment/1");
        assert_eq!(code, Some(1), "{message}");
        assert!(message.contains("payment-mismatch"), "{message}");

        assert_eq!(settle(&tools, "charged"), recorded("charged", true, "Approved"));
        assert_eq!(last_event(&tools), ["PaymentApproved", "operator:local", "by-phone"]);
        see(&server, "/reservations/1", "paymentStatus", "Paid").await;
        await_nothing_parked(&tools).await;
        await_parked_metric(&server, "0").await;
        assert_eq!(parked_warnings(&tools), [""; 0]);
        assert_eq!(settle(&tools, "charged"), recorded("charged", false, "Approved"));
    }

    async fn payment_recorded_as_not_charged_can_be_paid_again(db: &TestDb) {
        let mut server = ServerOptions::new(PROGRAM).on(db).start().await;
        let tools = Tools { db };
        reserved(&server).await;
        charge_another_amount(db, &tools).await;
        await_parked(&tools, "payment-mismatch").await;
        server.restart().await;
        await_parked(&tools, "payment-mismatch").await;
        await_parked_metric(&server, "1").await;
        assert_eq!(settle(&tools, "not-charged"), recorded("not-charged", true, "Declined"));
        assert_eq!(last_event(&tools), ["PaymentDeclined", "operator:local", "by-phone"]);
        eventually(SOON, || async {
            let last = tools.json("events list --reservation 1").pop().expect("an event");
            if last["type"] == "PaymentFailed" { Ok(()) } else { Err(last) }
        })
        .await;
        await_nothing_parked(&tools).await;
        let paid = send(&server, Method::POST, "/reservations/1/payment", json!({})).await;
        assert_eq!(paid["paymentStatus"], "Paid");
        assert_eq!(shown(&server, "/payments/2").await["status"], "Approved");
    }

    async fn refund_of_another_amount_is_parked_until_an_operator_records_it(db: &TestDb) {
        let mut server = ServerOptions::new(PROGRAM).on(db).start().await;
        let tools = Tools { db };
        cancelled_after(&server, db, OTHER_AMOUNT).await;
        let listed = await_parked(&tools, "payment-mismatch").await;
        assert_eq!((&listed["isDeadline"], &listed["state"]), (&json!(false), &json!("parked")));
        assert_eq!(shown(&server, "/payments/1").await["status"], "Refunding");
        // Also while no server runs.
        server.terminate().await;
        server.wait(SOON).await;
        assert_eq!(settle(&tools, "refunded"), recorded("refunded", true, "Cancelled"));
        assert_eq!(last_event(&tools), ["PaymentCancelled", "operator:local", "by-phone"]);
        server.restart().await;
        await_nothing_parked(&tools).await;
        see(&server, "/payments/1", "status", "Cancelled").await;
    }

    /// A program without `RefundRefused` parked the refund and wrote nothing.
    async fn refund_refused_under_an_older_program_is_parked_and_settled(db: &TestDb) {
        let mut server = ServerOptions::new(PROGRAM).on(db).start().await;
        let tools = Tools { db };
        cancelled_after(&server, db, NO_CHARGE).await;
        await_parked(&tools, "refund-refused").await;
        server.terminate().await;
        server.wait(SOON).await;
        rewrite_as_older_program(db).await;
        tools.text("replay payments --promote");
        server.restart().await;
        assert_eq!(shown(&server, "/payments/1").await["status"], "Refunding");
        await_parked(&tools, "refund-refused").await;
        await_parked_metric(&server, "1").await;
        assert_eq!(parked_warnings(&tools).len(), 1, "{:?}", parked_warnings(&tools));

        assert_eq!(settle(&tools, "refused"), recorded("refused", true, "RefundRefused"));
        see(&server, "/payments/1", "status", "RefundRefused").await;
        await_parked(&tools, "refund-refused").await;
        assert_eq!(settle(&tools, "refunded"), recorded("refunded", true, "Cancelled"));
        see(&server, "/payments/1", "status", "Cancelled").await;
        await_nothing_parked(&tools).await;
    }

    /// The same market after its checkpoints and parked keys are lost: the gateway is asked again.
    async fn refund_refused_under_an_older_program_is_found_without_its_parked_key(db: &TestDb) {
        let mut server = ServerOptions::new(PROGRAM).on(db).start().await;
        let tools = Tools { db };
        cancelled_after(&server, db, NO_CHARGE).await;
        await_parked(&tools, "refund-refused").await;
        server.terminate().await;
        server.wait(SOON).await;
        rewrite_as_older_program(db).await;
        db.forget_views().await;
        server.restart().await;
        await_parked(&tools, "refund-refused").await;
        see(&server, "/payments/1", "status", "RefundRefused").await;
    }

    async fn settlement_that_does_not_fit_the_payment_is_refused(db: &TestDb) {
        let server = ServerOptions::new(PROGRAM).on(db).start().await;
        let tools = Tools { db };
        reserved(&server).await;
        send(&server, Method::POST, "/reservations/1/payment", json!({})).await;
        let refused = |rest: &str, code: i32, words: &str| {
            let (exit, message) = tools.refused(&format!("payments settle {rest}"));
            assert_eq!(exit, Some(code), "{rest}: {message}");
            assert!(message.contains(words), "{rest}: {message}");
        };
        refused("9 --outcome charged --reason x --yes", 1, "no payment 9");
        refused("1 --outcome not-charged --reason x --yes", 1, "Approved");
        refused("1 --outcome refunded --reason x --yes", 1, "Approved");
        refused("1 --outcome refused --reason x --yes", 1, "Approved");
        refused("1 --outcome charged --reason x", 2, "--yes");
        refused("1 --outcome charged --yes", 2, "--reason");
        refused("1 --outcome paid --reason x --yes", 2, "not-charged");
        refused("0 --outcome charged --reason x --yes", 2, "0");
        assert_eq!(settle(&tools, "charged"), recorded("charged", false, "Approved"));
    }
}

/// Writes the log of an older program, in which a refused refund is no event: a second start of the refund
/// has no effect.
async fn rewrite_as_older_program(db: &TestDb) {
    let started = json!({"PaymentCancellationStarted": {"paymentNo": 1, "reservationNo": 1}});
    db.log_sql(&format!(
        "UPDATE events SET event_type = 'PaymentCancellationStarted', payload = '{started}' \
         WHERE event_type = 'PaymentRefundRefused'"
    ))
    .await;
    db.log_sql("DELETE FROM receipts WHERE aggregate_type = 'payment' AND first_sequence = 4")
        .await;
}
