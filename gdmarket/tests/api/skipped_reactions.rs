//! `gdmarket check` names the reactions that a process manager has skipped: commands, refunds, refusals and
//! deadlines. A market in which every reaction is done, waits or is parked passes the check.

use crate::check_command::{assert_found, checked, head};
use crate::command_line::PROGRAM;
use crate::tools::{Tools, register, send};
use gdmarket_testkit::{Server, ServerOptions, TestDb, eventually, on_each_engine};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
const MANAGERS: &str = "'holding', 'reservation_process', 'payment_process', 'alarm_saga', \
                        'abandonment'";

async fn reserve(server: &Server, item: i64) -> i64 {
    let body = json!({"customerName": "Song", "customerId": 9, "itemNo": item});
    let answer = send(server, Method::POST, "/reservations", body).await;
    answer["reservationNo"].as_i64().expect("a number")
}

async fn stop(mut server: Server) {
    server.terminate().await;
    assert_eq!(server.wait(SOON).await.code(), Some(0), "{}", server.stderr());
}

async fn await_status(server: &Server, path: &str, status: &str) {
    eventually(SOON, || async {
        let answer = Client::new().get(server.url(path)).send().await.expect("an answer");
        let body: Value = answer.json().await.expect("JSON");
        if body["status"] == status { Ok(()) } else { Err(body) }
    })
    .await;
}

/// Event number `sequence` of a stream, appended by hand; its position.
async fn append(db: &TestDb, stream: &str, sequence: i64, event: Value) -> i64 {
    let (kind, number) = stream.split_once('/').expect("a stream");
    let event_type = event.as_object().and_then(|event| event.keys().next()).expect("a type");
    db.log_sql(&format!(
        "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, \
         payload, metadata) \
         VALUES ('{kind}', '{number}', {sequence}, '{event_type}', '1', '{event}', '{{}}')"
    ))
    .await;
    head(db).await
}

fn requested(no: i64, item: i64) -> Value {
    json!({"ReservationRequested": {
        "reservationNo": no, "itemNo": item, "renterId": 9, "period": null,
        "askedOn": "2027-01-01",
    }})
}

/// Moves the checkpoints of all managers to the head.
async fn skip_to_head(db: &TestDb) {
    let head = head(db).await;
    let sql =
        format!("UPDATE checkpoints SET position = {head} WHERE subscription IN ({MANAGERS})");
    db.views_sql(&sql).await;
}

/// A market in which item 1 is held unpaid, item 2 is held and paid, and item 3 is free; a second request for
/// item 1 was refused.
async fn played_market(db: &TestDb) -> Server {
    let server = ServerOptions::new(PROGRAM).on(db).start().await;
    for _ in 0..3 {
        register(&server).await;
    }
    assert_eq!(reserve(&server, 1).await, 1);
    let paid = reserve(&server, 2).await;
    send(&server, Method::POST, &format!("/reservations/{paid}/payment"), json!({})).await;
    let refused = json!({"customerName": "Kim", "customerId": 8, "itemNo": 1});
    let call = Client::new().post(server.url("/reservations")).json(&refused);
    assert_eq!(call.send().await.expect("an answer").status(), 409);
    server
}

