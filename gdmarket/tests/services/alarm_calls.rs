//! The call of the item service to the alarm service: an alarm comes before its item, once, or nothing is written.

use crate::calls::{PROGRAM, SOON, read, register};
use crate::cutting_proxy::CuttingProxy;
use gdmarket_testkit::{Engine, SplitMarket, SplitMarketOptions, eventually};
use serde_json::Value;

async fn start(item: Engine, alarm: Engine) -> SplitMarket {
    SplitMarketOptions::new(PROGRAM)
        .process("item", item)
        .process("alarm", alarm)
        .process("reservation,payment", Engine::Sqlite)
        .start()
        .await
}

/// Waits until the alarm service shows an alarm for each of these items and for no other.
async fn only_these_have_alarms(market: &SplitMarket, items: &[&Value]) {
    eventually(SOON, || async {
        let list = read(market, "alarm", "/alarms").await;
        let shown = list["_embedded"]["alarms"].as_array().cloned().unwrap_or_default();
        let numbers: Vec<&Value> = shown.iter().map(|alarm| &alarm["itemNo"]).collect();
        if numbers == items { Ok(()) } else { Err(list) }
    })
    .await;
}

#[tokio::test]
async fn registration_is_refused_while_the_alarm_service_is_down_and_writes_nothing() {
    let mut market = start(Engine::Sqlite, Engine::Postgres).await;
    market.kill("alarm").await;
    let before = market.heads().await;
    register(&market, Some("k")).await.assert_unavailable("alarm-unavailable");
    assert_eq!(market.heads().await, before);
    market.restart("alarm").await;
    eventually(SOON, || async {
        let answer = register(&market, Some("k")).await;
        if answer.status == 201 { Ok(()) } else { Err(answer) }
    })
    .await;
    // A repeat of what is done needs no alarm service.
    market.kill("alarm").await;
    let repeated = register(&market, Some("k")).await.expect(201);
    register(&market, None).await.assert_unavailable("alarm-unavailable");
    market.restart("alarm").await;
    only_these_have_alarms(&market, &[&repeated["itemNo"]]).await;
}

#[tokio::test]
async fn registration_whose_alarm_has_no_answer_is_one_item_with_one_alarm_when_it_is_repeated() {
    let mut market = start(Engine::Postgres, Engine::Sqlite).await;
    let to = market.addresses().alarm;
    let proxy = CuttingProxy::start(to, "POST /internal/alarms/").await;
    market.set_variable("item", "GDMARKET__SERVICES__ALARM__URL", &proxy.url());
    market.restart("item").await;
    let before = market.heads().await;
    proxy.cut(1);
    register(&market, Some("k")).await.assert_unavailable("alarm-unavailable");
    assert_eq!(proxy.done(), 1);
    let after = market.heads().await;
    assert_eq!(after["item"], before["item"], "there is no item without an answer");
    assert!(after["alarm"] > before["alarm"], "the alarm was raised");
    let item = register(&market, Some("k")).await.expect(201);
    only_these_have_alarms(&market, &[&item["itemNo"]]).await;
    let again = register(&market, Some("k")).await.expect(201);
    assert_eq!(again["itemNo"], item["itemNo"]);
    let other = register(&market, None).await.expect(201);
    only_these_have_alarms(&market, &[&item["itemNo"], &other["itemNo"]]).await;
}
