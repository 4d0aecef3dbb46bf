//! `/internal/` is for the other services alone: what a server answers to wrong, expired, replayed and foreign tokens, and
//! how its keys are replaced while it serves.

use crate::shared_keys::shared_keys;
use chrono::{DateTime, TimeDelta, Utc};
use gdmarket_commands::{Clock as _, SystemClock};
use gdmarket_domain::Service;
use gdmarket_service_token::{SERVICE_TOKEN, TokenIssuer};
use gdmarket_testkit::{KeysFile, Server, ServerOptions, eventually};
use reqwest::Client;
use serde_json::Value;
use std::time::Duration;
use uuid::Uuid;

const KEY: &str = "a1";
const NEW_KEY: &str = "b2";
const LOG: &str = "/internal/log?after=0";
const SOON: Duration = Duration::from_secs(30);

fn options() -> ServerOptions {
    ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket"))
        .variable("GDMARKET__TELEMETRY__LOG", "trace")
        .variable("GDMARKET__TELEMETRY__FORMAT", "json")
}

fn now() -> DateTime<Utc> {
    SystemClock.now()
}

fn token(key: &str, audience: Service, at: DateTime<Utc>, request_id: Uuid) -> String {
    TokenIssuer::new(Service::Reservation, shared_keys(key)).issue(audience, at, request_id)
}

fn fresh(key: &str) -> String {
    token(key, Service::Item, now(), SystemClock.new_id())
}

/// The status and the body of the log with these tokens.
async fn ask(server: &Server, tokens: &[&str]) -> (u16, Value) {
    let mut request = Client::new().get(server.url(LOG));
    for token in tokens {
        request = request.header(SERVICE_TOKEN, *token);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    let first = text.lines().next().unwrap_or_default();
    (status, serde_json::from_str(first).unwrap_or(Value::Null))
}

#[tokio::test]
async fn only_a_fresh_token_of_a_service_opens_the_log() {
    let file = KeysFile::new(KEY);
    let server = options().variable(KeysFile::VARIABLE, &file.path()).start().await;
    let valid = fresh(KEY);
    let (status, header) = ask(&server, &[&valid]).await;
    assert_eq!((status, &header["format"], &header["events"]), (200, &1.into(), &0.into()));

    let seconds = TimeDelta::seconds;
    let old = token(KEY, Service::Item, now() - seconds(31), SystemClock.new_id());
    let early = token(KEY, Service::Item, now() + seconds(40), SystemClock.new_id());
    let changed = fresh(KEY).replacen(".reservation.", ".payment.", 1);
    let foreign = fresh(KEY).replacen(".item.", ".payment.", 1);
    let (two, text) = ([fresh(KEY), fresh(KEY)], "hello".to_owned());
    for (name, tokens, detail) in [
        ("none", vec![], "exactly one header"),
        ("two", vec![&two[0], &two[1]], "exactly one header"),
        ("replayed", vec![&valid], "was used before"),
        ("expired", vec![&old], "has expired"),
        ("valid for too long", vec![&early], "more than 60 seconds"),
        ("of another key", vec![&fresh(NEW_KEY)], "No key of this service"),
        ("with another audience", vec![&foreign], "No key of this service"),
        ("changed", vec![&changed], "No key of this service"),
        ("no token", vec![&text], "isn't a service token"),
    ] {
        let tokens: Vec<&str> = tokens.into_iter().map(String::as_str).collect();
        let (status, problem) = ask(&server, &tokens).await;
        assert_eq!(status, 401, "{name}: {problem}");
        assert_eq!(problem["code"], "service-token-refused", "{name}");
        assert!(problem["detail"].as_str().unwrap().contains(detail), "{name}: {problem}");
    }
    for header in ["x-gdmarket-actor", "authorization"] {
        let request = Client::new().get(server.url(LOG)).header(header, "operator:local");
        assert_eq!(request.send().await.unwrap().status().as_u16(), 401, "{header}");
    }
    let log = server.stderr();
    assert!(log.contains("service-token-refused"), "the refusals are in the log");
    for token in [&valid, &old, &early, &changed, &foreign, &two[0]] {
        let signature = token.rsplit('.').next().unwrap();
        assert!(!log.contains(signature), "no token is in the log");
    }
}

#[tokio::test]
async fn process_without_keys_has_no_internal_address() {
    let server = options().start().await;
    for tokens in [vec![], vec![fresh(KEY)]] {
        let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
        let (status, problem) = ask(&server, &tokens).await;
        assert_eq!((status, &problem["code"]), (404, &"not-found".into()));
    }
}

#[tokio::test]
async fn keys_are_replaced_while_the_server_serves() {
    let file = KeysFile::new(KEY);
    let server = options().variable(KeysFile::VARIABLE, &file.path()).start().await;
    let accepts = async |key: &str, expected: bool| {
        eventually(SOON, || async {
            let (status, problem) = ask(&server, &[&fresh(key)]).await;
            if (status == 200) == expected { Ok(()) } else { Err(problem) }
        })
        .await;
    };
    accepts(NEW_KEY, false).await;
    file.write(KEY, Some(NEW_KEY));
    accepts(NEW_KEY, true).await;
    accepts(KEY, true).await;
    file.write(NEW_KEY, Some(KEY));
    accepts(KEY, true).await;
    // A file that can't be read leaves the keys as they are.
    file.write_text("current = \"oops\"\n");
    eventually(SOON, || async {
        let is_noticed = server.stderr().contains("the ones before stay");
        if is_noticed { Ok(()) } else { Err("not noticed yet") }
    })
    .await;
    accepts(KEY, true).await;
    file.write(NEW_KEY, None);
    accepts(KEY, false).await;
    accepts(NEW_KEY, true).await;
    let log = server.stderr();
    for key in [KEY.repeat(32), NEW_KEY.repeat(32), "oops".to_owned()] {
        assert!(!log.contains(&key), "no key is in the log");
    }
}
