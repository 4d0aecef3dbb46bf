//! Waiting until the market is idle.

use crate::stored_state::whole_log;
use gdmarket_testkit::{MarketClient, TestDb, all_resources};
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// A payment that was interrupted is settled after the gateway's call limit.
const IDLE_WITHIN: Duration = Duration::from_mins(2);

/// Waits until nothing is in flight: no reservation is requested, no payment is pending (not even one that a
/// reservation requested and that never started), and the log's head is the same in two checks half a second
/// apart.
pub(crate) async fn wait_until_idle(market: &MarketClient, db: &TestDb) {
    let deadline = Instant::now() + IDLE_WITHIN;
    let mut last = -1;
    loop {
        let head = whole_log(db).await.last().map_or(0, |event| event.position);
        let payments = market.get("/payments?status=Pending&limit=5").await.expect(200).body;
        let requests = market.get("/reservations?status=Requested&limit=5").await.expect(200).body;
        let pending = [&payments["_embedded"]["payments"], &requests["_embedded"]["reservations"]];
        let is_idle = pending.iter().all(|rows| rows.as_array().is_some_and(Vec::is_empty));
        if is_idle && head == last && !all_resources(market).await.iter().any(waits_for_a_payment) {
            return;
        }
        assert!(Instant::now() < deadline, "still in flight: {pending:?}");
        last = head;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn waits_for_a_payment(row: &Value) -> bool {
    let actions = row["actions"].as_array().into_iter().flatten();
    actions.into_iter().any(|action| action["reason"] == "payment-pending")
}
