//! A whole rental with the requests of the original market: numbers as strings, trailing slashes, HAL collections. The
//! steps are those of `rental.json`; the checks of headers and collections are added here.

use crate::app::{Answer, App};
use gdmarket_testkit::on_each_engine;
use serde_json::{Map, Value, json};

const RENTAL: &str = include_str!("../../src/demo/rental.json");

fn members(body: &Value, key: &str) -> Vec<Value> {
    body["_embedded"][key].as_array().cloned().unwrap_or_default()
}

async fn all(app: &App, key: &str) -> Vec<Value> {
    members(&app.get(&format!("/{key}")).expect(200).await.json(), key)
}

on_each_engine! {
    async fn rental_runs_from_registration_to_deletion(db: &TestDb) {
        let app = App::on(db, &[]).await;
        let rental: Value = serde_json::from_str(&with_numbers(RENTAL)).expect("the scenario");
        for step in rental["steps"].as_array().expect("steps") {
            let answer = run(&app, step).await;
            check_more(&app, step["name"].as_str().expect("a name"), &answer).await;
        }
        app.stop().await;
    }
}

/// The numbers that an empty market allocates, as strings in bodies.
fn with_numbers(scenario: &str) -> String {
    let numbers = [
        ("itemNo", "1"),
        ("reservationNo", "1"),
        ("secondReservationNo", "2"),
        ("renterName", "YoungEunSong"),
        ("renter", "1"),
        ("secondRenter", "2"),
        ("thirdRenter", "3"),
    ];
    numbers.iter().fold(scenario.to_owned(), |text, (name, value)| {
        text.replace(&format!("{{{name}}}"), value)
    })
}

/// Sends the request of a step, or reads until the answer is as expected.
async fn run(app: &App, step: &Value) -> Answer {
    let text = |field: &str| step[field].as_str().expect("a text").to_owned();
    let (name, path, status) = (text("name"), text("path"), step["status"].as_u64());
    let status = u16::try_from(status.expect("a status")).expect("a status");
    let fields = expected(step);
    if step["awaits"] == true {
        for (pointer, value) in &fields {
            app.see(&path, pointer, value.clone()).await;
        }
        if fields.is_empty() {
            app.see("/itemInfoes", "/_embedded/itemInfoes", json!([])).await;
        }
        return app.get(&path).expect(status).await;
    }
    let slash = if ["register", "cancel"].contains(&name.as_str()) { "/" } else { "" };
    let mut call = app.call(text("method").parse().expect("a method"), &format!("{path}{slash}"));
    if let Some(body) = step.get("body") {
        call = call.json(&typed_body(&name, body));
    }
    let answer = match fields.iter().find(|(pointer, _)| pointer == "/code") {
        Some((_, code)) => call.refused(status, code.as_str().expect("a code")).await,
        None => call.expect(status).await,
    };
    for (pointer, value) in fields {
        assert_eq!(answer.json().pointer(&pointer), Some(&value), "{name} {pointer}");
    }
    answer
}

/// The fields of a step, with numbers as JSON has them and members as HAL has them.
fn expected(step: &Value) -> Vec<(String, Value)> {
    let field = |field: &Value| {
        let pointer = field[0].as_str().expect("a pointer");
        let pointer = pointer.replace("/items/", "/_embedded/payments/");
        let number = field[1].as_str().and_then(|text| text.parse::<i64>().ok());
        (pointer, number.map_or_else(|| field[1].clone(), Value::from))
    };
    step["fields"].as_array().expect("fields").iter().map(field).collect()
}

/// A later reservation has nothing but what is required.
fn typed_body(name: &str, body: &Value) -> Value {
    if !name.starts_with("reserve-") {
        return body.clone();
    }
    let fields = body.as_object().expect("an object").iter();
    let required = fields.filter(|(field, _)| ["itemNo", "customerId"].contains(&field.as_str()));
    required.map(|(field, value)| (field.clone(), value.clone())).collect::<Map<_, _>>().into()
}

/// What the interface shows besides the expected fields of a step.
async fn check_more(app: &App, name: &str, answer: &Answer) {
    match name {
        "register" => registered(app, answer).await,
        "reserve" => reserved(app, answer).await,
        "take-back" => {
            app.see("/payments", "/_embedded/payments/0/status", json!("Cancelled")).await;
        }
        "pay-again" => {
            app.see("/payments", "/_embedded/payments/1/paymentStatus", json!("Paid")).await;
        }
        "returned" => {
            app.see("/items/1", "/itemStatus", json!("Rentable")).await;
            app.patch("/reservations/1", json!({"paymentStatus": "NotPaid"}))
                .refused(409, "reservation-closed")
                .await;
            app.delete("/reservations/1").refused(409, "reservation-closed").await;
        }
        "free-again" => {
            assert_eq!(app.get("/reservations/2").expect(200).await.json()["status"], "Cancelled");
            app.delete("/reservations/2").expect(200).await;
        }
        "gone" => {
            app.get("/items/1").refused(404, "item-not-found").await;
        }
        "delete-alarm" => {
            app.delete("/items/1").expect(200).await;
        }
        _ => {}
    }
}

async fn registered(app: &App, answer: &Answer) {
    assert_eq!(answer.json()["itemNo"], 1);
    assert_eq!(answer.json()["itemPrice"], 100);
    assert_eq!(answer.header("location"), "/items/1");
    assert!(answer.header("etag").starts_with("\"1."), "{}", answer.header("etag"));
    assert!(!answer.header("gdmarket-at").is_empty());
    let alarms = all(app, "alarms").await;
    assert_eq!(alarms.len(), 1);
    assert_eq!((&alarms[0]["itemNo"], &alarms[0]["alarmStatus"]), (&json!(1), &json!("Alerted")));
    let infos = all(app, "itemInfoes").await;
    let nine = json!({"itemNo": 1, "itemName": "Camera", "itemStatus": "Rentable",
        "itemPrice": 100, "reservationNo": null, "rentalStatus": "NotRenting",
        "customerId": null, "customerName": null, "alarmStatus": "Alerted"});
    for (field, value) in nine.as_object().expect("nine fields") {
        assert_eq!(infos[0].get(field), Some(value), "{field}");
    }
}

async fn reserved(app: &App, answer: &Answer) {
    let body = answer.json();
    assert_eq!(answer.header("location"), "/reservations/1");
    assert_eq!(body["customerName"], "YoungEunSong");
    assert_eq!(body["totalPrice"], 100);
    assert!(body["payBy"].is_string());
    let info = app.get("/itemInfoes/1").expect(200).await.json();
    assert_eq!(info["itemStatus"], "NotRentable");
    assert_eq!(info["reservationNo"], 1);
    assert_eq!(info["customerName"], "YoungEunSong");
}
