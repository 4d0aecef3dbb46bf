//! Details of answers: faults name the right field, advice fits the caller and their language, resources link
//! to related ones.

use crate::app::app;
use http::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn fault_names_only_the_field_that_is_wrong() {
    let app = app().await;
    app.camera().await;
    let backwards = json!({"period": {"from": "2040-01-03", "to": "2040-01-01"}});
    let lend_and_rename = json!({"itemName": "Tent", "reservationNo": 1});
    for (method, path, body, faults) in [
        (Method::POST, "/items/1/block", backwards.clone(), &[("period.from", "upside-down")][..]),
        (Method::POST, "/items/1/unblock", backwards, &[("period.from", "upside-down")]),
        (
            Method::POST,
            "/items/1/block",
            json!({"period": {}}),
            &[("period.from", "required"), ("period.to", "required")],
        ),
        (Method::POST, "/items/1/block", json!({"period": null}), &[("period", "required")]),
        (Method::PATCH, "/items/1", lend_and_rename, &[("reservationNo", "not-together")]),
        (
            Method::PATCH,
            "/items/1",
            json!({"itemPrice": 5, "itemStatus": "Rentable"}),
            &[("itemStatus", "not-together")],
        ),
        (
            Method::PATCH,
            "/items/1",
            json!({"itemPrice": 0, "reservationNo": 1}),
            &[("reservationNo", "not-together"), ("itemPrice", "out-of-range")],
        ),
        (Method::PATCH, "/items/1", json!({"itemPrice": 0}), &[("itemPrice", "out-of-range")]),
        (Method::PATCH, "/items/1", json!({"reservationNo": 1}), &[("rentalStatus", "required")]),
        (Method::PATCH, "/items/1", json!({}), &[("rentalStatus", "required")]),
    ] {
        let call = app.call(method.clone(), path).json(&body);
        let refused = call.refused(422, "invalid").await.json();
        let errors = refused["errors"].as_array().expect("faults").iter();
        let named: Vec<_> = errors
            .map(|fault| (fault["field"].as_str(), fault["code"].as_str()))
            .map(|(field, code)| (field.expect("a field"), code.expect("a code")))
            .collect();
        assert_eq!(named, faults, "{method} {path} {body}");
    }
    let window = app.get("/items/1/calendar?from=2040-02-01&to=2040-02-01").refused(422, "invalid");
    let fault = window.await.json()["errors"][0].clone();
    assert_eq!(fault["field"], "from");
    assert_eq!(fault["message"], "must be before to");
}

#[tokio::test]
async fn pages_have_a_size_and_no_number() {
    let app = app().await;
    for _ in 0..3 {
        app.camera().await;
    }
    let page = app.get("/items?size=2").expect(200).await.json();
    assert_eq!(page["_embedded"]["items"].as_array().map(Vec::len), Some(2));
    assert!(page["_links"]["next"]["href"].as_str().is_some_and(|next| next.contains("size=2")));
    app.get("/items?size=501").refused(422, "invalid").await;
    let both = app.get("/items?size=2&limit=3").refused(422, "invalid").await;
    assert_eq!(both.fields(), ["size"]);
    let numbered = app.get("/items?page=2&size=1").refused(422, "invalid").await.json();
    assert_eq!(numbered["errors"][0]["field"], "page");
    assert_eq!(numbered["errors"][0]["code"], "page-number");
    assert!(numbered["errors"][0]["message"].as_str().is_some_and(|m| m.contains("after")));
    assert_eq!(app.get("/items/1?page=2").refused(422, "invalid").await.fields(), ["page"]);
}

fn hrefs(resource: &Value) -> Vec<(String, String)> {
    let links = resource["_links"].as_object().expect("links");
    let href = |link: &Value| link["href"].as_str().expect("an address").to_owned();
    links.iter().map(|(name, link)| (name.clone(), href(link))).collect()
}

#[tokio::test]
async fn every_resource_links_to_itself_and_to_related_ones() {
    let app = app().await;
    let item = app.camera().await;
    let reservation = app.reserved(item, 1).await;
    app.post(&format!("/reservations/{reservation}/payment"), json!({})).expect(200).await;
    app.see("/items/1", "/reservationNo", json!(reservation)).await;
    app.see("/payments/1", "/status", json!("Approved")).await;
    for (collection, key, rels) in [
        ("/items", "items", &["calendar", "reservation", "self"][..]),
        ("/itemInfoes", "itemInfoes", &["calendar", "reservation", "self"]),
        ("/reservations", "reservations", &["self", "trace"]),
        ("/payments", "payments", &["reservation", "self"]),
        ("/alarms", "alarms", &["self"]),
    ] {
        let page = app.get(collection).expect(200).await.json();
        let embedded = page["_embedded"][key][0].clone();
        let own = embedded["_links"]["self"]["href"].as_str().expect("an address").to_owned();
        assert_eq!(own, format!("{collection}/1"));
        let member = app.get(&own).expect(200).await.json();
        assert_eq!(member["_links"], embedded["_links"], "{collection}");
        let mut names: Vec<_> = hrefs(&member).into_iter().map(|(name, _)| name).collect();
        names.sort();
        assert_eq!(names, rels, "{collection}");
        for (_, href) in hrefs(&member) {
            app.get(&href).expect(200).await;
        }
    }
    // A HAL client may send a resource back with its links.
    let changed = json!({"itemPrice": 7, "_links": {"self": {"href": "/items/1"}}});
    let call = app.call(Method::PATCH, "/items/1").json(&changed);
    let changed = call.header("content-type", "application/hal+json").expect(200).await.json();
    assert_eq!(changed["itemPrice"], 7);
    assert_eq!(changed["_links"]["self"]["href"], "/items/1");
}

#[tokio::test]
async fn advice_fits_the_request() {
    let app = app().await;
    let item = app.camera().await;
    let no = app.reserved(item, 1).await;
    let detail = async |path: String, code: &str| {
        let refused = app.post(&path, json!({})).refused(409, code).await.json();
        refused["detail"].as_str().expect("a detail").to_owned()
    };
    let lend = detail(format!("/items/{item}/lend"), "not-paid").await;
    assert_eq!(lend, "The renter pays first; then lend the item.");
    let take_back = detail(format!("/reservations/{no}/payment/cancel"), "not-paid").await;
    assert_eq!(take_back, "Nothing is paid, so there is nothing to take back.");
}

#[tokio::test]
async fn malformed_json_is_explained_in_korean_too() {
    let app = app().await;
    for body in [&b"{\"itemName\": Camera}"[..], b"{", b"[]", b"\xff", b"{\"itemName\": \"\x01\"}"]
    {
        let call = app.call(Method::POST, "/items").bytes(body);
        let refused = call.header("accept-language", "ko").refused(400, "malformed-json").await;
        let detail = refused.json()["detail"].as_str().expect("a detail").to_owned();
        let is_korean = |c: char| ('가'..='힣').contains(&c);
        assert!(detail.contains(is_korean), "{detail}");
        assert!(!detail.contains("The body"), "{detail}");
    }
}
