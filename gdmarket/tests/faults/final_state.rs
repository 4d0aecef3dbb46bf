//! The state of a reservation once nothing is in flight any more, whichever requests raced before.

use gdmarket_testkit::{MarketClient, eventually};
use serde_json::{Value, json};
use std::time::Duration;

/// The longest until everything that was started is finished, once the faults are over.
const FINISHED_WITHIN: Duration = Duration::from_secs(20);

/// The state of a reservation at the end.
#[derive(Debug)]
pub(crate) struct FinalState {
    pub(crate) status: String,
    pub(crate) approved: usize,
}

/// Waits until the reservation, its payments and its item are in one of the `allowed` final states and consistent:
/// charged exactly once if the reservation is paid or lent, otherwise not at all, and the item taken exactly
/// while the reservation holds it.
pub(crate) async fn final_state(
    market: &MarketClient,
    item: i64,
    reservation: i64,
    allowed: &[&str],
) -> FinalState {
    eventually(FINISHED_WITHIN, || read(market, item, reservation, allowed)).await
}

async fn read(
    market: &MarketClient,
    item: i64,
    no: i64,
    allowed: &[&str],
) -> Result<FinalState, String> {
    let row = market.reservation(no).await;
    let payments = market.payments(item, no).await;
    let item_row = market.get(&format!("/items/{item}")).await.body;
    check(&row, &payments, &item_row, allowed)
}

fn check(
    row: &Value,
    payments: &[Value],
    item: &Value,
    allowed: &[&str],
) -> Result<FinalState, String> {
    let status = text(&row["status"]);
    let open = payments.iter().any(|payment| text(&payment["status"]) == "Pending");
    let approved = payments.iter().filter(|payment| text(&payment["status"]) == "Approved").count();
    let is_charged = row["paymentStatus"] == "Paid" || status == "Renting";
    let holds_item = matches!(status.as_str(), "Reserved" | "Renting");
    let is_final = allowed.contains(&status.as_str())
        && !open
        && approved == usize::from(is_charged)
        && holds_item == (item["itemStatus"] == "NotRentable");
    if is_final {
        Ok(FinalState { status, approved })
    } else {
        Err(format!("{row} {payments:?} {item}"))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[test]
fn control_unfinished_and_inconsistent_states_are_rejected() {
    let row = |status: &str, paid: &str| json!({"status": status, "paymentStatus": paid});
    let item = |status: &str| json!({"itemStatus": status});
    let payments = |statuses: &[&str]| -> Vec<Value> {
        statuses.iter().map(|status| json!({"status": status})).collect()
    };
    let is_accepted = |row: &Value, of: &[&str], item: &Value| {
        check(row, &payments(of), item, &["Reserved", "Renting", "Cancelled"]).is_ok()
    };
    let (taken, free) = (item("NotRentable"), item("Rentable"));
    assert!(is_accepted(&row("Renting", "Paid"), &["Declined", "Approved"], &taken));
    assert!(is_accepted(&row("Cancelled", "NotPaid"), &["Cancelled"], &free));
    assert!(!is_accepted(&row("Renting", "NotPaid"), &["Cancelled"], &taken), "refunded, and lent");
    assert!(!is_accepted(&row("Renting", "Paid"), &["Cancelled"], &taken), "lent, and not charged");
    assert!(
        !is_accepted(&row("Reserved", "Paid"), &["Approved", "Approved"], &taken),
        "charged twice"
    );
    assert!(
        !is_accepted(&row("Cancelled", "NotPaid"), &["Approved"], &free),
        "cancelled, and charged"
    );
    assert!(
        !is_accepted(&row("Cancelled", "NotPaid"), &["Cancelled"], &taken),
        "cancelled, and the item taken"
    );
    assert!(!is_accepted(&row("Reserved", "NotPaid"), &[], &free), "reserved, and the item free");
    assert!(!is_accepted(&row("Reserved", "NotPaid"), &["Pending"], &taken), "payment pending");
    assert!(
        !is_accepted(&row("Expired", "NotPaid"), &[], &free),
        "a final state that isn't allowed"
    );
}
