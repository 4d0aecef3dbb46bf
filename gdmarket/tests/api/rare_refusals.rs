//! Refusals that take a history to come about: an overdue renter, years of blocks, events of another
//! program, a database that breaks down in the middle of a write.

use crate::app::{App, app};
use chrono::{Days, NaiveDate};
use gdmarket_testkit::{ForeignWriter, PgCluster, TestDb, eventually};
use serde_json::{Value, json};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

fn days(from: NaiveDate, count: u64) -> Value {
    json!({"from": from, "to": from + Days::new(count)})
}

/// An event as no program of today would write it.
async fn write(db: &TestDb, stream: (&str, i64), sequence: i64, event: (&str, &str), body: Value) {
    let ((aggregate, no), (event_type, version)) = (stream, event);
    db.log_sql(&format!(
        "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, \
         payload, metadata) VALUES \
         ('{aggregate}', '{no}', {sequence}, '{event_type}', '{version}', '{body}', '{{}}')"
    ))
    .await;
}

/// The market's day: the first that is taken by whoever reserves from now on.
async fn today(app: &App) -> NaiveDate {
    let item = app.camera().await;
    app.reserved(item, 1).await;
    let calendar = app.get(&format!("/items/{item}/calendar")).expect(200).await.json();
    calendar["busy"][0]["from"].as_str().and_then(|day| day.parse().ok()).expect("a day")
}

/// Of an item that isn't back, today and the days from now on are taken, whatever its period said.
#[tokio::test]
async fn an_item_that_is_overdue_is_reserved_for_nobody_today() {
    let db = TestDb::sqlite();
    let app = App::on(&db, &[("market.time_zone", "Etc/GMT+12")]).await;
    let first = today(&app).await;
    let item = app.camera().await;
    let wish = json!({"itemNo": item, "customerId": 1, "period": days(first, 1)});
    let made = app.post("/reservations", wish).expect(201).await.json();
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
        let wish = json!({"itemNo": item, "customerId": 2, "period": period});
        app.post("/reservations", wish).refused(409, "item-taken").await;
    }
    let wish = json!({"itemNo": item, "customerId": 2, "period": days(tomorrow, 1)});
    app.post("/reservations", wish).expect(201).await;
    app.post(&format!("/items/{item}/return"), json!({})).expect(200).await;
    let wish = json!({"itemNo": item, "customerId": 3, "period": days(today, 1)});
    app.post("/reservations", wish).expect(201).await;
    app.stop().await;
}

