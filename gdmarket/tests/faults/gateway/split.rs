//! Four real processes behind the gateway, each with one service and a log of its own.

use super::raw::{get, send};
use super::routes::{concrete, operations};
use gdmarket_testkit::{Engine, SERVICES, SplitMarket, SplitMarketOptions, eventually};
use serde_json::Value;
use std::time::Duration;

async fn four_services() -> SplitMarket {
    let options = SplitMarketOptions::new(env!("CARGO_BIN_EXE_gdmarket"));
    SERVICES
        .into_iter()
        .fold(options, |options, service| options.process(service, Engine::Sqlite))
        .variable("GDMARKET__SERVER__ADDRESS_SHARE_PERCENT", "100")
        .gateway(&[])
        .start()
        .await
}

#[tokio::test]
async fn no_operation_meets_a_service_that_does_not_serve_it() {
    let split = four_services().await;
    let gateway = split.gateway();
    for (method, path) in operations() {
        let body = if method == "POST" || method == "PATCH" { "{}" } else { "" };
        let request = format!("{method} {}", concrete(&path));
        let answer = send(gateway, &request, "", body).await;
        assert!(![502, 504].contains(&answer.status), "{request}: {answer:?}");
        // `/capabilities` names the commands that other processes serve.
        let is_refused = answer.status == 404 && answer.body.contains("not-served-here");
        assert!(!is_refused, "{request}: {answer:?}");
    }
    let text = reqwest::get(gateway.url("/capabilities")).await.unwrap().text().await.unwrap();
    let capabilities: Value = serde_json::from_str(&text).unwrap();
    for service in ["item", "reservation", "payment", "alarm"] {
        assert_eq!(capabilities["services"][service]["name"], "gdmarket", "{capabilities}");
    }
}

#[tokio::test]
async fn killed_service_is_missed_alone_and_found_again() {
    let mut split = four_services().await;
    split.kill("payment").await;
    get(split.gateway(), "/payments").await.problem(502, "service-unreachable");
    for target in ["/items", "/itemInfoes", "/reservations", "/alarms", "/docs", "/readyz"] {
        assert_eq!(get(split.gateway(), target).await.status, 200, "{target}");
    }
    split.restart("payment").await;
    eventually(Duration::from_secs(5), || async {
        match get(split.gateway(), "/payments").await.status {
            200 => Ok(()),
            status => Err(status),
        }
    })
    .await;
}
