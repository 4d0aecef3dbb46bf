//! What must be true of a reservation once nothing is under way any more, whatever raced before.

use crate::market::Market;
use gdmarket_testkit::eventually;
use serde_json::Value;
use std::time::Duration;

/// Faults are over: how long until everything that was begun has an end.
const SETTLES_WITHIN: Duration = Duration::from_secs(20);

/// A reservation at rest.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) status: String,
    pub(crate) approved: usize,
}

/// Waits until the reservation, its payments and its item are at rest in one of the `allowed` ends,
/// with the money right: kept exactly once if paid, renting or completed, else not at all,
/// and the item taken exactly while the reservation stands.
pub(crate) async fn settled(
    market: &Market,
    (item, reservation): (i64, i64),
    allowed: &[&str],
) -> Settled {
    eventually(SETTLES_WITHIN, || look(market, item, reservation, allowed)).await
}

async fn look(market: &Market, item: i64, no: i64, allowed: &[&str]) -> Result<Settled, String> {
    let row = market.reservation(no).await;
    let payments = market.payments(item, no).await;
    let shown = market.get(&format!("/items/{item}")).await.body;
    let status = text(&row["status"]);
    let open = payments.iter().any(|payment| text(&payment["status"]) == "Pending");
    let approved = payments.iter().filter(|payment| text(&payment["status"]) == "Approved").count();
    let keeps_money = row["paymentStatus"] == "Paid";
    let held = matches!(status.as_str(), "Reserved" | "Renting");
    let rests = allowed.contains(&status.as_str())
        && !open
        && approved == usize::from(keeps_money)
        && held == (shown["itemStatus"] == "NotRentable");
    if rests {
        Ok(Settled { status, approved })
    } else {
        Err(format!("{row} {payments:?} {shown}"))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
