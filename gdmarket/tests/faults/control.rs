//! The control run of the kill test: the same kills and the same asking again, but without keys.
//! It must find doubles, or the other test proves nothing.

use crate::kills::whole_log;
use crate::market::Market;
use gdmarket_testkit::{ServerOptions, TestDb, on_each_engine};
use reqwest::Method;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const CALLERS: usize = 16;
/// With this many callers in flight a kill leaves a written, unanswered request more often than not.
const KILLS_AT_MOST: u32 = 40;

on_each_engine! {
    async fn without_keys_asking_again_does_it_twice(db: &TestDb) {
        let options = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket")).on(db);
        let mut server = options.start().await;
        let stop = Arc::new(AtomicBool::new(false));
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| tokio::spawn(insist(Market::at(&server.url("")), caller, Arc::clone(&stop))))
            .collect();
        let mut doubles = 0;
        for _ in 0..KILLS_AT_MOST {
            // A moment of work, not a condition.
            tokio::time::sleep(Duration::from_millis(150)).await;
            server.restart().await;
            doubles = registered_twice(db).await;
            if doubles > 0 {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
        for caller in callers {
            caller.await.unwrap();
        }
        assert!(doubles > 0, "no kill hit a request between its commit and its answer");
    }
}

/// Registers one thing after another, each by its own name, asking again until it is acknowledged.
async fn insist(market: Market, caller: usize, stop: Arc<AtomicBool>) {
    for thing in 0_u32.. {
        let body = json!({"itemName": format!("{caller}-{thing}"), "itemPrice": 100});
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

/// How many things are in the log more than once.
async fn registered_twice(db: &TestDb) -> usize {
    let mut names: HashMap<String, usize> = HashMap::new();
    for event in whole_log(db).await {
        if event.event_type == "ItemRegistered" {
            let payload: serde_json::Value = serde_json::from_str(&event.payload).unwrap();
            *names.entry(payload["ItemRegistered"]["itemName"].to_string()).or_default() += 1;
        }
    }
    names.into_values().filter(|times| *times > 1).count()
}
