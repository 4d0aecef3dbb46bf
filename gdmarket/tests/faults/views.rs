//! What the market shows is the same after its views were rebuilt.

use gdmarket_testkit::{MarketClient, Server, TestDb, all_resources, difference, eventually};
use serde_json::Value;
use std::time::Duration;

/// The longest time for rebuilding the views of these tests.
const REBUILT_WITHIN: Duration = Duration::from_mins(1);

/// Removes all views, checkpoints and deadlines, starts the server again, and waits until the market shows `before`.
pub(crate) async fn assert_rebuilt_views_equal(before: &[Value], server: &mut Server, db: &TestDb) {
    server.kill().await;
    db.forget_views().await;
    server.restart().await;
    let market = MarketClient::at(&server.url(""));
    eventually(REBUILT_WITHIN, || async {
        let after = all_resources(&market).await;
        difference(before, &after).map_or(Ok(()), Err)
    })
    .await;
}
