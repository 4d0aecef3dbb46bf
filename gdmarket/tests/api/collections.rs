//! Collections: media types, pages, filters, tokens of positions.

use crate::app::{App, app};
use base64::Engine as _;
use gdmarket_api::openapi;
use gdmarket_domain::Services;
use gdmarket_projections::{overview, pause_view};
use gdmarket_store::{Store, StoreOptions};
use gdmarket_testkit::{TestDb, on_each_engine};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test]
async fn pages_are_linked_by_cursor_in_both_media_types() {
    let app = app().await;
    for _ in 0..5 {
        app.camera().await;
    }
    let mut path = "/items?limit=2".to_owned();
    let mut seen = vec![];
    loop {
        let page = app.get(&path).expect(200).await;
        assert_eq!(page.header("content-type"), "application/hal+json");
        let body = page.json();
        assert_eq!(body["_links"]["self"]["href"], path);
        let items = body["_embedded"]["items"].as_array().expect("members").clone();
        seen.extend(items.iter().map(|item| item["itemNo"].as_i64().expect("a number")));
        let Some(next) = body["_links"]["next"]["href"].as_str() else { break };
        assert_eq!(page.header("link"), format!("<{next}>; rel=\"next\""));
        path = next.to_owned();
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
    let plain = app.get("/items?limit=4").header("accept", "application/json").expect(200).await;
    assert_eq!(plain.header("content-type"), "application/json");
    let next = plain.json()["next"].as_str().expect("a cursor").to_owned();
    let rest = app
        .get(&format!("/items?after={next}"))
        .header("accept", "application/json, */*;q=0.5")
        .expect(200)
        .await
        .json();
    assert_eq!(rest["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(rest["next"], json!(null));
}

#[tokio::test]
async fn filters_choose_members() {
    let app = app().await;
    let camera = json!({"itemName": "Camera", "itemPrice": 100});
    app.post("/items", camera.clone()).actor("owner:7").expect(201).await;
    app.post("/items", camera).actor("owner:8").expect(201).await;
    app.reserved(2, 3).await;
    app.see("/items/2", "/itemStatus", json!("NotRentable")).await;
    for (path, key, numbers) in [
        ("/items?ownerId=7", "items", vec![1]),
        ("/items?status=NotRentable", "items", vec![2]),
        ("/items?ownerId=9", "items", vec![]),
        ("/itemInfoes?customerId=3", "itemInfoes", vec![2]),
        ("/alarms?itemNo=1", "alarms", vec![1]),
        ("/reservations?customerId=3&status=Reserved", "reservations", vec![2]),
    ] {
        let body = app.get(path).expect(200).await.json();
        let members = body["_embedded"][key].as_array().expect("members").clone();
        let seen: Vec<_> =
            members.iter().map(|m| m["itemNo"].as_i64().expect("a number")).collect();
        assert_eq!(seen, numbers, "{path}");
    }
}

#[tokio::test]
async fn invalid_parameter_is_named() {
    let app = app().await;
    for (path, field) in [
        ("/items?limit=0", "limit"),
        ("/items?limit=501", "limit"),
        ("/items?limit=x", "limit"),
        ("/items?after=x", "after"),
        ("/items?colour=red", "colour"),
        ("/items?status=Reserved", "status"),
        ("/items?ownerId=0", "ownerId"),
        ("/items?ownerId=1&ownerId=2", "ownerId"),
        ("/items?at_least=x", "at_least"),
        ("/items/1?limit=1", "limit"),
        ("/items/1/calendar?from=tomorrow", "from"),
        ("/items/1/calendar?from=2027-01-02&to=2027-01-01", "from"),
    ] {
        assert_eq!(app.get(path).refused(422, "invalid").await.fields(), [field], "{path}");
    }
}

#[tokio::test]
async fn read_waits_for_the_write_that_its_token_names() {
    let app = app().await;
    for round in 1..=20 {
        let name = format!("Camera {round}");
        let body = json!({"itemName": name, "itemPrice": 100});
        let written = app.post("/items", body).header("prefer", "respond-async").expect(201).await;
        let path =
            format!("{}?at_least={}", written.header("location"), written.header("gdmarket-at"));
        assert_eq!(app.get(&path).expect(200).await.json()["itemName"], name);
    }
}

#[tokio::test]
async fn read_of_views_that_stay_behind_is_refused_with_retry_after() {
    let db = TestDb::postgres().await;
    let app = App::on(&db, &[]).await;
    let options = StoreOptions { url: db.url().to_owned(), ..StoreOptions::default() };
    let store = Store::open(&options).await.expect("the store");
    let loops = overview(&store, Services::ALL, Duration::ZERO).await.expect("the loops");
    let alarms = loops.iter().find(|of| of.is_view && of.name.starts_with("alarms_v"));
    pause_view(&store, &alarms.expect("the view").name).await.expect("a pause");
    let written =
        app.post("/items", json!({"itemName": "Camera", "itemPrice": 1})).expect(201).await;
    let path = format!("/items?at_least={}", written.header("gdmarket-at"));
    let started = Instant::now();
    let behind = app.get(&path).refused(503, "views-behind").await;
    assert!(!behind.header("retry-after").is_empty());
    let waited = started.elapsed().as_millis();
    assert!((1900..10_000).contains(&waited), "{waited} ms");
    app.stop().await;
    store.close().await;
}

#[tokio::test]
async fn forged_token_is_refused_at_once() {
    let base64 = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let app = app().await;
    let written =
        app.post("/items", json!({"itemName": "Camera", "itemPrice": 1})).expect(201).await;
    let token = base64.decode(written.header("gdmarket-at")).expect("a token");
    let at = token.iter().position(|byte| *byte == b'@').expect("a position");
    let mut later = token.clone();
    later.insert(at + 1, b'9');
    let unsigned: Vec<u8> = token[..=at].iter().chain(b"999999999").copied().collect();
    for forged in [later, unsigned] {
        let forged = base64.encode(forged);
        let started = Instant::now();
        for path in ["/items?at_least=", "/items/1?at_least=", "/events?after="] {
            app.get(&format!("{path}{forged}")).refused(422, "invalid").await;
        }
        assert!(started.elapsed().as_millis() < 1_900, "{:?}", started.elapsed());
    }
}

on_each_engine! {
    /// After a restore from an older copy a genuine token may name a position that the log hasn't reached.
    async fn token_beyond_the_log_is_refused_at_once(db: &TestDb) {
        let base64 = base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let app = App::on(db, &[]).await;
        let camera = json!({"itemName": "Camera", "itemPrice": 1});
        let written = app.post("/items", camera).expect(201).await;
        let token = base64.decode(written.header("gdmarket-at")).expect("a token");
        let at = token.iter().position(|byte| *byte == b'@').expect("a position");
        let options = StoreOptions { url: db.url().to_owned(), ..StoreOptions::default() };
        let store = Store::open(&options).await.expect("the store");
        let key = store.log().token_key().await.expect("the key");
        store.close().await;
        let genuine = |position: i64| {
            let text = [&token[..=at], position.to_string().as_bytes()].concat();
            let key = Hmac::<Sha256>::new_from_slice(&key).expect("a key");
            let signature = key.chain_update(&text).finalize().into_bytes();
            base64.encode([&text, &signature[..16]].concat())
        };
        let head = app.market.head();
        app.get(&format!("/items?at_least={}", genuine(head))).expect(200).await;
        for beyond in [head + 1, head + 1_000_000, i64::MAX] {
            let started = Instant::now();
            for path in ["/items?at_least=", "/items/1?at_least=", "/events?after="] {
                let refused = app.get(&format!("{path}{}", genuine(beyond))).refused(422, "invalid");
                let refused = refused.await.json();
                assert_eq!(refused["errors"][0]["code"], "unknown-token", "{refused}");
            }
            assert!(started.elapsed() < Duration::from_millis(1_900), "{:?}", started.elapsed());
        }
    }
}

#[tokio::test]
async fn every_collection_is_filtered_by_owner_and_customer() {
    let app = app().await;
    let camera = |owner| json!({"itemName": "Camera", "itemPrice": 100, "ownerId": owner});
    for (owner, customer) in [(7, 1), (8, 2)] {
        let item = app.post("/items", camera(owner)).expect(201).await.json()["itemNo"].clone();
        let no = app.reserved(item.as_i64().expect("a number"), customer).await;
        app.pay(no).await;
        app.see(&format!("/payments/{no}"), "/status", json!("Approved")).await;
    }
    for (collection, field) in [
        ("items", "itemNo"),
        ("itemInfoes", "itemNo"),
        ("reservations", "itemNo"),
        ("payments", "itemNo"),
        ("alarms", "itemNo"),
    ] {
        let one = async |query: &str| {
            let found = app.get(&format!("/{collection}?{query}")).expect(200).await.json();
            let rows = found["_embedded"][collection].as_array().expect("rows").clone();
            rows.iter().map(|row| row[field].as_i64().expect("a number")).collect::<Vec<_>>()
        };
        assert_eq!(one("ownerId=8").await, [2], "{collection}");
        assert_eq!(one("customerId=1").await, [1], "{collection}");
        assert_eq!(one("ownerId=8&customerId=1").await, [0; 0], "{collection}");
        assert_eq!(one("itemNo=2").await, [2], "{collection}");
    }
}

#[tokio::test]
async fn calendar_shows_days_and_no_names() {
    let app = app().await;
    let item = app.camera().await;
    let period = json!({"from": "2040-01-05", "to": "2040-01-08"});
    let reservation =
        json!({"itemNo": item, "customerId": 1, "customerName": "Kim", "period": period});
    assert_eq!(app.post("/reservations", reservation).expect(201).await.json()["totalPrice"], 300);
    let block = json!({"period": {"from": "2040-02-01", "to": "2040-02-03"}});
    app.post(&format!("/items/{item}/block"), block.clone()).expect(200).await;
    let path = format!("/items/{item}/calendar");
    let both = json!([period, block["period"]]);
    app.see(&path, "/busy", both).await;
    assert!(!app.get(&path).expect(200).await.text.contains("Kim"));
    app.see(&format!("{path}?from=2040-01-20&to=2040-03-01"), "/busy", json!([block["period"]]))
        .await;
    let reservation = json!({"itemNo": item, "customerId": 2, "period": block["period"]});
    app.post("/reservations", reservation).refused(409, "item-blocked").await;
    app.post(&format!("/items/{item}/unblock"), block).expect(200).await;
    app.see(&path, "/busy", json!([period])).await;
}

#[tokio::test]
async fn every_status_of_the_document_is_a_filter() {
    let app = app().await;
    let document: Value = serde_json::from_str(&openapi::document()).expect("the document");
    for (path, schema) in [
        ("/items", "ItemStatus"),
        ("/itemInfoes", "ItemStatus"),
        ("/alarms", "AlarmStatus"),
        ("/reservations", "ReservationProgress"),
        ("/payments", "PaymentProgress"),
    ] {
        let words = document["components"]["schemas"][schema]["enum"].as_array().expect("words");
        for word in words.iter().map(|word| word.as_str().expect("a word")) {
            app.get(&format!("{path}?status={word}")).expect(200).await;
        }
        let refused = app.get(&format!("{path}?status=no")).refused(422, "invalid").await;
        let known = words.iter().map(|word| word.as_str().expect("a word")).collect::<Vec<_>>();
        let message = format!("must be one of {}", known.join(", "));
        assert_eq!(refused.json()["errors"][0]["message"], message, "{path}");
    }
}

#[tokio::test]
async fn member_is_hal_for_callers_that_accept_it() {
    let app = app().await;
    let item = app.camera().await;
    let reservation = app.reserved(item, 1).await;
    app.pay(reservation).await;
    app.see("/reservations/1", "/paymentStatus", json!("Paid")).await;
    let (hal, plain) = ("application/hal+json", "application/json");
    for path in ["/items/1", "/itemInfoes/1", "/reservations/1", "/payments/1", "/alarms/1"] {
        for (accept, media_type) in [
            ("*/*", plain),
            (plain, plain),
            (hal, hal),
            ("application/hal+json, application/json", hal),
            ("application/json, application/hal+json", plain),
            ("application/hal+json;q=0.4, application/json;q=0.5", plain),
            ("application/hal+json;q=0", plain),
        ] {
            let answer = app.get(path).header("accept", accept).expect(200).await;
            assert_eq!(answer.header("content-type"), media_type, "{path} as {accept}");
            assert!(answer.header("vary").contains("accept"), "{path}");
        }
    }
}
