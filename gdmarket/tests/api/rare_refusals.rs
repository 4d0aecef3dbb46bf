//! Refusals that need a history: an overdue renter, years of blocks, events of another program, a database
//! that crashes during a write.

use crate::app::{App, app};
use chrono::{Days, NaiveDate};
use gdmarket_testkit::{ForeignWriter, PgCluster, TestDb, eventually};
use serde_json::{Value, json};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

fn days(from: NaiveDate, count: u64) -> Value {
    json!({"from": from, "to": from + Days::new(count)})
}

/// An event of another program.
struct ForeignEvent {
    aggregate_type: &'static str,
    number: i64,
    sequence: i64,
    event_type: &'static str,
    version: &'static str,
    body: Value,
}

impl ForeignEvent {
    async fn write(self, db: &TestDb) {
        let Self { aggregate_type, number, sequence, event_type, version, body } = self;
        db.log_sql(&format!(
            "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, \
             payload, metadata) VALUES \
             ('{aggregate_type}', '{number}', {sequence}, '{event_type}', '{version}', '{body}', '{{}}')"
        ))
        .await;
    }
}

/// The market's day: the first day of a reservation that starts now.
async fn today(app: &App) -> NaiveDate {
    let item = app.camera().await;
    app.reserved(item, 1).await;
    let calendar = app.get(&format!("/items/{item}/calendar")).expect(200).await.json();
    calendar["busy"][0]["from"].as_str().and_then(|day| day.parse().ok()).expect("a day")
}

/// Today is taken for an item that isn't returned, although its period is over.
#[tokio::test]
async fn overdue_item_cannot_be_reserved_from_today() {
    let db = TestDb::sqlite();
    let app = App::on(&db, &[("market.time_zone", "Etc/GMT+12")]).await;
    let first = today(&app).await;
    let item = app.camera().await;
    let reservation = json!({"itemNo": item, "customerId": 1, "period": days(first, 1)});
    let made = app.post("/reservations", reservation).expect(201).await.json();
    let no = made["reservationNo"].as_i64().expect("a number");
    app.pay(no).await;
    app.post(&format!("/items/{item}/lend"), json!({})).expect(200).await;
    app.stop().await;
    drop(app);
    let app = App::on(&db, &[("market.time_zone", "Pacific/Kiritimati")]).await;
    let today = today(&app).await;
    assert!(today > first);
    let calendar = app.get(&format!("/items/{item}/calendar")).expect(200).await.json();
    let tomorrow = today + Days::new(1);
    assert_eq!(calendar, json!({"busy": [{"from": first, "to": tomorrow, "overdue": true}]}));
    for period in [Value::Null, days(today, 1), days(today, 3)] {
        let reservation = json!({"itemNo": item, "customerId": 2, "period": period});
        app.post("/reservations", reservation).refused(409, "item-taken").await;
    }
    let reservation = json!({"itemNo": item, "customerId": 2, "period": days(tomorrow, 1)});
    app.post("/reservations", reservation).expect(201).await;
    app.post(&format!("/items/{item}/return"), json!({})).expect(200).await;
    let reservation = json!({"itemNo": item, "customerId": 3, "period": days(today, 1)});
    app.post("/reservations", reservation).expect(201).await;
    app.stop().await;
}

/// A paid item was never fetched: its days are over, and a cancellation is accepted.
#[tokio::test]
async fn item_is_not_lent_after_the_last_day() {
    let db = TestDb::sqlite();
    let app = App::on(&db, &[("market.time_zone", "Etc/GMT+12")]).await;
    let first = today(&app).await;
    let item = app.camera().await;
    let reservation = json!({"itemNo": item, "customerId": 1, "period": days(first, 1)});
    let made = app.post("/reservations", reservation).expect(201).await.json();
    let no = made["reservationNo"].as_i64().expect("a number");
    app.pay(no).await;
    app.stop().await;
    drop(app);
    let app = App::on(&db, &[("market.time_zone", "Pacific/Kiritimati")]).await;
    let lend = format!("/items/{item}/lend");
    app.post(&lend, json!({})).refused(409, "period-over").await;
    app.post(&lend, json!({"reservationNo": no})).refused(409, "period-over").await;
    app.delete(&format!("/reservations/{no}")).expect(200).await;
    app.stop().await;
}

/// Neither the owner as a renter nor an operator for the owner reserves it.
#[tokio::test]
async fn owner_cannot_reserve_their_own_item() {
    let app = app().await;
    let body = json!({"itemName": "Drill", "itemPrice": 100});
    let made = app.post("/items", body).actor("owner:5").expect(201).await.json();
    let item = made["itemNo"].as_i64().expect("a number");
    let reservation = json!({"itemNo": item, "customerId": 5});
    app.post("/reservations", reservation.clone()).actor("renter:5").refused(409, "own-item").await;
    app.post("/reservations", reservation).refused(409, "own-item").await;
    let shown = app.get(&format!("/items/{item}")).actor("renter:5").expect(200).await.json();
    let reserve =
        shown["actions"].as_array().and_then(|all| all.iter().find(|a| a["name"] == "reserve"));
    assert_eq!(reserve.expect("an action")["reason"], "own-item");
    let reservation = json!({"itemNo": item, "customerId": 6});
    app.post("/reservations", reservation).expect(201).await;
}

