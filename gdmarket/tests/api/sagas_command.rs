//! `gdmarket sagas`: what is open, what it waits for, and the retry of what is parked, with and without a server.

use crate::command_line::{PROGRAM, errors, folder, run};
use crate::half_done_sagas::{HalfDoneSagas, StepNames};
use crate::tools::{Tools, register, send};
use chrono::{DateTime, Utc};
use gdmarket_testkit::{Server, ServerOptions, TestDb, eventually, on_each_engine};
use insta::assert_json_snapshot;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// A log in which nothing runs, with a saga at every step; returns the open steps.
async fn half_done(db: &TestDb, tools: &Tools<'_>) -> Vec<(String, StepNames)> {
    tools.text("migrate");
    let sagas = HalfDoneSagas::new();
    sagas.write(db).await;
    sagas.open
}

/// Saga, state, step and awaited party of each row, sorted.
fn steps_of(rows: &[Value]) -> Vec<(String, [String; 3])> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let mut steps: Vec<_> = rows
        .iter()
        .map(|row| {
            let step = [text(&row["state"]), text(&row["step"]), text(&row["waitsFor"])];
            (text(&row["saga"]), step)
        })
        .collect();
    steps.sort();
    steps
}

fn owned(steps: Vec<(String, StepNames)>) -> Vec<(String, [String; 3])> {
    steps.into_iter().map(|(saga, step)| (saga, step.map(str::to_owned))).collect()
}

/// The rows of one saga.
fn of_saga(rows: &[Value], saga: &str) -> Vec<Value> {
    rows.iter().filter(|row| row["saga"] == saga).cloned().collect()
}

/// Waits until the open steps are these.
async fn await_steps(tools: &Tools<'_>, expected: &[(&str, [&str; 3])]) -> Vec<Value> {
    let expected: Vec<_> =
        expected.iter().map(|(saga, step)| ((*saga).to_owned(), step.map(str::to_owned))).collect();
    eventually(SOON, || async {
        let rows = tools.json("sagas list");
        if steps_of(&rows) == expected { Ok(rows) } else { Err(rows) }
    })
    .await
}

/// A paid reservation, whose charge has then another amount in the gateway's books.
async fn paid_with_other_books(db: &TestDb) -> Server {
    let server = ServerOptions::new(PROGRAM).on(db).start().await;
    register(&server).await;
    let body = json!({"customerName": "Song", "customerId": 9, "itemNo": 1});
    send(&server, Method::POST, "/reservations", body).await;
    send(&server, Method::POST, "/reservations/1/payment", json!({})).await;
    await_steps(&Tools { db }, &[("reservation/1", ["Paid", "lend", "owner"])]).await;
    change_amount(db, 100, 99).await;
    server
}

async fn change_amount(db: &TestDb, from: i64, to: i64) {
    db.log_sql(&format!(
        "UPDATE books SET value = replace(value, '\"amount\":{from}', '\"amount\":{to}')"
    ))
    .await;
}

/// Parks a key at the first event of its stream, or at the first event of all.
async fn park(db: &TestDb, manager: &str, key: &str, state: &str) {
    let (kind, number) = key.split_once('/').expect("a key");
    let sql = format!(
        "SELECT coalesce(min(position), 1) FROM events \
         WHERE aggregate_type = '{kind}' AND aggregate_id = '{number}'"
    );
    let position = db.log_number(&sql).await;
    db.views_sql(&format!(
        "INSERT INTO parked (subscription, key, state, reason, since_position, since_time, \
         attempts, next_try_at) VALUES ('{manager}', '{key}', '{state}', 'out of order', \
         {position}, 0, 3, 4102444800000000)"
    ))
    .await;
}

/// Everything that a tool could have changed.
async fn stored(db: &TestDb) -> Vec<i64> {
    let mut counts = vec![];
    for table in ["parked", "parked_events", "deadlines", "dropped", "checkpoints", "leases"] {
        counts.push(db.views_number(&format!("SELECT count(*) FROM {table}")).await);
    }
    counts.push(db.log_number("SELECT coalesce(max(position), 0) FROM events").await);
    counts
}

