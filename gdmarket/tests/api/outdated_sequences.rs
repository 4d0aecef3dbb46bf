//! The table of number sequences is older than the log, as after a restore by hand: a number in use is not
//! allocated again, and no person sees the resource of another one.

use crate::app::App;
use gdmarket_testkit::on_each_engine;
use serde_json::json;

const LOST: &str = "DELETE FROM numbers";

async fn three_of_each(app: &App) {
    for no in 1..=3 {
        let item = app.post("/items", json!({"itemName": format!("Item {no}"), "itemPrice": 100}));
        let item = item.actor("owner:7").expect(201).await.json();
        assert_eq!(item["itemNo"], no);
        let body = json!({"itemNo": no, "customerId": 1, "customerName": "Alice"});
        assert_eq!(app.post("/reservations", body).expect(201).await.json()["reservationNo"], no);
        app.post(&format!("/reservations/{no}/payment"), json!({})).expect(200).await;
    }
}

/// One more of each, for other persons.
async fn one_more(app: &App, no: i64, key: &str) {
    let camera = json!({"itemName": "Camera", "itemPrice": 5});
    let register = || app.post("/items", camera.clone()).actor("owner:8").key(key);
    let item = register().expect(201).await.json();
    let (number, owner) = (&item["itemNo"], &item["ownerId"]);
    assert_eq!((number, owner, &item["itemName"]), (&json!(no), &json!(8), &json!("Camera")));
    assert_eq!(register().expect(201).await.json()["itemNo"], no, "the same answer again");
    let body = json!({"itemNo": no, "customerId": 2, "customerName": "Bob"});
    let reserve = || app.post("/reservations", body.clone()).actor("renter:2").key(key);
    let mine = reserve().expect(201).await.json();
    let who = (&mine["reservationNo"], &mine["customerId"], &mine["customerName"]);
    assert_eq!(who, (&json!(no), &json!(2), &json!("Bob")));
    assert_eq!(reserve().expect(201).await.json()["reservationNo"], no, "the same answer again");
    let pay = app.post(&format!("/reservations/{no}/payment"), json!({})).actor("renter:2");
    assert_eq!(pay.expect(200).await.json()["paymentStatus"], "Paid");
    app.see(&format!("/payments/{no}"), "/reservationNo", json!(no)).await;
    app.see(&format!("/payments/{no}"), "/paymentStatus", json!("Paid")).await;
}

on_each_engine! {
    async fn sequences_that_fall_behind_a_running_server_continue_after_the_log(db: &TestDb) {
        let app = App::on(db, &[]).await;
        three_of_each(&app).await;
        db.log_sql(LOST).await;
        one_more(&app, 4, "first").await;
        db.log_sql("UPDATE numbers SET last = 1").await;
        one_more(&app, 5, "second").await;
        let alice = app.get("/reservations/1").expect(200).await.json();
        assert_eq!(alice["customerName"], "Alice");
        app.stop().await;
    }

    async fn start_raises_sequences_that_are_behind_the_log(db: &TestDb) {
        let app = App::on(db, &[]).await;
        three_of_each(&app).await;
        app.stop().await;
        // Dropping it releases the data folder.
        drop(app);
        db.log_sql(LOST).await;
        let app = App::on(db, &[]).await;
        for kind in ["item", "reservation", "payment"] {
            let last = db.log_number(&format!("SELECT last FROM numbers WHERE kind = '{kind}'")).await;
            assert_eq!(last, 3, "{kind}");
        }
        one_more(&app, 4, "after").await;
        app.stop().await;
    }

    /// The server was killed between the request to pay and the payment's first event.
    async fn payment_number_of_a_request_to_pay_is_not_allocated_again(db: &TestDb) {
        let app = App::on(db, &[]).await;
        three_of_each(&app).await;
        let item = app.camera().await;
        let no = app.reserved(item, 5).await;
        app.stop().await;
        drop(app);
        let payload = json!({"PaymentRequested":
            {"reservationNo": no, "itemNo": item, "paymentNo": 4, "amount": 100}});
        db.log_sql(&format!(
            "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, \
             event_version, payload, metadata) VALUES \
             ('reservation', '{no}', 3, 'PaymentRequested', '1', '{payload}', '{{}}')"
        ))
        .await;
        let app = App::on(db, &[]).await;
        let last = "SELECT last FROM numbers WHERE kind = 'payment'";
        assert_eq!(db.log_number(last).await, 4);
        db.log_sql("DELETE FROM numbers WHERE kind = 'payment'").await;
        let item = app.camera().await;
        let other = app.reserved(item, 6).await;
        app.pay(other).await;
        app.see("/payments/5", "/reservationNo", json!(other)).await;
        app.stop().await;
    }
}
