//! What must be true of a reservation once nothing is under way any more, whatever raced before.

use crate::market::Market;
use gdmarket_testkit::eventually;
use serde_json::{Value, json};
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
    judge(&row, &payments, &shown, allowed)
}

fn judge(
    row: &Value,
    payments: &[Value],
    shown: &Value,
    allowed: &[&str],
) -> Result<Settled, String> {
    let status = text(&row["status"]);
    let open = payments.iter().any(|payment| text(&payment["status"]) == "Pending");
    let approved = payments.iter().filter(|payment| text(&payment["status"]) == "Approved").count();
    let keeps_money = row["paymentStatus"] == "Paid" || status == "Renting";
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

/// The judge notices what it is for.
#[test]
fn control_what_is_stuck_or_against_the_rules_is_told() {
    let row = |status: &str, paid: &str| json!({"status": status, "paymentStatus": paid});
    let item = |status: &str| json!({"itemStatus": status});
    let payments = |statuses: &[&str]| -> Vec<Value> {
        statuses.iter().map(|status| json!({"status": status})).collect()
    };
    let fine = |row: &Value, of: &[&str], item: &Value| {
        judge(row, &payments(of), item, &["Reserved", "Renting", "Cancelled"]).is_ok()
    };
    let (taken, free) = (item("NotRentable"), item("Rentable"));
    assert!(fine(&row("Renting", "Paid"), &["Declined", "Approved"], &taken));
    assert!(fine(&row("Cancelled", "NotPaid"), &["Cancelled"], &free));
    assert!(!fine(&row("Renting", "NotPaid"), &["Cancelled"], &taken), "refunded and lent");
    assert!(!fine(&row("Renting", "Paid"), &["Cancelled"], &taken), "lent, and the money gone");
    assert!(!fine(&row("Reserved", "Paid"), &["Approved", "Approved"], &taken), "paid twice");
    assert!(!fine(&row("Cancelled", "NotPaid"), &["Approved"], &free), "kept for nothing");
    assert!(!fine(&row("Cancelled", "NotPaid"), &["Cancelled"], &taken), "taken for nobody");
    assert!(!fine(&row("Reserved", "NotPaid"), &[], &free), "promised, and free");
    assert!(!fine(&row("Reserved", "NotPaid"), &["Pending"], &taken), "stuck");
    assert!(!fine(&row("Expired", "NotPaid"), &[], &free), "an end that wasn't allowed");
}
