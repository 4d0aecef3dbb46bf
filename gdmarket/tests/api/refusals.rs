//! Every refusal of the market that a caller can get, by its code, and the events that it leaves.

use crate::app::{App, app, app_with};
use gdmarket_testkit::on_each_engine;
use serde_json::{Value, json};

/// The event types of a reservation's trace, depth first.
async fn trace(app: &App, reservation_no: i64) -> Vec<String> {
    fn collect(events: &Value, found: &mut Vec<String>) {
        for event in events.as_array().into_iter().flatten() {
            found.push(event["type"].as_str().unwrap_or_default().to_owned());
            collect(&event["consequences"], found);
        }
    }
    let path = format!("/reservations/{reservation_no}/trace");
    let mut found = vec![];
    collect(&app.get(&path).expect(200).await.json()["events"], &mut found);
    found
}

on_each_engine! {
    async fn refused_reservation_leaves_three_events_and_no_hold(db: &TestDb) {
        let app = App::on(db, &[]).await;
        let item = app.camera().await;
        app.reserved(item, 1).await;
        let gone = app.camera().await;
        app.delete(&format!("/items/{gone}")).expect(200).await;
        let blocked = app.camera().await;
        let period = json!({"from": "2040-02-01", "to": "2040-02-03"});
        app.post(&format!("/items/{blocked}/block"), json!({"period": period})).expect(200).await;
        for (number, item_no, code) in [
            (2, item, "item-taken"),
            (3, 77, "item-unknown"),
            (4, gone, "item-gone"),
            (5, blocked, "item-blocked"),
        ] {
            let reservation = json!({"itemNo": item_no, "customerId": 2, "period": period});
            app.post("/reservations", reservation).refused(409, code).await;
            let path = format!("/reservations/{number}");
            app.see(&path, "/status", json!("Rejected")).await;
            assert_eq!(app.get(&path).expect(200).await.json()["reason"], code);
            let three = ["ReservationRequested", "HoldRefused", "ReservationRejected"];
            assert_eq!(trace(&app, number).await, three, "{code}");
        }
        let payments = app.get("/payments").expect(200).await.json();
        assert_eq!(payments["_embedded"]["payments"], json!([]));
        app.stop().await;
    }
}

#[tokio::test]
async fn lending_and_returning_are_refused_with_the_reason() {
    let app = app().await;
    let item = app.camera().await;
    let lend = format!("/items/{item}/lend");
    let give_back = format!("/items/{item}/return");
    app.post(&lend, json!({})).refused(409, "not-reserved").await;
    app.post(&give_back, json!({})).refused(409, "not-renting").await;
    let first = app.reserved(item, 1).await;
    app.post(&lend, json!({})).refused(409, "not-paid").await;
    app.post(&lend, json!({"reservationNo": 99})).refused(409, "not-reserved").await;
    app.post(&give_back, json!({"reservationNo": first})).refused(409, "not-renting").await;
    app.delete(&format!("/items/{item}")).refused(409, "item-in-use").await;
}

#[tokio::test]
async fn lending_and_returning_of_a_completed_reservation_change_nothing() {
    let app = app().await;
    let item = app.camera().await;
    let mut numbers = vec![];
    for customer in [1, 2] {
        let no = app.reserved(item, customer).await;
        app.pay(no).await;
        app.lend(item).await;
        app.post(&format!("/items/{item}/return"), json!({})).expect(200).await;
        app.see(&format!("/reservations/{no}"), "/status", json!("Completed")).await;
        numbers.push(no);
    }
    let other = app.camera().await;
    let head = app.market.head();
    for (no, key) in numbers.into_iter().zip(["a", "b"]) {
        let body = json!({"reservationNo": no});
        for way in ["lend", "return"] {
            let path = format!("/items/{item}/{way}");
            app.post(&path, body.clone()).expect(200).await;
            let first = app.post(&path, body.clone()).key(key).expect(200).await;
            let again = app.post(&path, body.clone()).key(key).expect(200).await;
            assert_eq!((again.header("idempotency-replayed"), &again.text), ("true", &first.text));
        }
        let lend = json!({"reservationNo": no, "rentalStatus": "Renting"});
        app.patch(&format!("/items/{item}"), lend).expect(200).await;
        app.post(&format!("/items/{other}/lend"), body.clone()).refused(409, "not-reserved").await;
        app.post(&format!("/items/{other}/return"), body).refused(409, "not-renting").await;
    }
    assert_eq!(app.market.head(), head, "no event");
    app.post(&format!("/items/{item}/lend"), json!({})).refused(409, "not-reserved").await;
}

