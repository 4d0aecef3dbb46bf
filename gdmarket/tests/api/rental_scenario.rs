//! A whole rental with the requests of the original market: numbers as strings, trailing slashes, HAL
//! collections.

use crate::app::App;
use gdmarket_testkit::on_each_engine;
use serde_json::{Value, json};

fn members(body: &Value, key: &str) -> Vec<Value> {
    body["_embedded"][key].as_array().cloned().unwrap_or_default()
}

async fn all(app: &App, key: &str) -> Vec<Value> {
    members(&app.get(&format!("/{key}")).expect(200).await.json(), key)
}

on_each_engine! {
    async fn rental_runs_from_registration_to_deletion(db: &TestDb) {
        let app = App::on(db, &[]).await;
        register(&app).await;
        reserve(&app).await;
        pay_take_back_and_pay_again(&app).await;
        lend_and_return(&app).await;
        reserve_again_and_cancel(&app).await;
        delete(&app).await;
        app.stop().await;
    }
}

async fn register(app: &App) {
    let camera = json!({"itemName": "Camera", "itemPrice": "100",
        "itemStatus": "Rentable", "rentalStatus": "NotRenting"});
    let answer = app.post("/items/", camera).expect(201).await;
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

async fn reserve(app: &App) {
    let body = json!({"customerName": "YoungEunSong", "customerId": "1", "itemNo": "1",
        "itemName": "Camera", "itemPrice": "100", "paymentStatus": "NotPaid",
        "rentalStatus": "NotRenting"});
    let answer = app.post("/reservations", body).expect(201).await;
    let made = answer.json();
    assert_eq!(answer.header("location"), "/reservations/1");
    assert_eq!(made["status"], "Reserved");
    assert_eq!(made["customerName"], "YoungEunSong");
    assert_eq!(made["totalPrice"], 100);
    assert!(made["payBy"].is_string());
    let info = app.get("/itemInfoes/1").expect(200).await.json();
    assert_eq!(info["itemStatus"], "NotRentable");
    assert_eq!(info["reservationNo"], 1);
    assert_eq!(info["customerName"], "YoungEunSong");
    app.patch("/items/1", json!({"rentalStatus": "Renting"})).refused(409, "not-paid").await;
}

async fn pay_take_back_and_pay_again(app: &App) {
    let pay = json!({"paymentStatus": "Paid", "itemPrice": 1});
    let paid = app.patch("/reservations/1", pay.clone()).expect(200).await.json();
    assert_eq!(paid["paymentStatus"], "Paid");
    app.see("/payments", "/_embedded/payments/0/paymentStatus", json!("Paid")).await;
    assert_eq!(all(app, "payments").await[0]["itemPrice"], 100);
    let back = json!({"reservationNo": "1", "paymentStatus": "NotPaid"});
    let back = app.patch("/reservations/1", back).expect(200).await.json();
    assert_eq!((&back["paymentStatus"], &back["status"]), (&json!("NotPaid"), &json!("Reserved")));
    app.see("/items/1", "/itemStatus", json!("NotRentable")).await;
    app.see("/payments", "/_embedded/payments/0/status", json!("Cancelled")).await;
    app.patch("/reservations/1", pay).expect(200).await;
    app.see("/payments", "/_embedded/payments/1/paymentStatus", json!("Paid")).await;
}

async fn lend_and_return(app: &App) {
    let lend = json!({"itemNo": "1", "reservationNo": "1", "itemStatus": "NotRentable",
        "rentalStatus": "Renting"});
    assert_eq!(app.patch("/items/1", lend).expect(200).await.json()["rentalStatus"], "Renting");
    app.see("/reservations/1", "/rentalStatus", json!("Renting")).await;
    app.delete("/items/1").refused(409, "item-in-use").await;
    let back = json!({"itemNo": "1", "reservationNo": "1", "itemStatus": "Rentable",
        "rentalStatus": "Returned"});
    app.patch("/items/1", back).expect(200).await;
    app.see("/reservations/1", "/rentalStatus", json!("Returned")).await;
    app.see("/items/1", "/itemStatus", json!("Rentable")).await;
    app.patch("/reservations/1", json!({"paymentStatus": "NotPaid"}))
        .refused(409, "reservation-closed")
        .await;
    app.delete("/reservations/1").refused(409, "reservation-closed").await;
}

async fn reserve_again_and_cancel(app: &App) {
    app.post("/reservations", json!({"itemNo": 1, "customerId": 2})).expect(201).await;
    app.post("/reservations", json!({"itemNo": 1, "customerId": 3}))
        .refused(409, "item-taken")
        .await;
    let cancelled = app.delete("/reservations/2/").expect(200).await.json();
    assert_eq!(cancelled["status"], "Cancelled");
    app.see("/items/1", "/itemStatus", json!("Rentable")).await;
    assert_eq!(app.get("/reservations/2").expect(200).await.json()["status"], "Cancelled");
    app.delete("/reservations/2").expect(200).await;
}

async fn delete(app: &App) {
    app.delete("/items/1").expect(200).await;
    app.see("/itemInfoes", "/_embedded/itemInfoes", json!([])).await;
    app.get("/items/1").refused(404, "item-not-found").await;
    app.see("/alarms/1", "/alarmStatus", json!("DeleteAlerted")).await;
    app.delete("/items/1").expect(200).await;
}
