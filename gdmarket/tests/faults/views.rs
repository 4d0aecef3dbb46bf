//! All resources that the market shows, page by page, and the same after the views were rebuilt.

use crate::market_client::MarketClient;
use gdmarket_testkit::{Server, TestDb, eventually};
use serde_json::Value;
use std::time::Duration;

const COLLECTIONS: [&str; 5] = ["itemInfoes", "items", "reservations", "payments", "alarms"];
/// The longest time for rebuilding the views of these tests.
const REBUILT_WITHIN: Duration = Duration::from_mins(1);

/// All members of all collections.
pub(crate) async fn all_resources(market: &MarketClient) -> Vec<Value> {
    let mut all = Vec::new();
    for collection in COLLECTIONS {
        let mut path = format!("/{collection}?limit=500");
        loop {
            let page = market.get(&path).await.expect(200).body;
            all.extend(page["_embedded"][collection].as_array().cloned().unwrap_or_default());
            match page["_links"]["next"]["href"].as_str() {
                Some(next) => next.clone_into(&mut path),
                None => break,
            }
        }
    }
    all
}

/// Removes all views, checkpoints and deadlines, starts the server again, and waits until the market shows `before`.
pub(crate) async fn assert_rebuilt_views_equal(before: &[Value], server: &mut Server, db: &TestDb) {
    server.kill().await;
    db.forget_views().await;
    server.restart().await;
    let market = MarketClient::at(&server.url(""));
    eventually(REBUILT_WITHIN, || async {
        let after = all_resources(&market).await;
        match before.iter().zip(&after).find(|(old, new)| old != new) {
            Some((old, new)) => Err(format!("live {old}\nrebuilt {new}")),
            None if before.len() != after.len() => {
                Err(format!("{} rows live, {} rebuilt", before.len(), after.len()))
            }
            None => Ok(()),
        }
    })
    .await;
}
