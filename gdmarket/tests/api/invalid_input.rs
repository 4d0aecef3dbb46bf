//! Invalid input: the answer is a 4xx problem that names the field, nothing is written, the server continues.

use crate::app::App;
use gdmarket_testkit::{TestDb, on_each_engine};
use http::Method;
use serde_json::json;

/// A refused body: the request line, the bytes, the status, the field that is named.
type Case<'a> = (&'a str, &'a [u8], u16, &'a str);

/// The numbers of rows in the tables that a command writes.
async fn row_counts(db: &TestDb) -> [i64; 3] {
    let rows = ["events", "receipts", "personal_names"]
        .map(|table| async move { db.log_number(&format!("SELECT count(*) FROM {table}")).await });
    let [events, receipts, personal] = rows;
    [events.await, receipts.await, personal.await]
}

async fn assert_all_refused(app: &App, db: &TestDb, cases: &[Case<'_>]) {
    let before = row_counts(db).await;
    for (line, body, status, field) in cases {
        let (method, path) = line.split_once(' ').expect("a method and a path");
        let method = method.parse::<Method>().expect("a method");
        let answer = app.call(method, path).bytes(*body).expect(*status).await;
        let shown = String::from_utf8_lossy(body);
        assert_eq!(answer.header("content-type"), "application/problem+json", "{line} {shown}");
        if !field.is_empty() {
            assert!(answer.fields().iter().any(|f| f == field), "{line} {shown}: {}", answer.text);
        }
        assert_eq!(row_counts(db).await, before, "{line} {shown} wrote something");
    }
    app.get("/livez").expect(200).await;
}

on_each_engine! {
    async fn bodies_without_json_are_malformed(db: &TestDb) {
        let app = App::on(db, &[]).await;
        let deep = format!(r#"{{"itemName": {}1{}}}"#, "[".repeat(5000), "]".repeat(5000));
        let cut = format!(r#"{{"itemName": {}"#, "{\"a\":".repeat(10_000));
        assert_all_refused(
            &app,
            db,
            &[
                ("POST /items", b"{", 400, ""),
                ("POST /items", b"[]", 400, ""),
                ("POST /items", b"\"itemName\"", 400, ""),
                ("POST /items", b"{\"itemName\": \"a\",}", 400, ""),
                ("POST /items", b"{'itemName': 'a'}", 400, ""),
                ("POST /items", b"{\"itemName\": \"a\"} trailing", 400, ""),
                ("POST /items", b"{\"itemName\": \"\xff\xfe\", \"itemPrice\": 1}", 400, "itemName"),
                ("POST /items", b"{\"itemName\": \"a\0b\", \"itemPrice\": 1}", 400, "itemName"),
                ("POST /items", b"NaN", 400, ""),
                ("POST /items", deep.as_bytes(), 400, "itemName"),
                ("POST /items", cut.as_bytes(), 400, "itemName"),
                ("PATCH /items/1", b"{", 400, ""),
            ],
        )
        .await;
    }

    async fn invalid_fields_of_an_item_are_named(db: &TestDb) {
        let app = App::on(db, &[]).await;
        let long = json!({"itemName": "가".repeat(101), "itemPrice": 1}).to_string();
        assert_all_refused(
            &app,
            db,
            &[
                ("POST /items", b"{}", 422, "itemName"),
                ("POST /items", b"{}", 422, "itemPrice"),
                ("POST /items", b"{\"itemName\": null, \"itemPrice\": 1}", 422, "itemName"),
                ("POST /items", b"{\"itemName\": \"\", \"itemPrice\": 1}", 422, "itemName"),
                ("POST /items", b"{\"itemName\": \"  \\t\", \"itemPrice\": 1}", 422, "itemName"),
                ("POST /items", b"{\"itemName\": \"a\\u0000b\", \"itemPrice\": 1}", 422, "itemName"),
                ("POST /items", b"{\"itemName\": \"a\\ud800b\", \"itemPrice\": 1}", 422, "itemName"),
                ("POST /items", b"{\"itemName\": \"a\\nb\", \"itemPrice\": 1}", 422, "itemName"),
                ("POST /items", b"{\"itemName\": 5, \"itemPrice\": 1}", 422, "itemName"),
                ("POST /items", b"{\"itemName\": [\"a\"], \"itemPrice\": 1}", 422, "itemName"),
                ("POST /items", long.as_bytes(), 422, "itemName"),
                ("POST /items", b"{\"itemName\": \"a\", \"itemPrice\": 0}", 422, "itemPrice"),
                ("POST /items", b"{\"itemName\": \"a\", \"itemPrice\": -1}", 422, "itemPrice"),
                ("POST /items", b"{\"itemName\": \"a\", \"itemPrice\": 1.5}", 422, "itemPrice"),
                ("POST /items", b"{\"itemName\": \"a\", \"itemPrice\": 1e400}", 422, "itemPrice"),
                ("POST /items", b"{\"itemName\": \"a\", \"itemPrice\": 1000000001}", 422, "itemPrice"),
                (
                    "POST /items",
                    b"{\"itemName\": \"a\", \"itemPrice\": \"99999999999999999999\"}",
                    422,
                    "itemPrice",
                ),
                ("POST /items", b"{\"itemName\": \"a\", \"itemPrice\": \"1 won\"}", 422, "itemPrice"),
                ("POST /items", b"{\"itemName\": \"a\", \"itemPrice\": true}", 422, "itemPrice"),
                ("POST /items", b"{\"itemName\": \"a\", \"itemPrice\": {}}", 422, "itemPrice"),
                (
                    "POST /items",
                    b"{\"itemName\": \"a\", \"itemPrice\": 1, \"ownerId\": 9007199254740992}",
                    422,
                    "ownerId",
                ),
                (
                    "POST /items",
                    b"{\"itemName\": \"a\", \"itemPrice\": 1, \"colour\": 1}",
                    422,
                    "colour",
                ),
                (
                    "POST /items",
                    b"{\"itemName\": \"a\", \"itemName\": \"b\", \"itemPrice\": 1}",
                    422,
                    "itemName",
                ),
            ],
        )
        .await;
    }

    async fn invalid_fields_of_a_reservation_are_named(db: &TestDb) {
        let app = App::on(db, &[]).await;
        let item = app.camera().await;
        let with = |period: &str| {
            format!(r#"{{"itemNo": {item}, "customerId": 1, "period": {period}}}"#).into_bytes()
        };
        let past = with(r#"{"from": "2020-01-01", "to": "2020-01-03"}"#);
        let upside_down = with(r#"{"from": "2040-01-03", "to": "2040-01-01"}"#);
        let empty = with(r#"{"from": "2040-01-03", "to": "2040-01-03"}"#);
        let long = with(r#"{"from": "2040-01-01", "to": "2041-01-02"}"#);
        let no_day = with(r#"{"from": "2040-02-30", "to": "2040-03-02"}"#);
        let half = with(r#"{"from": "2040-02-20"}"#);
        let text = with(r#""next week""#);
        let name = json!({"itemNo": 1, "customerId": 1, "customerName": "x".repeat(101)}).to_string();
        assert_all_refused(
            &app,
            db,
            &[
                ("POST /reservations", &past, 422, "period.from"),
                ("POST /reservations", &upside_down, 422, "period.from"),
                ("POST /reservations", &empty, 422, "period.from"),
                ("POST /reservations", &long, 422, "period.to"),
                ("POST /reservations", &no_day, 422, "period.from"),
                ("POST /reservations", &half, 422, "period.to"),
                ("POST /reservations", &text, 422, "period"),
                ("POST /reservations", b"{\"customerId\": 1}", 422, "itemNo"),
                ("POST /reservations", b"{\"itemNo\": 1}", 422, "customerId"),
                ("POST /reservations", b"{\"itemNo\": 0, \"customerId\": 1}", 422, "itemNo"),
                ("POST /reservations", name.as_bytes(), 422, "customerName"),
                ("POST /items/1/block", b"{}", 422, "period"),
                (
                    "POST /items/1/block",
                    b"{\"period\": {\"from\": \"2020-01-01\", \"to\": \"2020-01-02\"}}",
                    422,
                    "period.from",
                ),
            ],
        )
        .await;
    }

    async fn patch_of_unchangeable_fields_is_refused(db: &TestDb) {
        let app = App::on(db, &[]).await;
        let item = app.camera().await;
        app.reserved(item, 1).await;
        assert_all_refused(
            &app,
            db,
            &[
                ("PATCH /items/1", b"{}", 422, "rentalStatus"),
                ("PATCH /items/1", b"{\"rentalStatus\": \"NotRenting\"}", 422, "rentalStatus"),
                ("PATCH /items/1", b"{\"rentalStatus\": \"Renting\", \"itemNo\": 2}", 422, "itemNo"),
                (
                    "PATCH /items/1",
                    b"{\"rentalStatus\": \"Renting\", \"itemStatus\": \"Rentable\"}",
                    422,
                    "itemStatus",
                ),
                (
                    "PATCH /items/1",
                    b"{\"rentalStatus\": \"Renting\", \"itemName\": \"x\"}",
                    422,
                    "itemName",
                ),
                ("PATCH /items/1", b"{\"itemStatus\": \"NotRentable\"}", 422, "rentalStatus"),
                ("PATCH /reservations/1", b"{}", 422, "paymentStatus"),
                ("PATCH /reservations/1", b"{\"paymentStatus\": \"paid\"}", 422, "paymentStatus"),
                (
                    "PATCH /reservations/1",
                    b"{\"paymentStatus\": \"Paid\", \"reservationNo\": 2}",
                    422,
                    "reservationNo",
                ),
                (
                    "PATCH /reservations/1",
                    b"{\"paymentStatus\": \"Paid\", \"itemNo\": 2}",
                    422,
                    "itemNo",
                ),
                (
                    "PATCH /reservations/1",
                    b"{\"paymentStatus\": \"Paid\", \"customerId\": 2}",
                    422,
                    "customerId",
                ),
                (
                    "PATCH /reservations/1",
                    b"{\"paymentStatus\": \"Paid\", \"rentalStatus\": \"Renting\"}",
                    422,
                    "rentalStatus",
                ),
                ("POST /reservations/1/payment", b"{\"amount\": 1}", 422, "amount"),
                ("DELETE /reservations/1", b"{\"really\": true}", 422, "really"),
            ],
        )
        .await;
    }

    async fn bodies_over_the_limit_are_refused(db: &TestDb) {
        let app = App::on(db, &[]).await;
        let name = "x".repeat(70_000);
        let large = json!({"itemName": name, "itemPrice": 1}).to_string();
        assert_all_refused(&app, db, &[("POST /items", large.as_bytes(), 413, "")]).await;
        let declared = app.call(Method::POST, "/items").bytes("{}").header("content-length", "99999999");
        declared.refused(413, "body-too-large").await;
    }

    async fn body_of_another_media_type_is_refused_with_the_accepted_one(db: &TestDb) {
        let app = App::on(db, &[]).await;
        let call = app.call(Method::POST, "/items").bytes("itemName=Camera&itemPrice=100");
        let refused = call
            .header("content-type", "application/x-www-form-urlencoded")
            .refused(415, "unsupported-media-type")
            .await;
        assert_eq!(refused.header("accept-post"), "application/json");
        assert!(refused.json()["detail"].as_str().is_some_and(|d| d.contains("application/json")));
    }

    async fn unknown_and_malformed_numbers_are_not_found(db: &TestDb) {
        let app = App::on(db, &[]).await;
        let huge = "9".repeat(40);
        for number in [
            "0", "-1", "999", "x", "1.0", "%00", "1%2F2", huge.as_str(), "+1", "１", "01", "%31", "1%20",
        ] {
            for (path, code) in [
                ("/items/", "item-not-found"),
                ("/itemInfoes/", "item-not-found"),
                ("/reservations/", "reservation-not-found"),
                ("/payments/", "payment-not-found"),
                ("/alarms/", "alarm-not-found"),
            ] {
                let encoded = number.replace('１', "%EF%BC%91");
                app.get(&format!("{path}{encoded}")).refused(404, code).await;
            }
        }
        let before = row_counts(db).await;
        app.post("/items/999/lend", json!({})).refused(404, "item-not-found").await;
        app.post("/items/x/return", json!({})).refused(404, "item-not-found").await;
        app.patch("/items/999", json!({"itemPrice": 5})).refused(404, "item-not-found").await;
        app.delete("/items/999").refused(404, "item-not-found").await;
        app.delete("/reservations/999").refused(404, "reservation-not-found").await;
        app.patch("/reservations/999", json!({"paymentStatus": "Paid"}))
            .refused(404, "reservation-not-found")
            .await;
        app.get("/reservations/999/trace").refused(404, "reservation-not-found").await;
        assert_eq!(row_counts(db).await, before);
    }

    async fn unknown_addresses_and_methods_are_problems(db: &TestDb) {
        let app = App::on(db, &[]).await;
        for path in ["/nowhere", "/items/1/steal", "//items", "/items//1", "/%2e%2e/etc", "/events/x"] {
            app.get(path).refused(404, "not-found").await;
        }
        let before = row_counts(db).await;
        app.call(Method::PUT, "/items/1").refused(405, "method-not-allowed").await;
        app.call(Method::TRACE, "/items").refused(405, "method-not-allowed").await;
        app.call(Method::from_bytes(b"STEAL").expect("a method"), "/items")
            .refused(501, "not-implemented")
            .await;
        assert_eq!(row_counts(db).await, before);
    }
}
