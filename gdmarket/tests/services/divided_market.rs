//! A market of one process becomes one of several: every rental goes on from where it was.

use crate::half_done_sagas::HalfDoneSagas;
use gdmarket_testkit::{
    Engine, ServerOptions, SplitMarket, SplitMarketOptions, TestDb, eventually, on_each_engine,
};
use serde_json::{Value, json};
use std::process::Output;
use std::time::Duration;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gdmarket");
const SOON: Duration = Duration::from_mins(1);

/// An archive in a folder of its own.
struct Archive(TempDir);

impl Archive {
    fn path(&self) -> String {
        self.0.path().join("market.ndjson").display().to_string()
    }

    /// Of a market that was stopped with a saga at every step.
    async fn of_half_done_sagas(db: &TestDb) -> Self {
        let mut server = ServerOptions::new(PROGRAM).on(db).start().await;
        server.terminate().await;
        assert!(server.wait(SOON).await.success(), "{}", server.stderr());
        HalfDoneSagas::new().write_for_a_stopped_server(db).await;
        Self::of(db).await
    }

    async fn of(db: &TestDb) -> Self {
        let archive = Self(tempfile::tempdir().unwrap());
        let options = ServerOptions::new(PROGRAM).on(db);
        done(&options.tool(&["events", "export", &archive.path(), "--with-personal-data"]).await);
        archive
    }
}

