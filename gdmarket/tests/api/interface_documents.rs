//! The descriptions of the interface: pages of problems, `/docs`, the OpenAPI document, links, capabilities.

use crate::app::app;
use gdmarket_api::openapi;
use gdmarket_api::problem::kind::KINDS;
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[tokio::test]
async fn every_problem_has_a_page_in_both_languages() {
    let app = app().await;
    for kind in KINDS {
        let page = app.get(&kind.page()).expect(200).await;
        assert!(page.header("content-type").starts_with("text/html"), "{}", kind.code);
        assert!(page.text.contains(kind.code));
        assert!(page.text.contains("무슨 일"), "{} has no Korean part", kind.code);
    }
    let all = app.get("/docs/errors").expect(200).await;
    assert!(KINDS.iter().all(|kind| all.text.contains(&kind.page())));
    app.get("/docs/errors/no-such-code").refused(404, "not-found").await;
}

#[tokio::test]
async fn docs_page_needs_no_other_server() {
    let app = app().await;
    let page = app.get("/docs").expect(200).await;
    app.get("/docs/").expect(200).await;
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
    let sources = page.text.split(['"']).filter(|part| part.starts_with('/'));
    let sources: Vec<_> = sources.collect();
    assert!(sources.len() >= 5, "{sources:?}");
    for source in sources {
        app.get(source).expect(200).await;
    }
    assert!(!page.text.contains("http://") && !page.text.contains("https://"));
    let start = app.get("/docs/swagger-initializer.js").expect(200).await;
    assert!(start.text.contains("/openapi.json"), "{}", start.text);
}

#[tokio::test]
async fn served_openapi_document_equals_the_printed_one() {
    let app = app().await;
    assert_eq!(app.get("/openapi.json").expect(200).await.text, openapi::document());
}

#[tokio::test]
async fn every_route_of_the_document_answers_and_refuses_a_malformed_actor() {
    let app = app().await;
    let document: Value = serde_json::from_str(&openapi::document()).expect("the document");
    let mut seen = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let concrete = path.replace("{itemNo}", "1").replace("{reservationNo}", "1");
            let concrete = concrete.replace("{paymentNo}", "1").replace("{alarmNo}", "1");
            let method: http::Method = method.to_uppercase().parse().expect("a method");
            let answer = app.call(method.clone(), &concrete).send().await;
            let status = answer.status.to_string();
            assert!(operation["responses"].get(&status).is_some(), "{method} {path}: {status}");
            let takes_actor = operation["parameters"].to_string().contains("/Actor");
            if takes_actor {
                let call = app.call(method.clone(), &concrete).actor("king:1");
                call.refused(400, "bad-header").await;
            }
            seen.insert(format!("{method} {path}"));
        }
    }
    for route in [
        "POST /items",
        "PATCH /items/{itemNo}",
        "POST /items/{itemNo}/lend",
        "POST /items/{itemNo}/return",
        "POST /items/{itemNo}/block",
        "GET /items/{itemNo}/calendar",
        "POST /items/{itemNo}/unblock",
        "POST /items/{itemNo}/delete",
        "DELETE /items/{itemNo}",
        "POST /reservations",
        "POST /reservations/{reservationNo}/cancel",
        "GET /metrics",
        "DELETE /reservations/{reservationNo}",
        "POST /reservations/{reservationNo}/payment",
        "PATCH /reservations/{reservationNo}",
        "GET /reservations/{reservationNo}/trace",
        "POST /reservations/{reservationNo}/payment/cancel",
        "GET /itemInfoes/{itemNo}",
        "GET /payments/{paymentNo}",
        "GET /alarms/{alarmNo}",
        "GET /events",
        "GET /capabilities",
        "GET /livez",
        "GET /readyz",
        "GET /",
    ] {
        assert!(seen.contains(route), "{route} is not in the document");
    }
}

#[tokio::test]
async fn server_lists_its_links_capabilities_and_metrics() {
    let app = app().await;
    app.camera().await;
    let links = app.get("/").expect(200).await.json();
    for link in links["_links"].as_object().expect("links").values() {
        app.get(link["href"].as_str().expect("a link")).expect(200).await;
    }
    let capabilities = app.get("/capabilities").expect(200).await.json();
    assert_eq!(capabilities["engine"], "sqlite");
    assert_eq!(capabilities["timeZone"], "Asia/Seoul");
    assert_eq!(capabilities["limits"]["bodyBytes"], json!(65536));
    let metrics = app.get("/metrics").expect(200).await;
    let counted = "gdmarket_http_requests_total{method=\"POST\",route=\"/items\",status=\"201\"}";
    assert!(metrics.text.contains(counted), "{}", metrics.text);
}
