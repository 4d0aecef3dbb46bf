//! A market of four processes without a broker: a whole rental, with a payment provider of its own.

use crate::calls::{
    PROGRAM, PROVIDER, lend_and_return, pay, provider_entries, read, register, reserve,
};
use gdmarket_testkit::SplitMarketOptions;
use serde_json::json;

#[tokio::test]
async fn rental_goes_through_four_processes_without_a_broker() {
    let market = SplitMarketOptions::four_services(PROGRAM).provider(PROVIDER, &[]).start().await;
    let item = register(&market, None).await.expect(201);
    assert_eq!(item["itemNo"], 1);
    let alarm = read(&market, "alarm", "/alarms/1").await;
    assert_eq!(alarm["itemNo"], 1, "{alarm}");
    reserve(&market).await.expect(201);
    let paid = pay(&market, None).await.expect(200);
    assert_eq!(paid["paymentStatus"], "Paid", "{paid}");
    let payment = read(&market, "payment", "/payments/1").await;
    assert_eq!(payment["reservationNo"], 1, "{payment}");
    lend_and_return(&market).await;
    let charged = provider_entries(&market).await;
    assert_eq!(charged.len(), 1, "{charged:?}");
    let again = pay(&market, None).await;
    assert_ne!(again.status, 202, "a rental that is over is not paid again: {again:?}");
    assert_eq!(json!(provider_entries(&market).await), json!(charged));
}
