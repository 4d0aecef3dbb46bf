//! Everything the market shows, page by page, and the same again after the views were thrown away.

use crate::market::Market;
use gdmarket_testkit::{Server, TestDb, eventually};
use serde_json::Value;
use std::time::Duration;

const COLLECTIONS: [&str; 5] = ["itemInfoes", "items", "reservations", "payments", "alarms"];
/// A rebuild of what these tests write.
const REBUILT_WITHIN: Duration = Duration::from_mins(1);

/// All members of all collections.
pub(crate) async fn everything(market: &Market) -> Vec<Value> {
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

/// Throws every view, checkpoint and deadline away, starts again, and waits until the market shows
/// `before` once more.
pub(crate) async fn rebuilt_views_equal(before: &[Value], server: &mut Server, db: &TestDb) {
    server.kill().await;
    db.forget_views().await;
    server.restart().await;
    let market = Market::at(&server.url(""));
    eventually(REBUILT_WITHIN, || async {
        let after = everything(&market).await;
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