on_each_engine! {
    async fn every_half_done_saga_shows_its_step_and_what_it_waits_for(db: &TestDb) {
        let tools = Tools { db };
        let expected = owned(half_done(db, &tools).await);
        let before = stored(db).await;
        let rows = tools.json("sagas list");
        assert_eq!(steps_of(&rows), expected);
        assert_eq!(stored(db).await, before, "a list changes nothing");
        for (saga, _) in &expected {
            let shown = tools.json(&format!("sagas show {saga}")).remove(0);
            let steps = shown["steps"].as_array().expect("steps").clone();
            let listed = of_saga(&rows, saga);
            assert_eq!(steps_of(&steps), steps_of(&listed), "{saga}");
            assert_eq!(shown["isOpen"], true, "{saga}");
            assert!(steps.iter().all(|step| step["next"].is_string()), "{shown}");
        }
        for saga in ["reservation/4", "reservation/17", "reservation/25", "item/63", "item/65"] {
            let shown = tools.json(&format!("sagas show {saga}")).remove(0);
            assert_eq!(shown["isOpen"], false, "{shown}");
            assert!(tools.text(&format!("sagas show {saga}")).contains("Nothing is open."));
        }
        let since = |row: &Value| row["since"].as_str()?.parse::<DateTime<Utc>>().ok();
        let times: Vec<_> = rows.iter().map(|row| since(row).expect("a time")).collect();
        assert!(times.is_sorted(), "the one that waits longest is the first: {times:?}");
    }

    /// What is listed is what process managers really do next: a server that takes over leaves nothing for them.
    async fn server_takes_every_step_that_waits_for_a_process(db: &TestDb) {
        let mut server = ServerOptions::new(PROGRAM).on(db).start().await;
        server.terminate().await;
        assert_eq!(server.wait(SOON).await.code(), Some(0), "{}", server.stderr());
        let (tools, sagas) = (Tools { db }, HalfDoneSagas::new());
        sagas.write_for_a_stopped_server(db).await;
        assert_eq!(steps_of(&tools.json("sagas list")), owned(sagas.open));
        server.restart().await;
        let rows = eventually(SOON, || async {
            // Questions to the gateway and the end of registrations have their times.
            db.views_sql("UPDATE deadlines SET due_at = 0 WHERE manager <> 'reservation_process'").await;
            let rows = tools.json("sagas list");
            if rows.iter().all(|row| row["process"].is_null()) { Ok(rows) } else { Err(rows) }
        })
        .await;
        let persons = ["renter", "owner", "operator"];
        let awaits_person = |row: &Value| persons.iter().any(|person| row["waitsFor"] == *person);
        assert!(rows.iter().all(awaits_person), "{rows:?}");
        // The gateway knows none of these charges, so that it refuses their refunds.
        let failed: Vec<&Value> = rows.iter().filter(|row| row["isFailed"] == true).collect();
        assert!(failed.iter().all(|row| row["step"] == "settle-refund"), "{failed:?}");
        let refused = [18, 19, 22, 23, 24, 26, 29, 30].map(|no| format!("reservation/{no}"));
        let sagas: BTreeSet<&str> = failed.iter().filter_map(|row| row["saga"].as_str()).collect();
        assert_eq!(sagas, refused.iter().map(String::as_str).collect());
        let parked = tools.json("parked list");
        assert!(parked.iter().all(|of| of["subscription"] == "payment_process"), "{parked:?}");
    }

    async fn open_sagas_are_selected_by_failure_service_and_number(db: &TestDb) {
        let tools = Tools { db };
        let all = owned(half_done(db, &tools).await);
        let failed = tools.json("sagas list --failed");
        let refused = ["Cancelled", "settle-refund", "operator"].map(str::to_owned);
        assert_eq!(steps_of(&failed), [("reservation/24".to_owned(), refused)]);
        assert_eq!(failed[0]["error"], "the gateway refuses the refund");
        let mut of_services = vec![];
        for service in ["item", "reservation", "payment", "alarm"] {
            let rows = tools.json(&format!("sagas list --service {service}"));
            assert!(rows.iter().all(|row| row["service"] == service), "{rows:?}");
            of_services.extend(rows);
        }
        assert_eq!(steps_of(&of_services), all);
        let three = tools.run("sagas list --limit 3 --json");
        assert_eq!(String::from_utf8_lossy(&three.stdout).lines().count(), 3);
        let note = format!("{} more: --limit {}", all.len() - 3, all.len());
        assert!(errors(&three).contains(&note), "{}", errors(&three));
    }

    async fn everything_that_is_parked_or_unreadable_is_shown_or_counted(db: &TestDb) {
        let tools = Tools { db };
        half_done(db, &tools).await;
        let [parked, retrying] = ["parked", "retrying"];
        park(db, "holding", "reservation/1", retrying).await;
        park(db, "reservation_process", "reservation/17", parked).await;
        park(db, "payment_process", "payment/25", parked).await;
        park(db, "holding", "item/abc@17", parked).await;
        db.log_sql(
            "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, \
             event_version, payload, metadata) \
             VALUES ('reservation', '70', 1, 'Nonsense', '1', '{}', '{}')",
        )
        .await;
        let expected = [
            ("reservation/1", ["Requested", "hold", "item"]),
            ("reservation/17", ["Completed", "react", "reservation"]),
            ("reservation/24", ["Cancelled", "settle-refund", "operator"]),
            ("reservation/25", ["Cancelled", "react", "payment"]),
        ];
        let rows = tools.json("sagas list --failed");
        let expected = expected.map(|(saga, step)| (saga.to_owned(), step));
        assert_eq!(steps_of(&rows), owned(expected.to_vec()));
        let waiting = &of_saga(&rows, "reservation/1")[0];
        assert_eq!(waiting["parked"][0]["nextTryAt"], "2100-01-01T00:00:00Z", "{waiting}");
        assert_eq!(waiting["error"], "out of order");
        assert_eq!(of_saga(&rows, "reservation/25")[0]["paymentNo"], 25);
        let notes = errors(&tools.run("sagas list"));
        for note in ["Parked, and of no saga: 1", "can't be read are left out: 1"] {
            assert!(notes.contains(note), "{note} is missing in {notes}");
        }
        let text = tools.text("sagas show 1");
        assert!(text.contains("tried again by itself at 2100-01-01T00:00:00.000Z"), "{text}");
        let text = tools.text("sagas show 17");
        assert!(text.contains("gdmarket parked drop reservation_process reservation/17"), "{text}");
    }

    async fn table_of_open_sagas_fits_a_hundred_columns(db: &TestDb) {
        let tools = Tools { db };
        half_done(db, &tools).await;
        let table = tools.text("sagas list");
        let long: Vec<&str> = table.lines().filter(|line| line.chars().count() > 100).collect();
        assert_eq!(long, [""; 0]);
        assert!(table.starts_with("saga "), "{table}");
        let lent = table.lines().find(|line| line.starts_with("reservation/15 ")).expect("a row");
        let words: Vec<&str> = lent.split_whitespace().collect();
        assert_eq!(words[1..4], ["Renting", "return", "renter"]);
        assert_eq!(words[5], "2027-01-08", "the day of return: {lent}");
        let shown = tools.text("sagas show 22");
        for part in [
            "reservation/22 of item/22: Cancelled", "release: waits for the item to release the days",
            "refund payment/22: waits for the payment to refund the money",
            "next: start a server: no process runs holding", "ReservationCancelled",
        ] {
            assert!(shown.contains(part), "{part} is missing in {shown}");
        }
    }

    async fn json_of_sagas_keeps_its_shape(db: &TestDb) {
        let server = paid_with_other_books(db).await;
        let tools = Tools { db };
        send(&server, Method::POST, "/reservations/1/cancel", json!({})).await;
        await_failed(&tools).await;
        let mut rows = tools.json("sagas list");
        let other_db = TestDb::sqlite();
        let others = Tools { db: &other_db };
        half_done(&other_db, &others).await;
        rows.extend(others.json("sagas list"));
        assert_json_snapshot!("sagas_list", crate::frozen::shape_of_lines(&rows));
        let mut shown = tools.json("sagas show 1").remove(0);
        shown["events"] = json!([]);
        assert_json_snapshot!("sagas_show", crate::frozen::shape_of_lines(&[shown]));
    }

    async fn parked_step_shows_its_error_and_is_retried_to_the_end(db: &TestDb) {
        let server = paid_with_other_books(db).await;
        let tools = Tools { db };
        send(&server, Method::POST, "/reservations/1/cancel", json!({})).await;
        let row = await_failed(&tools).await;
        assert!(row["error"].as_str().expect("text").contains("payment-mismatch"), "{row}");
        assert_eq!((&row["step"], &row["service"]), (&json!("refund"), &json!("payment")));
        assert_eq!(row["parked"][0]["key"], "payment/1");
        assert_eq!(row["parked"][0]["nextTryAt"], Value::Null, "only a person has it tried again");
        assert_eq!(tools.json("sagas list --failed --service item"), [Value::Null; 0]);
        let shown = tools.text("sagas show 1");
        for part in ["payment-mismatch", "gdmarket sagas retry reservation/1", "PaymentCancellationStarted"] {
            assert!(shown.contains(part), "{part} is missing in {shown}");
        }
        let table = tools.text("sagas list");
        assert!(table.contains("    parked: "), "{table}");
        let (code, message) = tools.refused("sagas retry 1");
        assert_eq!((code, message.contains("payment-mismatch")), (Some(1), true), "{message}");
        change_amount(db, 99, 100).await;
        let retried = tools.json("sagas retry reservation/1");
        assert_eq!((retried.len(), &retried[0]["outcome"]), (1, &json!("goes-on")), "{retried:?}");
        await_steps(&tools, &[]).await;
        let (code, message) = tools.refused("sagas retry 1");
        assert_eq!((code, message.contains("nothing is parked")), (Some(1), true), "{message}");
    }

    async fn running_rental_is_open_until_it_is_brought_back(db: &TestDb) {
        let server = ServerOptions::new(PROGRAM).on(db).start().await;
        let tools = Tools { db };
        register(&server).await;
        await_steps(&tools, &[]).await;
        let none = tools.run("sagas list");
        assert!(errors(&none).contains("No saga is open."), "{}", errors(&none));
        let body = json!({"customerName": "Song", "customerId": 9, "itemNo": 1});
        send(&server, Method::POST, "/reservations", body).await;
        let unpaid = await_steps(&tools, &[("reservation/1", ["Unpaid", "pay", "renter"])]).await;
        assert!(unpaid[0]["deadline"].is_string(), "{unpaid:?}");
        send(&server, Method::POST, "/reservations/1/payment", json!({})).await;
        await_steps(&tools, &[("reservation/1", ["Paid", "lend", "owner"])]).await;
        send(&server, Method::POST, "/items/1/lend", json!({})).await;
        await_steps(&tools, &[("reservation/1", ["Renting", "return", "renter"])]).await;
        send(&server, Method::POST, "/items/1/return", json!({})).await;
        await_steps(&tools, &[]).await;
        let deleted = Client::new().delete(server.url("/items/1")).send().await.expect("an answer");
        assert!(deleted.status().is_success(), "{}", deleted.status());
        await_steps(&tools, &[]).await;
    }

    async fn dropped_reaction_leaves_its_saga_open_with_the_reason(db: &TestDb) {
        let server = paid_with_other_books(db).await;
        let tools = Tools { db };
        send(&server, Method::POST, "/reservations/1/cancel", json!({})).await;
        await_failed(&tools).await;
        tools.text("parked drop payment_process payment/1 --reason settled-by-phone");
        let row = eventually(SOON, || async {
            let rows = tools.json("sagas list --failed");
            let is_it = rows.len() == 1 && rows[0]["parked"] == json!([]);
            if is_it { Ok(rows[0].clone()) } else { Err(rows) }
        })
        .await;
        assert_eq!(row["error"], "dropped by an operator: settled-by-phone");
        assert_eq!(row["step"], "refund");
    }
}

