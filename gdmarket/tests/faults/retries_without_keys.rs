//! The control of the kill test: the same kills and the same retries, but without idempotency keys. It must find
//! duplicates, or the kill test proves nothing.

use crate::stored_state::whole_log;
use gdmarket_testkit::{MarketClient, ServerOptions, TestDb, on_each_engine};
use reqwest::Method;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const CALLERS: usize = 16;
/// With this many callers in flight most kills leave a request that is committed and not answered.
const MAX_KILLS: u32 = 40;

on_each_engine! {
    async fn control_retry_without_a_key_is_executed_twice(db: &TestDb) {
        let options = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket")).on(db);
        let mut server = options.start().await;
        let stop = Arc::new(AtomicBool::new(false));
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let market = MarketClient::at(&server.url(""));
                tokio::spawn(register_with_retries(market, caller, Arc::clone(&stop)))
            })
            .collect();
        let mut duplicates = 0;
        for _ in 0..MAX_KILLS {
            // Some time of work, not a condition to wait for.
            tokio::time::sleep(Duration::from_millis(150)).await;
            server.restart().await;
            duplicates = count_duplicates(db).await;
            if duplicates > 0 {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
        for caller in callers {
            caller.await.unwrap();
        }
        assert!(duplicates > 0, "no kill hit a request between its commit and its answer");
    }
}

/// Registers one item after another, each under a name of its own, and repeats each request until it is
/// acknowledged.
async fn register_with_retries(market: MarketClient, caller: usize, stop: Arc<AtomicBool>) {
    for item in 0_u32.. {
        let body = json!({"itemName": format!("{caller}-{item}"), "itemPrice": 100});
        while !stop.load(Ordering::Relaxed) {
            let answer = market.send(Method::POST, "/items", Some(body.clone()), None).await;
            if answer.is_ok_and(|answer| answer.status == 201) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if stop.load(Ordering::Relaxed) {
            return;
        }
    }
}

/// The number of items that are in the log more than once.
async fn count_duplicates(db: &TestDb) -> usize {
    let mut names: HashMap<String, usize> = HashMap::new();
    for event in whole_log(db).await {
        if event.event_type == "ItemRegistered" {
            let payload: serde_json::Value = serde_json::from_str(&event.payload).unwrap();
            *names.entry(payload["ItemRegistered"]["itemName"].to_string()).or_default() += 1;
        }
    }
    names.into_values().filter(|times| *times > 1).count()
}
