//! A service that is down, hangs or breaks off takes its own routes with it and no others; callers see problem documents.

use super::raw::{get, send};
use super::stub::{Behaviour, FourStubs, Stub};
use gdmarket_api::problem::kind::Kind;
use gdmarket_testkit::{Gateway, ServiceAddresses, free_port};
use serde_json::Value;
use std::path::Path;

/// The routes of other services than item.
const OTHERS: [&str; 8] = [
    "/reservations",
    "/payments",
    "/alarms",
    "/",
    "/docs",
    "/livez",
    "/readyz",
    "/services/alarm/readyz",
];

#[tokio::test]
async fn dead_service_takes_only_its_own_routes_down() {
    let stubs = FourStubs::start().await;
    let item = format!("127.0.0.1:{}", free_port());
    let services = ServiceAddresses { item, ..stubs.addresses() };
    let gateway = Gateway::before(&services, &[]).await;
    for request in [
        "GET /items",
        "POST /items",
        "DELETE /items/1",
        "GET /itemInfoes",
        "GET /events?itemNo=1",
        "GET /services/item/readyz",
    ] {
        let answer = send(&gateway, request, "", "").await;
        let problem = answer.problem(502, "service-unreachable");
        assert_eq!(answer.header("retry-after"), "1");
        let path = request.split([' ', '?']).nth(1);
        assert_eq!(problem["instance"].as_str(), path, "{problem}");
    }
    for round in 0..4 {
        for target in OTHERS {
            assert_eq!(get(&gateway, target).await.status, 200, "{target}, round {round}");
        }
    }
}

#[tokio::test]
async fn capabilities_show_each_services_own_problem() {
    let stubs = FourStubs::with_item(Behaviour::BreaksOff).await;
    let hanging = Stub::start("reservation", Behaviour::Hangs).await;
    let services = ServiceAddresses {
        reservation: hanging.address(),
        payment: format!("127.0.0.1:{}", free_port()),
        ..stubs.addresses()
    };
    let gateway = Gateway::before(&services, &[]).await;
    let text = reqwest::get(gateway.url("/capabilities")).await.unwrap().text().await.unwrap();
    let capabilities: Value = serde_json::from_str(&text).unwrap();
    let services = &capabilities["services"];
    for (service, status, code) in [
        ("item", 504, "no-answer"),
        ("reservation", 504, "no-answer"),
        ("payment", 502, "service-unreachable"),
    ] {
        assert_eq!(services[service]["status"], status, "{capabilities}");
        assert_eq!(services[service]["code"], code, "{capabilities}");
    }
    assert_eq!(services["alarm"], "alarm", "{capabilities}");
}

#[tokio::test]
async fn hanging_service_is_dropped_after_the_time_limit() {
    let stubs = FourStubs::with_item(Behaviour::Hangs).await;
    let gateway = Gateway::before(&stubs.addresses(), &["--answer-seconds", "1"]).await;
    for request in ["GET /items", "POST /items"] {
        let answer = send(&gateway, request, "", "").await;
        answer.problem(504, "no-answer");
        assert_eq!(answer.header("retry-after"), "1");
    }
    assert_eq!(get(&gateway, "/reservations").await.status, 200);
    assert_eq!(stubs.item.seen().len(), 2);
}

#[tokio::test]
async fn problem_carries_the_callers_trace_and_language() {
    let stubs = FourStubs::with_item(Behaviour::BreaksOff).await;
    let gateway = Gateway::before(&stubs.addresses(), &[]).await;
    let trace = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
    for (accepted, language) in [
        ("ko-KR,ko;q=0.9,en;q=0.8", "ko"),
        ("en, ko;q=0.3", "en"),
        ("fr, ko;q=0.3", "ko"),
        ("", "en"),
    ] {
        let headers = format!("{trace}Accept-Language: {accepted}\r\n");
        let answer = send(&gateway, "POST /items", &headers, "{}").await;
        let problem = answer.problem(504, "no-answer");
        assert_eq!(problem["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(answer.header("content-language"), language, "{accepted}");
        let title = Kind::of("no-answer").unwrap().title;
        let expected = if language == "ko" { title.ko } else { title.en };
        assert_eq!(problem["title"], expected, "{accepted}");
    }
    let answer = get(&gateway, "/no\"such,path").await;
    assert_eq!(answer.problem(404, "not-found")["instance"], "/");
}

/// The text of `"<code> <language>" "<text>";` lines in the gateway's configuration.
fn titles() -> Vec<(String, String, String)> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/gateway/nginx.conf.template");
    let text = std::fs::read_to_string(file).unwrap();
    let map = text.split_once("$problem_title {").unwrap().1.split_once('}').unwrap().0;
    let entries = map.lines().filter_map(|line| {
        let mut texts = line.split('"').skip(1).step_by(2);
        let (code, language) = texts.next()?.split_once(' ')?;
        Some((code.to_owned(), language.to_owned(), texts.next()?.to_owned()))
    });
    entries.collect()
}

#[test]
fn titles_of_the_gateways_problems_are_those_of_the_services() {
    let titles = titles();
    assert!(titles.len() >= 18, "{titles:?}");
    for (code, language, title) in titles {
        let kind = Kind::of(&code).unwrap_or_else(|| panic!("no kind of problem is called {code}"));
        let expected = if language == "ko" { kind.title.ko } else { kind.title.en };
        assert_eq!(title, expected, "{code} {language}");
    }
}
