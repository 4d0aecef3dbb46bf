//! Idempotency keys: a repeated request has one effect and one answer.

use crate::app::{App, app, app_with};
use gdmarket_testkit::{TestDb, on_each_engine};
use serde_json::json;

on_each_engine! {
    async fn repeated_request_gets_the_same_answer_and_writes_nothing(db: &TestDb) {
        let app = App::on(db, &[]).await;
        let camera = json!({"itemName": "Camera", "itemPrice": 100});
        let first = app.post("/items", camera.clone()).key("k-1").expect(201).await;
        let head = app.market.head();
        let again = app.post("/items/", camera).key("k-1").expect(201).await;
        assert_eq!(again.text, first.text);
        assert_eq!(again.header("etag"), first.header("etag"));
        assert_eq!(again.header("gdmarket-at"), first.header("gdmarket-at"));
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(first.header("idempotency-replayed"), "");
        assert_eq!(app.market.head(), head, "nothing was written");
        app.stop().await;
    }

    async fn refusals_are_remembered_under_a_key(db: &TestDb) {
        let app = App::on(db, &[]).await;
        let item = app.camera().await;
        let reservation = app.reserved(item, 1).await;
        let body = json!({"itemNo": item, "customerId": 2});
        app.post("/reservations", body.clone()).key("k").refused(409, "item-taken").await;
        app.delete(&format!("/reservations/{reservation}")).expect(200).await;
        app.see(&format!("/items/{item}"), "/itemStatus", json!("Rentable")).await;
        let again = app.post("/reservations", body).key("k").refused(409, "item-taken").await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        app.stop().await;
    }
}

/// Numbers as strings, blanks, the order of fields, and `null` fields make no difference.
#[tokio::test]
async fn bodies_are_compared_after_parsing() {
    let app = app().await;
    let camera = json!({"itemName": "Camera", "itemPrice": 100});
    let first = app.post("/items", camera).key("i").expect(201).await;
    let again = json!({"itemPrice": "100", "ownerId": null, "itemName": " Camera "});
    let again = app.post("/items", again).key("i").expect(201).await;
    assert_eq!((again.header("idempotency-replayed"), &again.text), ("true", &first.text));
    let body = json!({"itemNo": "1", "customerId": "5", "customerName": "Kim", "period": null});
    let first = app.post("/reservations", body).key("r").expect(201).await;
    let again = json!({"customerName": "Kim", "customerId": 5, "itemNo": 1});
    let again = app.post("/reservations", again).key("r").expect(201).await;
    assert_eq!((again.header("idempotency-replayed"), &again.text), ("true", &first.text));
    for other in [
        json!({"itemNo": 1, "customerId": 6, "customerName": "Kim"}),
        json!({"itemNo": 1, "customerId": 5, "customerName": "Lee"}),
        json!({"itemNo": 1, "customerId": 5}),
    ] {
        app.post("/reservations", other).key("r").refused(422, "key-reused").await;
    }
}

#[tokio::test]
async fn key_belongs_to_one_request_of_one_actor() {
    let app = app().await;
    let camera = json!({"itemName": "Camera", "itemPrice": 100});
    app.post("/items", camera.clone()).key("k").expect(201).await;
    let other = json!({"itemName": "Camera", "itemPrice": 101});
    app.post("/items", other).key("k").refused(422, "key-reused").await;
    let foreign = app.post("/items", camera.clone()).key("k").actor("owner:7").expect(201).await;
    assert_eq!(foreign.json()["ownerId"], 7);
    assert_eq!(foreign.header("idempotency-replayed"), "");
    for bad in ["two words", &"x".repeat(256)] {
        let refused = app.post("/items", camera.clone()).header("idempotency-key", bad);
        assert_eq!(refused.refused(400, "bad-header").await.fields(), ["Idempotency-Key"]);
    }
}

