//! Every address of the interface has a rule in the gateway, and reaches the service that owns it and no other.

use super::raw::{get, send};
use super::stub::FourStubs;
use gdmarket_testkit::Gateway;
use serde_json::Value;
use std::path::Path;

/// Who answers an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// This service alone.
    Service(&'static str),
    /// The gateway itself.
    Gateway,
    /// Nothing, for callers from outside.
    Refused,
}

/// The owner of each address in the OpenAPI document; `None` for an address that this test doesn't know.
fn owner(path: &str) -> Option<Owner> {
    Some(match path {
        "/" | "/livez" | "/readyz" | "/capabilities" => Owner::Gateway,
        // Without a filter a follower doesn't say whose events it follows.
        "/metrics" | "/events" => Owner::Refused,
        _ => match path.split('/').nth(1).unwrap_or_default() {
            "items" | "itemInfoes" => Owner::Service("item"),
            "reservations" => Owner::Service("reservation"),
            "payments" => Owner::Service("payment"),
            "alarms" => Owner::Service("alarm"),
            _ => return None,
        },
    })
}

/// Method and path of every operation.
pub(super) fn operations() -> Vec<(String, String)> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let document: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys();
            methods.map(|method| (method.to_uppercase(), path.clone())).collect::<Vec<_>>()
        })
        .collect()
}

/// A path of the document with a number for each parameter.
pub(super) fn concrete(path: &str) -> String {
    let number = |part: &str| if part.starts_with('{') { "1".to_owned() } else { part.to_owned() };
    path.split('/').map(number).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn every_operation_of_the_document_reaches_its_service_alone() {
    let stubs = FourStubs::start().await;
    let gateway = Gateway::before(&stubs.addresses(), &[]).await;
    let operations = operations();
    assert!(operations.len() > 25, "{operations:?}");
    for (method, path) in operations {
        let owner = owner(&path);
        let has_rule =
            "is new: give it a rule in deploy/gateway/nginx.conf.template, and an owner here";
        assert!(owner.is_some(), "{path} {has_rule}");
        for target in [concrete(&path), format!("{}?x=1", concrete(&path))] {
            let body = if method == "POST" || method == "PATCH" { "{}" } else { "" };
            let before = stubs.count();
            let answer = send(&gateway, &format!("{method} {target}"), "", body).await;
            let reached = stubs.count() - before;
            let context = format!("{method} {target}: {answer:?}");
            match owner {
                Some(Owner::Service(name)) => {
                    assert_eq!(answer.header("x-stub"), name, "{context}");
                }
                Some(Owner::Gateway) => assert_eq!(answer.status, 200, "{context}"),
                Some(Owner::Refused) | None => drop(answer.problem(404, "not-found")),
            }
            let expected = match owner {
                Some(Owner::Service(_)) => 1,
                Some(Owner::Gateway) if path == "/capabilities" => 4,
                Some(Owner::Gateway | Owner::Refused) | None => 0,
            };
            assert_eq!(reached, expected, "{context}");
        }
    }
}

#[tokio::test]
async fn path_and_query_reach_the_service_as_they_were_sent() {
    let stubs = FourStubs::start().await;
    let gateway = Gateway::before(&stubs.addresses(), &[]).await;
    for target in [
        "/items/",
        "/items/%31",
        "/items?itemName=%EC%B9%B4%20a&limit=2",
        "/items/1/calendar?from=2026-01-01",
    ] {
        get(&gateway, target).await;
        let seen = stubs.item.seen();
        let line = seen.last().unwrap().line();
        assert_eq!(line, format!("GET {target} HTTP/1.1"));
    }
}

#[tokio::test]
async fn documents_come_from_any_service() {
    let stubs = FourStubs::start().await;
    let gateway = Gateway::before(&stubs.addresses(), &[]).await;
    for target in ["/openapi.json", "/docs", "/docs/", "/docs/swagger-ui.css", "/docs/errors/paid"]
    {
        assert_ne!(get(&gateway, target).await.header("x-stub"), "", "{target}");
    }
}

#[tokio::test]
async fn every_link_of_the_gateway_leads_somewhere() {
    let stubs = FourStubs::start().await;
    let gateway = Gateway::before(&stubs.addresses(), &[]).await;
    let root = get(&gateway, "/").await;
    assert_eq!(root.header("content-type"), "application/hal+json");
    let root: Value = serde_json::from_str(&root.body).unwrap();
    let links = root["_links"].as_object().unwrap();
    for (name, link) in links {
        let target = link["href"].as_str().unwrap();
        assert_eq!(get(&gateway, target).await.status, 200, "{name}");
    }
    for (_, path) in operations().iter().filter(|(_, path)| path.matches('/').count() == 1) {
        let is_linked = links.values().any(|link| link["href"] == path.as_str());
        let is_refused = owner(path) == Some(Owner::Refused);
        assert_ne!(is_linked, is_refused, "{path}");
    }
}

#[tokio::test]
async fn each_service_has_health_and_capabilities_of_its_own() {
    let stubs = FourStubs::start().await;
    let gateway = Gateway::before(&stubs.addresses(), &[]).await;
    for service in ["item", "reservation", "payment", "alarm"] {
        for page in ["livez", "readyz", "capabilities"] {
            let answer = get(&gateway, &format!("/services/{service}/{page}")).await;
            assert_eq!(answer.header("x-stub"), service, "{answer:?}");
        }
    }
    let lines: Vec<_> = stubs.alarm.seen().iter().map(|seen| seen.line().to_owned()).collect();
    let expected = ["GET /livez HTTP/1.1", "GET /readyz HTTP/1.1", "GET /capabilities HTTP/1.1"];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn capabilities_of_the_gateway_are_those_of_the_four_services() {
    let stubs = FourStubs::start().await;
    let gateway = Gateway::before(&stubs.addresses(), &[]).await;
    let text = reqwest::get(gateway.url("/capabilities")).await.unwrap().text().await.unwrap();
    let capabilities: Value = serde_json::from_str(&text).unwrap();
    for service in ["item", "reservation", "payment", "alarm"] {
        assert_eq!(capabilities["services"][service], service, "{capabilities}");
    }
}
