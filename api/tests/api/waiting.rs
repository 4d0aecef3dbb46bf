//! Answers wait, within bounds, until what they say can be seen everywhere.

use crate::app::app;
use serde_json::json;

#[tokio::test]
async fn what_was_answered_is_seen_by_the_next_read() {
    let app = app().await;
    for customer in 1..=10 {
        let item = app.camera().await;
        app.get(&format!("/items/{item}")).expect(200).await;
        let no = app.reserved(item, customer).await;
        let seen = app.get(&format!("/items/{item}")).expect(200).await.json();
        assert_eq!(seen["reservationNo"], no);
        app.pay(no).await;
        app.lend(item).await;
        let seen = app.get(&format!("/reservations/{no}")).expect(200).await.json();
        assert_eq!(seen["rentalStatus"], "Renting");
    }
}

#[tokio::test]
async fn a_caller_who_does_not_wait_gets_the_outcome_by_a_repeat() {
    let app = app().await;
    let item = app.camera().await;
    let wish = json!({"itemNo": item, "customerId": 1});
    let call = app.post("/reservations", wish.clone()).key("k").header("prefer", "respond-async");
    let first = call.send().await;
    assert!(matches!(first.status, 201 | 202), "{}", first.text);
    assert_eq!(first.header("location"), "/reservations/1");
    let outcome = app.post("/reservations", wish).key("k").expect(201).await;
    assert_eq!(outcome.json()["status"], "Reserved");
    assert_eq!(outcome.json()["reservationNo"], 1);
}

#[tokio::test]
async fn two_hundred_renters_want_one_item_and_one_gets_it() {
    let app = app().await;
    let item = app.camera().await;
    let wish = |customer: i64| json!({"itemNo": item, "customerId": customer});
    let calls = (1..=200).map(|customer| app.post("/reservations", wish(customer)).send());
    let answers = futures::future::join_all(calls).await;
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(201), count(409)), (1, 199));
}
