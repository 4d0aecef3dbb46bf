//! The routes between services and the metrics can't be reached from outside, however they are spelled.

use super::raw::{get, send};
use super::stub::FourStubs;
use gdmarket_testkit::Gateway;

const REFUSED: &[&str] = &[
    "/internal",
    "/internal/",
    "/internal/log?after=0",
    "//internal/log",
    "/internal//log",
    "/./internal/log",
    "/internal/./log",
    "/INTERNAL/log",
    "/Internal/log",
    "/%69nternal/log",
    "/%49NTERNAL/log",
    "/internal%2flog",
    "/internal%2Flog",
    "/internal/../items",
    "/internal/%2e%2e/items",
    "/internal/%2E./items",
    "/internal/..%2fitems",
    "/internal/../items/%20%3F",
    "/internal/../items/%20/-/problem",
    "/internal/../-/problem",
    "/internal%5clog",
    "/items/../internal/log",
    "/items/%2e%2e/internal/log",
    "/items/..%2finternal/log",
    "/items%2f..%2finternal/log",
    "/items/..\\internal\\log",
    "/items;/../internal/log",
    "/items/1/../../internal/log",
    "/docs/../internal/log",
    "/events/../internal/log?itemNo=1",
    "/metrics",
    "/metrics/",
    "/metrics?x=1",
    "//metrics",
    "/./metrics",
    "/METRICS",
    "/%6detrics",
    "/items/../metrics",
    "/services/item/metrics",
    "/services/item/internal/log",
    "/services/item/../internal/log",
    "/services/item/livez/../metrics",
    "/services/item/livez%2f..%2fmetrics",
    "/services/item/",
    "/services/item/items",
    "/services/ITEM/livez",
    "/services/any/livez",
    "/services/other/livez",
    "/-/problem",
    "/-/unanswered",
    "/nothing",
    "/itemsx",
    "/item",
    "http://localhost/internal/log",
    "http://localhost/items/../metrics",
];

#[tokio::test]
async fn internal_routes_and_metrics_are_refused_in_every_spelling() {
    let stubs = FourStubs::start().await;
    let gateway = Gateway::before(&stubs.addresses(), &[]).await;
    for target in REFUSED {
        for method in ["GET", "HEAD", "POST", "DELETE", "OPTIONS"] {
            let body = if method == "POST" { "{}" } else { "" };
            let answer = send(&gateway, &format!("{method} {target}"), "", body).await;
            let context = format!("{method} {target}: {answer:?} {}", gateway.error_log());
            assert!([400, 404].contains(&answer.status), "{context}");
            if method == "GET" && answer.status == 404 {
                answer.problem(404, "not-found");
            }
        }
    }
    assert_eq!(stubs.count(), 0, "{stubs:?}");
    assert_eq!(get(&gateway, "/items").await.status, 200, "the way to the services is open");
}

#[tokio::test]
async fn paths_above_the_root_are_refused() {
    let stubs = FourStubs::start().await;
    let gateway = Gateway::before(&stubs.addresses(), &[]).await;
    for target in ["/../internal/log", "/items/../../internal/log", "/%2e%2e/internal", "/%00", "*"]
    {
        assert_eq!(get(&gateway, target).await.status, 400, "{target}");
    }
    assert_eq!(stubs.count(), 0, "{stubs:?}");
}

#[tokio::test]
async fn ambiguous_requests_are_refused() {
    let stubs = FourStubs::start().await;
    let gateway = Gateway::before(&stubs.addresses(), &[]).await;
    let both = "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n";
    assert_eq!(send(&gateway, "POST /items", both, "").await.status, 400);
    let lengths = "Content-Length: 2\r\nContent-Length: 3\r\n";
    assert_eq!(send(&gateway, "POST /items", lengths, "").await.status, 400);
    let hosts = "Host: evil.example\r\n";
    assert_eq!(send(&gateway, "GET /items", hosts, "").await.status, 400);
    let answer = send(&gateway, "POST /items", "Transfer-Encoding: gzip, chunked\r\n", "").await;
    answer.problem(501, "not-implemented");
    let answer = send(&gateway, "TRACE /items", "", "").await;
    answer.problem(405, "method-not-allowed");
    assert!(answer.header("allow").contains("PATCH"), "{answer:?}");
    assert_eq!(stubs.count(), 0, "{stubs:?}");
}