#[tokio::test]
async fn payment_is_charged_once_under_one_key() {
    let app = app().await;
    let item = app.camera().await;
    let reservation = app.reserved(item, 1).await;
    let path = format!("/reservations/{reservation}/payment");
    let first = app.post(&path, json!({})).key("pay").expect(200).await;
    let again = app.post(&path, json!({})).key("pay").expect(200).await;
    assert_eq!(again.text, first.text);
    assert_eq!(again.header("idempotency-replayed"), "true");
    app.see("/payments", "/_embedded/payments/0/paymentStatus", json!("Paid")).await;
    let payments = app.get("/payments").expect(200).await.json();
    assert_eq!(payments["_embedded"]["payments"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn fifty_concurrent_equal_requests_have_one_effect() {
    let app = app().await;
    let camera = json!({"itemName": "Camera", "itemPrice": 100});
    let calls = (0..50).map(|_| app.post("/items", camera.clone()).key("at-once").expect(201));
    let answers = futures::future::join_all(calls).await;
    assert!(answers.iter().all(|answer| answer.text == answers[0].text));
    let items = app.get("/items").expect(200).await.json();
    assert_eq!(items["_embedded"]["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn repeated_request_is_not_validated_on_a_later_day() {
    let db = TestDb::sqlite();
    // Between the two zones lie 25 hours: what is today in the one is past in the other.
    let app = App::on(&db, &[("market.time_zone", "Pacific/Pago_Pago")]).await;
    let (probe, item) = (app.camera().await, app.camera().await);
    app.reserved(probe, 1).await;
    let calendar = app.get(&format!("/items/{probe}/calendar")).expect(200).await.json();
    let today = calendar["busy"][0]["from"].as_str().expect("a day").to_owned();
    let body =
        json!({"itemNo": item, "customerId": 1, "period": {"from": today, "to": "2040-01-01"}});
    app.post("/reservations", body.clone()).refused(422, "invalid").await;
    let to = today.parse::<chrono::NaiveDate>().expect("a day") + chrono::Days::new(3);
    let body = json!({"itemNo": item, "customerId": 1, "period": {"from": today, "to": to}});
    let first = app.post("/reservations", body.clone()).key("k").expect(201).await;
    app.stop().await;
    drop(app);
    let app = App::on(&db, &[("market.time_zone", "Pacific/Kiritimati")]).await;
    let again = app.post("/reservations", body.clone()).key("k").expect(201).await;
    assert_eq!(again.json()["reservationNo"], first.json()["reservationNo"]);
    assert_eq!(again.header("idempotency-replayed"), "true");
    let fresh = app.post("/reservations", body).key("other").refused(422, "invalid").await;
    assert_eq!(fresh.fields(), ["period.from"]);
}

/// No payment is in flight that could change the refusal, so it is remembered like every other refusal.
#[tokio::test]
async fn refusal_to_lend_an_unpaid_item_is_remembered_under_its_key() {
    let app = app().await;
    let item = app.camera().await;
    let no = app.reserved(item, 1).await;
    let lend = format!("/items/{item}/lend");
    let first = app.post(&lend, json!({})).key("k").refused(409, "not-paid").await;
    app.pay(no).await;
    let again = app.post(&lend, json!({})).key("k").refused(409, "not-paid").await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.json()["detail"], first.json()["detail"]);
    app.post(&lend, json!({})).key("another").expect(200).await;
}

/// Time passes and the item is returned without this caller: the same request with the same key is decided
/// again then.
#[tokio::test]
async fn transient_refusal_is_not_remembered_under_its_key() {
    let db = TestDb::sqlite();
    let app = App::on(&db, &[("market.time_zone", "Etc/GMT+12")]).await;
    let probe = app.camera().await;
    app.reserved(probe, 1).await;
    let calendar = app.get(&format!("/items/{probe}/calendar")).expect(200).await.json();
    let today: chrono::NaiveDate =
        calendar["busy"][0]["from"].as_str().and_then(|day| day.parse().ok()).expect("a day");
    let item = app.camera().await;
    let mut numbers = vec![];
    for (customer, from, to) in [(1, 0, 1), (2, 1, 6)] {
        let day = |days| today + chrono::Days::new(days);
        let period = json!({"from": day(from), "to": day(to)});
        let body = json!({"itemNo": item, "customerId": customer, "period": period});
        let made = app.post("/reservations", body).expect(201).await.json();
        let no = made["reservationNo"].as_i64().expect("a number");
        app.pay(no).await;
        numbers.push(json!({"reservationNo": no}));
    }
    let lend = format!("/items/{item}/lend");
    app.post(&lend, numbers[0].clone()).expect(200).await;
    app.post(&lend, numbers[1].clone()).key("k").refused(409, "too-early").await;
    app.stop().await;
    drop(app);
    let app = App::on(&db, &[("market.time_zone", "Pacific/Kiritimati")]).await;
    app.post(&lend, numbers[1].clone()).key("k").refused(409, "still-rented").await;
    app.post(&format!("/items/{item}/return"), numbers[0].clone()).expect(200).await;
    app.post(&lend, numbers[1].clone()).key("k").expect(200).await;
    app.stop().await;
}

/// A payment in flight may change the refusal, so a repeat is decided again.
#[tokio::test]
async fn refusal_to_lend_during_a_payment_is_not_remembered() {
    let app = app_with(&[("payment.delay_ms", "1500")]).await;
    let item = app.camera().await;
    let pay = format!("/reservations/{}/payment", app.reserved(item, 1).await);
    app.post(&pay, json!({})).header("prefer", "respond-async").expect(202).await;
    let lend = format!("/items/{item}/lend");
    app.post(&lend, json!({})).key("k").refused(409, "not-paid").await;
    gdmarket_testkit::eventually(std::time::Duration::from_secs(20), || async {
        let answer = app.post(&lend, json!({})).key("k").send().await;
        if answer.status == 200 { Ok(()) } else { Err(answer.text) }
    })
    .await;
}