/// Paid, and never fetched: the days are over, and cancelling gives the money back.
#[tokio::test]
async fn nothing_is_lent_after_the_last_day() {
    let db = TestDb::sqlite();
    let app = App::on(&db, &[("market.time_zone", "Etc/GMT+12")]).await;
    let first = today(&app).await;
    let item = app.camera().await;
    let wish = json!({"itemNo": item, "customerId": 1, "period": days(first, 1)});
    let made = app.post("/reservations", wish).expect(201).await.json();
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

/// Neither as a renter nor by an operator; the item stays free.
#[tokio::test]
async fn an_owner_reserves_no_item_of_their_own() {
    let app = app().await;
    let body = json!({"itemName": "Drill", "itemPrice": 100});
    let made = app.post("/items", body).actor("owner:5").expect(201).await.json();
    let item = made["itemNo"].as_i64().expect("a number");
    let wish = json!({"itemNo": item, "customerId": 5});
    app.post("/reservations", wish.clone()).actor("renter:5").refused(409, "own-item").await;
    app.post("/reservations", wish).refused(409, "own-item").await;
    let shown = app.get(&format!("/items/{item}")).actor("renter:5").expect(200).await.json();
    let reserve =
        shown["actions"].as_array().and_then(|all| all.iter().find(|a| a["name"] == "reserve"));
    assert_eq!(reserve.expect("an action")["reason"], "own-item");
    let wish = json!({"itemNo": item, "customerId": 6});
    app.post("/reservations", wish).expect(201).await;
}

/// The first renter keeps the item beyond the last day. The day after begins sooner in the east: at
/// every moment it is at least a day later on Kiritimati than in the farthest west.
#[tokio::test]
async fn an_item_that_is_overdue_is_lent_to_nobody_else() {
    let db = TestDb::sqlite();
    let app = App::on(&db, &[("market.time_zone", "Etc/GMT+12")]).await;
    let today = today(&app).await;
    let item = app.camera().await;
    let mut numbers = vec![];
    for (customer, from, count) in [(1, today, 1), (2, today + Days::new(1), 5)] {
        let wish = json!({"itemNo": item, "customerId": customer, "period": days(from, count)});
        let made = app.post("/reservations", wish).expect(201).await.json();
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
async fn an_item_remembers_so_many_blocks_and_no_more() {
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
async fn what_a_newer_program_wrote_is_left_to_it() {
    let db = TestDb::sqlite();
    let app = App::on(&db, &[]).await;
    let item = app.camera().await;
    let body = json!({"ItemChanged": {"itemNo": item, "colour": "red"}});
    write(&db, ("item", item), 2, ("ItemChanged", "99"), body).await;
    let change = json!({"itemName": "Lens"});
    let refused = app.patch(&format!("/items/{item}"), change).refused(503, "newer-program").await;
    assert!(!refused.header("retry-after").is_empty());
    let other = app.camera().await;
    app.patch(&format!("/items/{other}"), json!({"itemName": "Lens"})).expect(200).await;
    app.stop().await;
}

#[tokio::test]
async fn registration_passes_over_a_number_that_was_given_up() {
    let db = TestDb::sqlite();
    let app = App::on(&db, &[]).await;
    for (sequence, event) in [(1, "Alerted"), (2, "AlarmWithdrawn")] {
        let body = json!({event: {"itemNo": 1}});
        write(&db, ("alarm", 1), sequence, (event, "1"), body).await;
    }
    assert_eq!(app.camera().await, 2);
    app.get("/items/1").refused(404, "item-not-found").await;
    assert_eq!(app.camera().await, 3);
    app.stop().await;
}

/// The item can't answer, so the reservation stays as it was asked for.
#[tokio::test]
async fn what_is_only_asked_for_is_not_paid() {
    let db = TestDb::sqlite();
    let app = App::on(&db, &[]).await;
    let item = app.camera().await;
    write(&db, ("item", item), 2, ("ItemTeleported", "1"), json!({"ItemTeleported": {}})).await;
    let wish = json!({"itemNo": item, "customerId": 1});
    let call = app.post("/reservations", wish).header("prefer", "respond-async");
    let asked = call.expect(202).await.json();
    assert_eq!(asked["status"], "Requested");
    let pay = format!("/reservations/{}/payment", asked["reservationNo"]);
    app.post(&pay, json!({})).refused(409, "not-reserved").await;
    app.stop().await;
}

/// The write waits for its turn when the database breaks down, and nobody answers who could say what
/// became of it.
#[test]
fn when_nobody_knows_whether_it_was_done_a_repeat_finds_out() {
    gdmarket_testkit::run(async {
        let cluster = PgCluster::start_new();
        let db = TestDb::on_server(&cluster.url()).await;
        let app = App::on(&db, &[]).await;
        let item = app.camera().await;
        let change = || app.patch(&format!("/items/{item}"), json!({"itemName": "Lens"})).key("k");
        let _holds_it_up = ForeignWriter::begin(&db, 1, false).await;
        let breaks_down = async {
            let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' \
                           AND NOT granted AND database = \
                           (SELECT oid FROM pg_database WHERE datname = current_database())";
            eventually(LIMIT, async || match db.views_number(waiting).await {
                0 => Err("nobody waits"),
                _ => Ok(()),
            })
            .await;
            cluster.crash();
        };
        let (refused, ()) = tokio::join!(change().refused(503, "outcome-unknown"), breaks_down);
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