fn done(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The lines of JSON that a tool has printed.
fn lines(output: &Output) -> Vec<Value> {
    done(output);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The rows of a collection, without what differs between two runs: links and times.
async fn rows(url: &str, collection: &str) -> Vec<Value> {
    let answer = reqwest::get(format!("{url}/{collection}?limit=500")).await.unwrap();
    let page: Value = answer.json().await.unwrap();
    let mut rows = page["_embedded"][collection].as_array().cloned().unwrap_or_default();
    for row in rows.iter_mut().filter_map(Value::as_object_mut) {
        row.retain(|field, _| {
            !field.ends_with("At") && !["_links", "payBy"].contains(&field.as_str())
        });
    }
    rows
}

/// Lets everything that waits for a time go on, except the time to pay.
async fn end_waiting(db: &TestDb) {
    let sql = "UPDATE deadlines SET due_at = 0 WHERE manager NOT LIKE 'reservation_process%'";
    db.views_sql(sql).await;
}

/// What a market in one process makes of the archive.
async fn undivided(archive: &Archive) -> [Vec<Value>; 4] {
    let db = TestDb::sqlite();
    let options = ServerOptions::new(PROGRAM).on(&db);
    done(&options.clone().tool(&["events", "import", &archive.path()]).await);
    let server = options.clone().start().await;
    eventually(SOON, || async {
        end_waiting(&db).await;
        let sagas = lines(&options.clone().tool(&["sagas", "list", "--json"]).await);
        let loops = lines(&options.clone().tool(&["views", "status", "--json"]).await);
        let waiting = sagas.into_iter().filter(|saga| !saga["process"].is_null());
        let behind = loops.into_iter().filter(|of| of["lagEvents"] != 0);
        let rest: Vec<Value> = waiting.chain(behind).collect();
        if rest.is_empty() { Ok(()) } else { Err(rest) }
    })
    .await;
    let url = server.url("");
    [
        rows(&url, "itemInfoes").await,
        rows(&url, "reservations").await,
        rows(&url, "payments").await,
        rows(&url, "alarms").await,
    ]
}

/// Imports the archive once for each process, and starts them.
async fn divided(archive: &Archive, processes: &[(&str, Engine)]) -> SplitMarket {
    let options = SplitMarketOptions::new(PROGRAM);
    let options = processes
        .iter()
        .fold(options, |options, (services, engine)| options.process(services, *engine));
    let mut market = options.prepare().await;
    for (own, _) in processes {
        let path = archive.path();
        let mut arguments = vec!["events", "import", &path, "--service", own];
        for (other, _) in processes.iter().filter(|(other, _)| other != own) {
            arguments.extend(["--other", other]);
        }
        done(&market.tool(own, &arguments).await);
    }
    for (services, _) in processes {
        market.restart(services).await;
    }
    market
}

/// Waits until the services show these rows.
async fn shows(market: &SplitMarket, expected: &[Vec<Value>; 4]) {
    let collections = ["itemInfoes", "reservations", "payments", "alarms"];
    let services = ["item", "reservation", "payment", "alarm"];
    eventually(SOON, || async {
        for (_, db) in market.databases() {
            end_waiting(db).await;
        }
        for ((service, collection), expected) in services.iter().zip(collections).zip(expected) {
            let shown = rows(&market.url(service, ""), collection).await;
            if let Some((shown, expected)) =
                shown.iter().zip(expected).find(|(shown, expected)| shown != expected)
            {
                return Err(json!({"shown": shown, "expected": expected}));
            }
            if shown.len() != expected.len() {
                return Err(json!({collection: shown.len(), "expected": expected.len()}));
            }
        }
        Ok(())
    })
    .await;
}

async fn post(url: &str, body: &Value) -> Value {
    let answer = reqwest::Client::new().post(url).json(body).send().await.unwrap();
    assert!(answer.status().is_success(), "{url}: {answer:?}");
    answer.json().await.unwrap()
}

/// A market that was stopped with a reservation that awaits its payment, a key that is parked, and an event that was dropped.
async fn with_deadline_and_parked_key(db: &TestDb) -> Archive {
    let mut server = ServerOptions::new(PROGRAM).on(db).start().await;
    post(&server.url("/items"), &json!({"itemName": "Camera", "itemPrice": 100})).await;
    let request = json!({"customerName": "Kim", "customerId": 7, "itemNo": 1});
    assert_eq!(post(&server.url("/reservations"), &request).await["status"], "Reserved");
    // The time to pay is written with the checkpoint of the reaction.
    eventually(SOON, || async {
        let deadlines = db.views_number("SELECT count(*) FROM deadlines").await;
        if deadlines > 0 { Ok(()) } else { Err(deadlines) }
    })
    .await;
    server.terminate().await;
    assert!(server.wait(SOON).await.success(), "{}", server.stderr());
    let of = |event_type: &str| {
        format!("SELECT max(position) FROM events WHERE event_type = '{event_type}'")
    };
    let requested = db.log_number(&of("ReservationRequested")).await;
    let held = db.log_number(&of("ItemHeld")).await;
    let payload = json!({
        "correlationId": "00000000-0000-4000-8000-000000000000", "position": held, "traceparent": null, "data": null,
    });
    for sql in [
        format!(
            "INSERT INTO deadlines (manager, key, due_at, payload) \
             VALUES ('reservation_process', 'other', 4102444800000000, '{payload}')"
        ),
        format!(
            "INSERT INTO parked (subscription, key, state, reason, since_position, since_time, attempts, \
             next_try_at) VALUES ('reservation_process', 'other', 'parked', 'a test', {requested}, 0, 3, \
             4102444800000000)"
        ),
        format!(
            "INSERT INTO parked_events (subscription, key, position) VALUES ('reservation_process', 'other', {requested})"
        ),
        format!(
            "INSERT INTO parked_events (subscription, key, position) VALUES ('reservation_process', 'other', {held})"
        ),
        format!(
            "INSERT INTO dropped (subscription, key, position, parked_for, reason, dropped_at) \
             VALUES ('holding', 'other', {requested}, 'a test', 'a test', 0)"
        ),
    ] {
        db.views_sql(&sql).await;
    }
    Archive::of(db).await
}

/// The rows of a table by their subscriptions.
async fn count(db: &TestDb, table: &str, column: &str, subscription: &str) -> i64 {
    db.views_number(&format!("SELECT count(*) FROM {table} WHERE {column} = '{subscription}'"))
        .await
}

on_each_engine! {
    async fn what_is_left_to_do_goes_to_the_log_of_its_event_and_numbers_continue(db: &TestDb) {
        let archive = with_deadline_and_parked_key(db).await;
        let last = db.log_number("SELECT max(position) FROM events").await;
        let market = divided(&archive, &[("item,alarm", db.engine()), ("reservation,payment", Engine::Sqlite)]).await;
        let (items, reservations) = (market.db("item"), market.db("reservation"));
        assert_eq!(count(items, "dropped", "subscription", "holding@reservation").await, 1);
        for (table, at) in [
            ("parked", "reservation_process"),
            ("parked_events", "reservation_process"),
            ("parked", "reservation_process@item"),
            ("parked_events", "reservation_process@item"),
        ] {
            assert_eq!(count(reservations, table, "subscription", at).await, 1, "{table} {at}");
            assert_eq!(count(items, table, "subscription", at).await, 0, "{table} {at}");
        }
        for at in ["reservation_process", "reservation_process@item"] {
            assert_eq!(count(reservations, "deadlines", "manager", at).await, 1, "{at}");
        }
        reservations.views_sql("UPDATE deadlines SET due_at = 0 WHERE manager = 'reservation_process'").await;
        eventually(SOON, || async {
            let rows = rows(&market.url("reservation", ""), "reservations").await;
            let kept = (rows[0]["status"] == "Expired", rows[0]["customerName"] == "Kim");
            if kept == (true, true) { Ok(()) } else { Err(rows) }
        })
        .await;
        let item = post(&market.url("item", "/items"), &json!({"itemName": "Tent", "itemPrice": 5})).await;
        assert_eq!(item["itemNo"], 2);
        for (name, db) in market.databases() {
            let positions = format!("SELECT count(*) FROM events WHERE position = {}", last + 1);
            let next = db.log_number(&positions).await;
            assert_eq!(next, 1, "positions of {name} continue after those of the undivided log");
        }
    }

    async fn market_with_a_saga_at_every_step_ends_alike_in_one_process_and_divided(db: &TestDb) {
        let archive = Archive::of_half_done_sagas(db).await;
        let expected = undivided(&archive).await;
        let market = divided(&archive, &[("item,alarm", db.engine()), ("reservation,payment", Engine::Sqlite)]).await;
        shows(&market, &expected).await;
        drop(market);
        let other = if db.engine() == Engine::Sqlite { Engine::Postgres } else { Engine::Sqlite };
        let engines = [("item", other), ("reservation", db.engine()), ("payment", other), ("alarm", db.engine())];
        let market = divided(&archive, &engines).await;
        shows(&market, &expected).await;
    }
}
