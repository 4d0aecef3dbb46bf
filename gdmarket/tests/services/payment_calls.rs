//! The call of the reservation service to the payment service: whatever happens to it, there is one charge, and the
//! renter learns how it ended.

use crate::calls::{PROGRAM, PROVIDER, SOON, pay, provider_entries, read, register, reserve};
use crate::cutting_proxy::CuttingProxy;
use gdmarket_testkit::{Engine, SplitMarket, SplitMarketOptions, eventually};
use std::time::Duration;

/// An outcome that no caller received is asked for 15 seconds after the limit of the call.
const SETTLED_WITHIN: Duration = Duration::from_mins(1);

/// A market with a reservation that is to be paid.
async fn reserved(reservation: Engine, payment: Engine) -> SplitMarket {
    let market = SplitMarketOptions::new(PROGRAM)
        .process("item,alarm", Engine::Sqlite)
        .process("reservation", reservation)
        .process("payment", payment)
        .variable("GDMARKET__PAYMENT__ANSWER_WITHIN_MS", "3000")
        .variable("GDMARKET__PAYMENT__TIMEOUT_MS", "1000")
        .provider(PROVIDER, &[])
        .start()
        .await;
    register(&market, None).await.expect(201);
    reserve(&market).await.expect(201);
    market
}

#[tokio::test]
async fn payment_is_refused_while_the_payment_service_is_down_and_writes_nothing() {
    let mut market = reserved(Engine::Postgres, Engine::Sqlite).await;
    market.kill("payment").await;
    let before = market.heads().await;
    pay(&market, Some("k")).await.assert_unavailable("payment-unavailable");
    assert_eq!(market.heads().await, before);
    market.restart("payment").await;
    eventually(SOON, || async {
        let answer = pay(&market, Some("k")).await;
        if answer.status == 200 { Ok(()) } else { Err(answer) }
    })
    .await;
    // A repeat of what is done needs no payment service.
    market.kill("payment").await;
    pay(&market, Some("k")).await.expect(200);
    assert_eq!(provider_entries(&market).await.len(), 1);
}

#[tokio::test]
async fn payment_whose_answer_is_lost_is_found_by_asking_and_charged_once() {
    let mut market = reserved(Engine::Sqlite, Engine::Postgres).await;
    let proxy =
        CuttingProxy::start(market.addresses().payment, "POST /internal/payments/1/attempt");
    let proxy = proxy.await;
    market.set_variable("reservation", "GDMARKET__SERVICES__PAYMENT__URL", &proxy.url());
    market.restart("reservation").await;
    proxy.cut(1);
    pay(&market, None).await.expect(200);
    assert_eq!(proxy.done(), 1);
    assert_eq!(provider_entries(&market).await.len(), 1);
    assert_eq!(read(&market, "reservation", "/reservations/1").await["paymentStatus"], "Paid");
}

/// Kills the payment service at a point of the first attempt, starts it again, and waits until the attempt has settled
/// with this status of the reservation's payment.
async fn killed_at(failpoint: &str, payment_status: &str) -> SplitMarket {
    let mut market = reserved(Engine::Sqlite, Engine::Sqlite).await;
    market.set_variable("payment", "FAILPOINTS", &format!("{failpoint}=return"));
    market.restart("payment").await;
    pay(&market, Some("k")).await.expect(202);
    market.set_variable("payment", "FAILPOINTS", "");
    market.restart("payment").await;
    eventually(SETTLED_WITHIN, || async {
        let found = read(&market, "reservation", "/reservations/1").await;
        let is_open = found["actions"][0]["reason"] == "payment-pending";
        if !is_open && found["paymentStatus"] == payment_status { Ok(()) } else { Err(found) }
    })
    .await;
    market
}

#[tokio::test]
async fn payment_service_that_is_killed_after_the_charge_settles_as_paid() {
    let market = killed_at("commands.after-confirm", "Paid").await;
    pay(&market, Some("k")).await.expect(200);
    assert_eq!(provider_entries(&market).await.len(), 1);
}

#[tokio::test]
async fn payment_service_that_is_killed_before_the_charge_settles_as_not_paid() {
    let market = killed_at("commands.before-confirm", "NotPaid").await;
    assert_eq!(provider_entries(&market).await.len(), 0);
    pay(&market, Some("k")).await.expect(402);
    pay(&market, Some("other")).await.expect(200);
    assert_eq!(provider_entries(&market).await.len(), 1);
}