/// The first renter keeps the item beyond the last day. At every moment the date on Kiritimati is at least one
/// day later than in the farthest west.
#[tokio::test]
async fn overdue_item_is_not_lent_to_the_next_renter() {
    let db = TestDb::sqlite();
    let app = App::on(&db, &[("market.time_zone", "Etc/GMT+12")]).await;
    let today = today(&app).await;
    let item = app.camera().await;
    let mut numbers = vec![];
    for (customer, from, count) in [(1, today, 1), (2, today + Days::new(1), 5)] {
        let reservation =
            json!({"itemNo": item, "customerId": customer, "period": days(from, count)});
        let made = app.post("/reservations", reservation).expect(201).await.json();
        let no = made["reservationNo"].as_i64().expect("a number");
        app.pay(no).await;
        numbers.push(json!({"reservationNo": no}));
    }
    let lend = format!("/items/{item}/lend");
    app.post(&lend, numbers[0].clone()).expect(200).await;
    app.post(&lend, numbers[1].clone()).refused(409, "too-early").await;
    app.stop().await;
    drop(app);
    let app = App::on(&db, &[("market.time_zone", "Pacific/Kiritimati")]).await;
    app.post(&lend, numbers[1].clone()).refused(409, "still-rented").await;
    let calendar = app.get(&format!("/items/{item}/calendar")).expect(200).await.json();
    let to = today + Days::new(6);
    assert_eq!(calendar, json!({"busy": [{"from": today, "to": to, "overdue": true}]}));
    app.post(&format!("/items/{item}/return"), numbers[0].clone()).expect(200).await;
    app.post(&lend, numbers[1].clone()).expect(200).await;
    app.stop().await;
}

#[tokio::test]
async fn item_has_a_limited_number_of_blocks() {
    const BLOCKS: u64 = 400;
    let app = app().await;
    let item = app.camera().await;
    let first = NaiveDate::from_ymd_opt(2040, 1, 1).expect("a day");
    let block = |n: u64| {
        let body = json!({"period": days(first + Days::new(2 * n), 1)});
        app.post(&format!("/items/{item}/block"), body).header("prefer", "respond-async")
    };
    for n in 0..BLOCKS {
        block(n).expect(200).await;
    }
    block(BLOCKS).refused(409, "too-many-blocks").await;
    block(0).expect(200).await;
    let free = json!({"period": days(first, 1)});
    app.post(&format!("/items/{item}/unblock"), free).expect(200).await;
    block(BLOCKS).expect(200).await;
}

#[tokio::test]
async fn stream_of_a_newer_program_is_not_written() {
    let db = TestDb::sqlite();
    let app = App::on(&db, &[]).await;
    let item = app.camera().await;
    let body = json!({"ItemChanged": {"itemNo": item, "colour": "red"}});
    let event = ForeignEvent {
        aggregate_type: "item",
        number: item,
        sequence: 2,
        event_type: "ItemChanged",
        version: "99",
        body,
    };
    event.write(&db).await;
    let change = json!({"itemName": "Lens"});
    let refused = app.patch(&format!("/items/{item}"), change).refused(503, "newer-program").await;
    assert!(!refused.header("retry-after").is_empty());
    let other = app.camera().await;
    app.patch(&format!("/items/{other}"), json!({"itemName": "Lens"})).expect(200).await;
    app.stop().await;
}

#[tokio::test]
async fn registration_skips_an_abandoned_number() {
    let db = TestDb::sqlite();
    let app = App::on(&db, &[]).await;
    for (sequence, event_type) in [(1, "Alerted"), (2, "AlarmWithdrawn")] {
        let body = json!({event_type: {"itemNo": 1}});
        let (aggregate_type, number, version) = ("alarm", 1, "1");
        let event = ForeignEvent { aggregate_type, number, sequence, event_type, version, body };
        event.write(&db).await;
    }
    assert_eq!(app.camera().await, 2);
    app.get("/items/1").refused(404, "item-not-found").await;
    assert_eq!(app.camera().await, 3);
    app.stop().await;
}

/// The item's process manager can't decide, so the reservation stays requested.
#[tokio::test]
async fn requested_reservation_cannot_be_paid() {
    let db = TestDb::sqlite();
    let app = App::on(&db, &[]).await;
    let item = app.camera().await;
    let event = ForeignEvent {
        aggregate_type: "item",
        number: item,
        sequence: 2,
        event_type: "ItemTeleported",
        version: "1",
        body: json!({"ItemTeleported": {}}),
    };
    event.write(&db).await;
    let reservation = json!({"itemNo": item, "customerId": 1});
    let call = app.post("/reservations", reservation).header("prefer", "respond-async");
    let requested = call.expect(202).await.json();
    assert_eq!(requested["status"], "Requested");
    let pay = format!("/reservations/{}/payment", requested["reservationNo"]);
    app.post(&pay, json!({})).refused(409, "not-reserved").await;
    app.stop().await;
}

/// The database crashes while the write waits for a lock, so its outcome is unknown.
#[test]
fn repeated_key_resolves_an_unknown_outcome() {
    gdmarket_testkit::run(async {
        let cluster = PgCluster::start_new();
        let db = TestDb::on_server(&cluster.url()).await;
        let app = App::on(&db, &[]).await;
        let item = app.camera().await;
        let change = || app.patch(&format!("/items/{item}"), json!({"itemName": "Lens"})).key("k");
        let _lock_holder = ForeignWriter::begin(&db, 1, false).await;
        let crash = async {
            let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' \
                           AND NOT granted AND database = \
                           (SELECT oid FROM pg_database WHERE datname = current_database())";
            eventually(LIMIT, async || match db.views_number(waiting).await {
                0 => Err("no lock is waited for"),
                _ => Ok(()),
            })
            .await;
            cluster.crash();
        };
        let (refused, ()) = tokio::join!(change().refused(503, "outcome-unknown"), crash);
        assert!(!refused.header("retry-after").is_empty());
        cluster.start();
        eventually(LIMIT, async || {
            let answer = change().send().await;
            if answer.status == 200 { Ok(()) } else { Err(answer) }
        })
        .await;
        app.see(&format!("/items/{item}"), "/itemName", json!("Lens")).await;
        app.stop().await;
    });
}
