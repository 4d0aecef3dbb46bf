//! Many payments at once whose answers the payment provider loses after it has charged: every renter sees the payment
//! pending and then paid, and none is charged twice. `scripts/test --long` makes 200 payments of each kind.

use crate::provider_market::{ProviderMarket, SETTLED_WITHIN};
use futures::future::join_all;
use gdmarket_testkit::{MarketClient, eventually, run, size};
use serde_json::{Value, json};

/// The market's limits: all payments are in flight before the first answer is lost or late, so that the breaker, which
/// opens then, holds few of them back.
const LIMITS: [(&str, &str); 2] = [("ANSWER_WITHIN_MS", "5000"), ("TIMEOUT_MS", "6000")];

async fn pay_while_answers_are_lost(behaviour: Value) {
    let market = ProviderMarket::start_with(&LIMITS).await;
    let payments = size(20, 200);
    let mut reservations = vec![];
    for _ in 0..payments {
        reservations.push(market.reserve().await);
    }
    market.provider.behave(behaviour).await;
    let refused = join_all(reservations.iter().map(|no| pay_until_accepted(&market.client, *no)));
    let refused: usize = refused.await.into_iter().sum();
    println!("{payments} payments are pending, {refused} requests were refused before");
    for reservation in &reservations {
        let status = market.payment(*reservation).await["status"].clone();
        assert!(status == "Pending" || status == "Approved", "{reservation}: {status}");
    }
    for reservation in &reservations {
        market.await_paid(*reservation).await;
    }
    let ledger = market.assert_charges_are_right().await;
    assert_eq!(ledger.len(), payments, "{ledger:?}");
    let calls = market.provider.calls("confirm").await;
    assert_eq!(calls, u64::try_from(payments).unwrap(), "each attempt is sent once");
}

/// Pays until the request is accepted, and returns how often it was refused; an open breaker refuses it.
async fn pay_until_accepted(client: &MarketClient, reservation: i64) -> usize {
    let refused = std::cell::Cell::new(0);
    eventually(SETTLED_WITHIN, || async {
        let answer = client.pay(reservation).await;
        if answer.status == 503 && answer.code() == "payment-unavailable" {
            refused.set(refused.get() + 1);
            return Err(answer);
        }
        assert_eq!(answer.status, 202, "{}", answer.body);
        Ok(())
    })
    .await;
    refused.get()
}

#[test]
fn payments_whose_connection_drops_after_the_charge_are_charged_once() {
    run(pay_while_answers_are_lost(json!({"fault": "drop-after", "delayMs": 4_000})));
}

#[test]
fn payments_answered_500_after_the_charge_are_charged_once() {
    run(pay_while_answers_are_lost(json!({"fault": "error-after", "delayMs": 4_000})));
}

#[test]
fn payments_answered_after_the_limit_are_charged_once() {
    run(pay_while_answers_are_lost(json!({"fault": "late", "lateMs": 9_000})));
}
