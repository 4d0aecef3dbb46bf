//! Pages of other sites may call the market only where the gateway lists them.

use super::raw::send;
use super::stub::FourStubs;
use gdmarket_testkit::Gateway;

const ORIGIN: &str = "https://app.example";

#[tokio::test]
async fn listed_page_may_call_and_read_the_answer() {
    let stubs = FourStubs::start().await;
    let options = ["--cors-origin", "https://other.example", "--cors-origin", ORIGIN];
    let gateway = Gateway::before(&stubs.addresses(), &options).await;
    let origin = format!("Origin: {ORIGIN}\r\n");
    let answer = send(&gateway, "POST /items", &origin, "{}").await;
    assert_eq!(answer.header("access-control-allow-origin"), ORIGIN, "{answer:?}");
    assert!(answer.header("access-control-expose-headers").contains("Gdmarket-At"));
    assert_eq!(answer.header("vary"), "Origin");
    assert_eq!(answer.header("access-control-allow-credentials"), "");
    // The services refuse every other origin than their own; the gateway has checked this one.
    assert!(stubs.item.only().header("origin").is_empty());
    let refused = send(&gateway, "GET /metrics", &origin, "").await;
    refused.problem(404, "not-found");
    assert_eq!(refused.header("access-control-allow-origin"), ORIGIN, "{refused:?}");
}

#[tokio::test]
async fn preflight_is_answered_for_listed_pages_alone() {
    let stubs = FourStubs::start().await;
    let gateway = Gateway::before(&stubs.addresses(), &["--cors-origin", ORIGIN]).await;
    let preflight =
        |origin: &str| format!("Origin: {origin}\r\nAccess-Control-Request-Method: POST\r\n");
    let answer = send(&gateway, "OPTIONS /items", &preflight(ORIGIN), "").await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), ORIGIN);
    assert!(answer.header("access-control-allow-methods").contains("PATCH"));
    assert!(answer.header("access-control-allow-headers").contains("Idempotency-Key"));
    assert!(!answer.header("access-control-allow-headers").to_lowercase().contains("actor"));
    assert_eq!(stubs.count(), 0);
    for foreign in ["https://app.example.evil.example", "http://app.example", "null"] {
        let answer = send(&gateway, "OPTIONS /items", &preflight(foreign), "").await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{foreign}");
        assert_eq!(stubs.item.seen().pop().unwrap().header("origin"), [foreign]);
    }
}

#[tokio::test]
async fn no_page_is_listed_by_default() {
    let stubs = FourStubs::start().await;
    let gateway = Gateway::before(&stubs.addresses(), &[]).await;
    let answer = send(&gateway, "GET /items", &format!("Origin: {ORIGIN}\r\n"), "").await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
    assert_eq!(stubs.item.only().header("origin"), [ORIGIN], "the service refuses it");
}