on_each_engine! {
    async fn market_with_open_deadlines_or_lagging_managers_passes_the_check(db: &TestDb) {
        let server = played_market(db).await;
        let tools = Tools { db };
        send(&server, Method::POST, "/reservations/2/cancel", json!({})).await;
        await_status(&server, "/payments/1", "Cancelled").await;
        assert_eq!(checked(&tools, "check"), (Some(0), vec![]), "while the server runs");
        stop(server).await;
        assert!(db.views_number("SELECT count(*) FROM deadlines").await > 0, "one is open");
        append(db, "reservation/50", 1, requested(50, 3)).await;
        append(db, "alarm/60", 1, json!({"Alerted": {"itemNo": 60}})).await;
        db.log_sql("UPDATE numbers SET last = 100").await;
        assert_eq!(checked(&tools, "check"), (Some(0), vec![]), "behind");
    }

    async fn refund_that_is_neither_done_nor_queued_is_named(db: &TestDb) {
        stop(played_market(db).await).await;
        let away = ServerOptions::new(PROGRAM).on(db).variable("GDMARKET__PAYMENT__FAIL_RATE", "1");
        let server = away.start().await;
        send(&server, Method::POST, "/reservations/2/cancel", json!({})).await;
        await_status(&server, "/payments/1", "Refunding").await;
        stop(server).await;
        let tools = Tools { db };
        // The refund is parked for a retry: a warning names it, and nothing is missing.
        let sql = "SELECT position FROM parked_events WHERE subscription = 'payment_process'";
        let position = db.views_number(sql).await;
        assert_eq!(checked(&tools, "check"), (Some(0), vec![]));
        let report = tools.json("check").remove(0)["warnings"].to_string();
        let waits = format!("position {position}: payment_process has parked payment/1");
        assert!(report.contains(&waits), "{report}");
        for table in ["parked", "parked_events"] {
            db.views_sql(&format!("DELETE FROM {table} WHERE subscription = 'payment_process'")).await;
        }
        let at = format!("position {position}:");
        assert_found(&tools, "reaction-missing", &[&at, "payment_process", "refund of payment/1"]);
        // The repair of the runbook.
        let sql = format!(
            "UPDATE checkpoints SET position = {} WHERE subscription = 'payment_process'",
            position - 1
        );
        db.views_sql(&sql).await;
        let server = ServerOptions::new(PROGRAM).on(db).start().await;
        await_status(&server, "/payments/1", "Cancelled").await;
        stop(server).await;
        assert_eq!(checked(&tools, "check"), (Some(0), vec![]), "repaired");
    }

    async fn deadline_that_neither_waits_nor_is_done_is_named(db: &TestDb) {
        stop(played_market(db).await).await;
        let tools = Tools { db };
        assert_eq!(checked(&tools, "check"), (Some(0), vec![]));
        db.views_sql("DELETE FROM deadlines WHERE manager = 'reservation_process'").await;
        let (exit, faults) = checked(&tools, "check");
        assert_eq!(exit, Some(5));
        assert_eq!(faults.len(), 1, "a paid reservation has no deadline: {faults:?}");
        assert_found(&tools, "deadline-missing", &["reservation_process", "reservation/1"]);
        // Managers whose checkpoints are past the events that set a deadline.
        let event = json!({"PaymentRequested": {
            "reservationNo": 1, "itemNo": 1, "paymentNo": 50, "amount": 100,
        }});
        let sequence = "SELECT max(sequence) + 1 FROM events \
                        WHERE aggregate_type = 'reservation' AND aggregate_id = '1'";
        let sequence = db.log_number(sequence).await;
        let payment = append(db, "reservation/1", sequence, event).await;
        let alarm = append(db, "alarm/60", 1, json!({"Alerted": {"itemNo": 60}})).await;
        skip_to_head(db).await;
        let at = [format!("position {payment}:"), format!("position {alarm}:")];
        assert_found(&tools, "deadline-missing", &[&at[0], "payment_process", "payment/50"]);
        assert_found(&tools, "deadline-missing", &[&at[1], "abandonment", "item/60"]);
    }

    async fn reaction_whose_refusal_is_not_recorded_is_named(db: &TestDb) {
        stop(played_market(db).await).await;
        let tools = Tools { db };
        // Item 1 is taken, and the refusal of the hold is missing. Item 60 has no alarm to withdraw.
        let taken = append(db, "reservation/50", 1, requested(50, 1)).await;
        let abandoned = json!({"RegistrationAbandoned": {"itemNo": 60}});
        let abandoned = append(db, "item/60", 1, abandoned).await;
        skip_to_head(db).await;
        assert_found(&tools, "reaction-missing", &[&format!("position {taken}:"), "holding", "item/1"]);
        assert_found(&tools, "reaction-missing", &[&format!("position {abandoned}:"), "alarm_saga"]);
        // The receipt of a refusal is no proof of a reaction.
        let at = "aggregate_type = 'reservation' AND aggregate_id = '1' AND first_sequence = 2";
        db.log_sql(&format!("UPDATE receipts SET refusal = 'already-reserved' WHERE {at}")).await;
        assert_found(&tools, "reaction-missing", &["reservation_process", "Confirm for reservation/1"]);
    }

    async fn last_of_ten_thousand_reactions_is_looked_up(db: &TestDb) {
        stop(played_market(db).await).await;
        let tools = Tools { db };
        append(db, "reservation/50", 1, requested(50, 1)).await;
        let rejected = json!({"reservationNo": 50, "itemNo": 1, "reason": "item-taken"});
        append(db, "reservation/50", 2, json!({"ReservationRejected": rejected})).await;
        // All of these are done, without receipts.
        db.log_sql(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10001) \
             INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, \
             event_version, payload, metadata) SELECT 'hold', '50', i, 'HoldRefused', '1', \
             '{}', '{{}}' FROM n",
            json!({"HoldRefused": rejected})
        ))
        .await;
        let last = append(db, "reservation/51", 1, requested(51, 3)).await;
        skip_to_head(db).await;
        assert_found(&tools, "reaction-missing", &[&format!("position {last}:"), "holding", "item/3"]);
    }
}