#[tokio::test]
async fn refusal_under_a_key_stays_after_later_changes() {
    let app = app().await;
    let item = app.camera().await;
    let no = app.reserved(item, 1).await;
    let (back, body) = (format!("/items/{item}/return"), json!({"reservationNo": no}));
    app.post(&back, body.clone()).key("early").refused(409, "not-renting").await;
    app.pay(no).await;
    app.lend(item).await;
    let again = app.post(&back, body.clone()).key("early").refused(409, "not-renting").await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    let now = app.get(&format!("/reservations/{no}")).expect(200).await.json();
    assert_eq!(now["rentalStatus"], "Renting");
    app.post(&back, body.clone()).expect(200).await;
    app.see(&format!("/reservations/{no}"), "/status", json!("Completed")).await;
    app.post(&back, body).key("early").refused(409, "not-renting").await;
}

async fn reserved_for(app: &App, item: i64, from: &str, to: &str) -> i64 {
    let reservation = json!({"itemNo": item, "customerId": 1, "period": {"from": from, "to": to}});
    let body = app.post("/reservations", reservation).expect(201).await.json();
    body["reservationNo"].as_i64().expect("a number")
}

#[tokio::test]
async fn lending_one_of_several_holds_needs_its_number_and_first_day() {
    let app = app().await;
    let item = app.camera().await;
    let january = reserved_for(&app, item, "2040-01-05", "2040-01-08").await;
    let february = reserved_for(&app, item, "2040-02-05", "2040-02-08").await;
    let lend = format!("/items/{item}/lend");
    app.post(&lend, json!({})).refused(422, "which-reservation").await;
    app.post(&lend, json!({"reservationNo": february})).refused(409, "not-paid").await;
    app.pay(january).await;
    app.post(&lend, json!({"reservationNo": january})).refused(409, "too-early").await;
    let blocked = json!({"period": {"from": "2040-01-01", "to": "2040-01-06"}});
    app.post(&format!("/items/{item}/block"), blocked).refused(409, "item-taken").await;
}

#[tokio::test]
async fn cancelling_and_paying_are_refused_with_the_reason() {
    let app = app().await;
    let item = app.camera().await;
    let no = app.reserved(item, 1).await;
    let at = |path: &str| format!("/reservations/{no}{path}");
    app.post(&at("/payment/cancel"), json!({})).refused(409, "not-paid").await;
    app.pay(no).await;
    app.post(&at("/payment"), json!({})).expect(200).await;
    app.lend(item).await;
    app.see(&at(""), "/status", json!("Renting")).await;
    app.delete(&at("")).refused(409, "already-lent").await;
    app.post(&at("/payment/cancel"), json!({})).refused(409, "already-lent").await;
    app.post(&format!("/items/{item}/return"), json!({})).expect(200).await;
    app.see(&at(""), "/status", json!("Completed")).await;
    app.post(&at("/payment"), json!({})).expect(200).await;
    app.delete(&at("")).refused(409, "reservation-closed").await;
    app.post(&at("/payment/cancel"), json!({})).refused(409, "reservation-closed").await;
    let cancelled = app.reserved(item, 2).await;
    app.delete(&format!("/reservations/{cancelled}")).expect(200).await;
    app.post(&format!("/reservations/{cancelled}/payment"), json!({}))
        .refused(409, "reservation-closed")
        .await;
}

#[tokio::test]
async fn paid_reservation_is_cancelled_and_refunded() {
    let app = app().await;
    let item = app.camera().await;
    let no = app.reserved(item, 1).await;
    app.pay(no).await;
    let cancelled = app.delete(&format!("/reservations/{no}")).expect(200).await.json();
    assert_eq!(cancelled["status"], "Cancelled");
    app.see("/payments/1", "/status", json!("Cancelled")).await;
    app.see(&format!("/items/{item}"), "/itemStatus", json!("Rentable")).await;
}

#[tokio::test]
async fn declined_payment_is_402_and_can_be_retried() {
    let app = app_with(&[("payment.decline_rate", "1")]).await;
    let item = app.camera().await;
    let no = app.reserved(item, 1).await;
    let pay = format!("/reservations/{no}/payment");
    app.post(&pay, json!({})).key("first").refused(402, "payment-declined").await;
    let again = app.post(&pay, json!({})).key("first").refused(402, "payment-declined").await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    app.post(&pay, json!({})).key("second").refused(402, "payment-declined").await;
    app.see("/payments/2", "/status", json!("Declined")).await;
    app.see(&format!("/reservations/{no}"), "/paymentStatus", json!("NotPaid")).await;
}

