//! The ledger of the stand-in for a payment provider, in the shape of the ledger of the gateway inside the market.

use gdmarket_domain::{Money, PaymentNo};
use gdmarket_simulators::LedgerEntry;
use gdmarket_testkit::ProviderProcess;
use serde_json::Value;

pub(crate) const PROVIDER: &str = env!("CARGO_BIN_EXE_gdmarket-payment-provider");

/// All charges and refunds, in order. What was declined is no entry.
pub(crate) async fn ledger_of(provider: &ProviderProcess) -> Vec<LedgerEntry> {
    provider.entries().await.iter().filter_map(entry).collect()
}

fn entry(shown: &Value) -> Option<LedgerEntry> {
    let text = |field: &str| shown[field].as_str().expect("a text");
    let key = text("paymentId").parse().expect("a key");
    match text("kind") {
        "charge" => {
            let number = text("orderId").strip_prefix("gdmarket-").expect("an order");
            Some(LedgerEntry::Charge {
                key,
                payment_no: PaymentNo::new(number.parse().expect("a number")).expect("a number"),
                amount: Money::price(shown["amount"].as_i64().expect("an amount"))
                    .expect("a price"),
            })
        }
        "refund" => Some(LedgerEntry::Refund { key }),
        _ => None,
    }
}