/// Waits until the refund of the only saga has failed, and is its only open step.
async fn await_failed(tools: &Tools<'_>) -> Value {
    eventually(SOON, || async {
        let rows = tools.json("sagas list");
        let is_parked = |row: &Value| row["parked"][0]["state"] == "parked";
        if rows.len() == 1 && is_parked(&rows[0]) { Ok(rows[0].clone()) } else { Err(rows) }
    })
    .await
}

#[test]
fn wrong_arguments_of_sagas_name_themselves() {
    gdmarket_testkit::run(async {
        let db = TestDb::sqlite();
        let tools = Tools { db: &db };
        tools.text("migrate");
        for (line, code, words) in [
            ("sagas list --service shipping", 2, "shipping"),
            ("sagas list --limit 0", 2, "0"),
            ("sagas list 7", 2, "7"),
            ("sagas show payment/7", 2, "payment/7"),
            ("sagas show 0", 2, "reservation/7, item/3"),
            ("sagas show", 2, "RESERVATION|SAGA"),
            ("sagas retry seven", 2, "seven"),
            ("sagas", 2, "sagas"),
            ("sagas show 99", 1, "there is no reservation/99"),
            ("sagas show item/99", 1, "there is no item/99"),
            ("sagas retry 99", 1, "there is no reservation/99"),
        ] {
            let (exit, message) = tools.refused(line);
            assert_eq!(exit, Some(code), "{line}: {message}");
            assert!(message.contains(words), "{line}: {message}");
        }
    });
}

#[test]
fn help_of_sagas_shows_examples() {
    let folder = folder();
    for command in ["list", "show", "retry"] {
        let help = run(folder.path(), &["sagas", command, "--help"], &[]);
        assert_eq!(help.status.code(), Some(0));
        let text = String::from_utf8_lossy(&help.stdout).into_owned();
        assert!(text.contains("Examples:\n  gdmarket sagas list"), "{text}");
    }
}