#[tokio::test]
async fn payment_at_a_slow_gateway_is_202_and_settles_later() {
    let app = app_with(&[("payment.delay_ms", "1500"), ("payment.answer_within_ms", "50")]).await;
    let item = app.camera().await;
    let no = app.reserved(item, 1).await;
    let pay = format!("/reservations/{no}/payment");
    let pending = app.post(&pay, json!({})).key("k").expect(202).await;
    assert_eq!(pending.json()["paymentStatus"], "NotPaid");
    app.delete(&format!("/reservations/{no}")).refused(409, "payment-pending").await;
    app.see(&format!("/reservations/{no}"), "/paymentStatus", json!("Paid")).await;
    let paid = app.post(&pay, json!({})).key("k").expect(200).await;
    assert_eq!(paid.json()["paymentStatus"], "Paid");
    assert_eq!(paid.header("idempotency-replayed"), "true");
}

#[tokio::test]
async fn payments_are_refused_while_the_breaker_is_open() {
    let app = app_with(&[("payment.fail_rate", "1"), ("payment.timeout_ms", "200")]).await;
    let mut refused = None;
    for customer in 1..=20 {
        let item = app.camera().await;
        let no = app.reserved(item, customer).await;
        let answer = app.post(&format!("/reservations/{no}/payment"), json!({})).send().await;
        assert!(matches!(answer.status, 202 | 402 | 503), "{answer:?}");
        // The request to pay is in the log as long as the gateway is called; once the breaker is open, it isn't.
        if trace(&app, no).await == ["ReservationRequested", "ItemHeld", "Reserved"] {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("the breaker opens");
    assert_eq!((refused.status, refused.code().as_str()), (503, "payment-unavailable"));
    assert!(!refused.header("retry-after").is_empty());
}

#[tokio::test]
async fn alarm_that_exceeds_its_timeout_counts_as_unavailable() {
    let app = app_with(&[("alarm.delay_ms", "400"), ("alarm.timeout_ms", "50")]).await;
    let camera = json!({"itemName": "Camera", "itemPrice": 100});
    app.post("/items", camera).refused(503, "alarm-unavailable").await;
}

#[tokio::test]
async fn item_is_not_registered_without_its_alarm() {
    let app = app_with(&[("alarm.fail_rate", "1")]).await;
    let camera = json!({"itemName": "Camera", "itemPrice": 100});
    let refused = app.post("/items", camera).refused(503, "alarm-unavailable").await;
    assert!(!refused.header("retry-after").is_empty());
    let items = app.get("/items").expect(200).await.json();
    assert_eq!(items["_embedded"]["items"], json!([]));
}

#[tokio::test]
async fn unpaid_reservation_expires() {
    let app = app_with(&[("reservation.pay_within_s", "1")]).await;
    let item = app.camera().await;
    let no = app.reserved(item, 1).await;
    app.see(&format!("/reservations/{no}"), "/status", json!("Expired")).await;
    app.see(&format!("/items/{item}"), "/itemStatus", json!("Rentable")).await;
    app.post(&format!("/reservations/{no}/payment"), json!({}))
        .refused(409, "reservation-closed")
        .await;
}

#[tokio::test]
async fn trace_of_a_rental_is_a_tree_of_causes() {
    let app = app().await;
    let item = app.camera().await;
    let no = app.reserved(item, 1).await;
    app.pay(no).await;
    app.lend(item).await;
    app.see(&format!("/reservations/{no}"), "/status", json!("Renting")).await;
    let types = trace(&app, no).await;
    assert_eq!(types[..3], ["ReservationRequested", "ItemHeld", "Reserved"].map(str::to_owned));
    for event in [
        "PaymentRequested",
        "PaymentStarted",
        "PaymentApproved",
        "ReservationPaid",
        "LendingAuthorized",
        "ItemRented",
        "RentalStarted",
    ] {
        assert!(types.iter().any(|seen| seen == event), "{event} is missing in {types:?}");
    }
    let trace = app.get(&format!("/reservations/{no}/trace")).expect(200).await.json();
    let roots = trace["events"].as_array().expect("events");
    assert!(roots.iter().all(|event| event["causedBy"].is_null()));
    assert!(roots.iter().all(|event| event["actor"] == "operator:local"), "{trace}");
}
