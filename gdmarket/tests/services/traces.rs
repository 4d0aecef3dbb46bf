//! One story over the logs of several services: what a person asked of one, and what followed in the others. A service
//! that is down is named.

use crate::calls::PROGRAM;
use gdmarket_testkit::{SplitMarket, SplitMarketOptions, eventually};
use reqwest::Client;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const WHOLE: &str = "\
    reservation ReservationRequested(item ItemHeld(reservation Reserved())) \
    reservation PaymentRequested(payment PaymentStarted(payment PaymentApproved(\
    reservation ReservationPaid(item LendingAuthorized()))))";
const TRACE: &str = "/reservations/1/trace";

async fn post(market: &SplitMarket, service: &str, path: &str, body: Value) -> Value {
    let call = Client::new().post(market.url(service, path)).json(&body);
    let call = call.header("traceparent", format!("00-{TRACE_ID}-00f067aa0ba902b7-01"));
    let answer = call.send().await.unwrap();
    let status = answer.status();
    let body: Value = answer.json().await.unwrap();
    assert!(status.is_success(), "{status}: {body}");
    body
}

async fn get(market: &SplitMarket, service: &str, path: &str) -> Value {
    Client::new().get(market.url(service, path)).send().await.unwrap().json().await.unwrap()
}

/// The JSON that a tool prints with the configuration of a service, and its notes.
async fn tool(market: &SplitMarket, service: &str, arguments: &[&str]) -> (Value, String) {
    let output = market.tool(service, arguments).await;
    let notes = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {notes}");
    (serde_json::from_slice(&output.stdout).unwrap(), notes)
}

/// `service Type(consequences)` for each event.
fn shape(events: &Value) -> String {
    let of = |event: &Value| {
        let (service, name) = (event["service"].as_str(), event["type"].as_str().unwrap());
        format!("{} {name}({})", service.unwrap_or("-"), shape(&event["consequences"]))
    };
    events.as_array().unwrap().iter().map(of).collect::<Vec<_>>().join(" ")
}

/// All events, without their consequences.
fn flat<'a>(events: &'a Value) -> Vec<&'a Value> {
    let below = |event: &'a Value| std::iter::once(event).chain(flat(&event["consequences"]));
    events.as_array().unwrap().iter().flat_map(below).collect()
}

/// An item is registered, reserved and paid, and the item knows that it may be lent.
async fn rent(market: &SplitMarket) {
    post(market, "item", "/items", json!({"itemName": "Camera", "itemPrice": 100})).await;
    let request = json!({"customerName": "Kim", "customerId": 7, "itemNo": 1});
    post(market, "reservation", "/reservations", request).await;
    post(market, "reservation", "/reservations/1/payment", json!({})).await;
    eventually(SOON, || async {
        let story = get(market, "reservation", TRACE).await;
        if shape(&story["events"]).contains("LendingAuthorized") { Ok(()) } else { Err(story) }
    })
    .await;
}

/// The services whose events these are.
fn services(events: &Value) -> BTreeSet<&str> {
    flat(events).iter().map(|event| event["service"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn story_of_a_rental_is_one_tree_over_the_logs_of_all_services() {
    let mut market = SplitMarketOptions::four_services(PROGRAM).start().await;
    rent(&market).await;
    let story = get(&market, "reservation", TRACE).await;
    assert_eq!(shape(&story["events"]), WHOLE);
    assert_eq!((&story["complete"], &story["missing"]), (&json!(true), &Value::Null));
    // The tools of every service show the same.
    for service in ["reservation", "item"] {
        let (shown, notes) = tool(&market, service, &["trace", "reservation", "1", "--json"]).await;
        assert_eq!(
            (&shown["events"], &shown["complete"]),
            (&story["events"], &json!(true)),
            "{notes}"
        );
        assert_eq!(shown["missing"], Value::Null);
    }
    let requests = story["events"].as_array().unwrap();
    for request in requests {
        let id = request["correlationId"].as_str().unwrap();
        for event in flat(&json!([request])) {
            assert_eq!(event["correlationId"], id, "{event}");
            let (service, position) =
                (event["service"].as_str().unwrap(), event["position"].to_string());
            let (stored, _) =
                tool(&market, service, &["events", "show", &position, "--json"]).await;
            let traceparent = stored["metadata"]["traceparent"].as_str().unwrap();
            assert!(traceparent.contains(TRACE_ID), "{stored}");
        }
        for service in ["reservation", "item"] {
            let (shown, _) = tool(&market, service, &["trace", id, "--json"]).await;
            assert_eq!(shown["events"], json!([request]), "{id}");
        }
    }
    let output = market.tool("item", &["trace", "reservation", "1"]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("@item item/1 #2 ItemHeld"), "{text}");

    let (announced, _) = tool(&market, "item", &["sagas", "show", "item/1", "--json"]).await;
    let announced = &announced["events"];
    assert_eq!(services(announced), BTreeSet::from(["alarm", "item"]), "{announced}");
    let id = announced[0]["correlationId"].as_str().unwrap();
    let (shown, notes) = tool(&market, "payment", &["trace", id, "--json"]).await;
    assert_eq!((&shown["events"], &shown["complete"]), (announced, &json!(true)), "{notes}");

    market.kill("item").await;
    let story = get(&market, "reservation", TRACE).await;
    assert_eq!((&story["complete"], &story["missing"]), (&json!(false), &json!(["item"])));
    assert_eq!(services(&story["events"]), BTreeSet::from(["payment", "reservation"]));
    let (shown, notes) =
        tool(&market, "reservation", &["trace", "reservation", "1", "--json"]).await;
    assert_eq!((&shown["events"], &shown["missing"]), (&story["events"], &json!(["item"])));
    assert!(notes.contains("The part of the service item is missing: http://"), "{notes}");
    let (shown, _) = tool(&market, "item", &["sagas", "show", "1", "--json"]).await;
    assert_eq!(
        (&shown["complete"], &shown["missing"]),
        (&json!(true), &Value::Null),
        "its log is there"
    );
}
