//! Answers wait, within bounds, for decisions and for views.

use crate::app::{App, app, app_with};
use gdmarket_store::{Leases, Store, StoreOptions};
use gdmarket_testkit::TestDb;
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

/// How long a request to reserve waits for the item's decision.
const DECISION_WAIT: Duration = Duration::from_secs(5);

#[tokio::test]
async fn write_is_visible_to_the_next_read() {
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

/// The lease of the item's process manager is taken, so no decision is made.
#[test]
fn undecided_reservation_is_202_and_its_key_returns_the_outcome_later() {
    gdmarket_testkit::run(async {
        let db = TestDb::postgres().await;
        let options = StoreOptions { url: db.url().to_owned(), ..StoreOptions::default() };
        Store::migrate(&options).await.expect("the schema");
        let store = Store::open(&options).await.expect("the store");
        let leases = Leases::new(store.views().clone());
        leases.take("holding", "another holder", Duration::from_hours(1)).await.expect("the lease");
        let app = App::on(&db, &[]).await;
        let item = app.camera().await;
        let reservation = |customer: i64| json!({"itemNo": item, "customerId": customer});
        let started = Instant::now();
        let at_once = app.post("/reservations", reservation(1)).key("at once");
        at_once.refused(400, "bad-header").await;
        let at_once = app.post("/reservations", reservation(1)).key("at-once");
        let at_once = at_once.header("prefer", "respond-async").expect(202).await;
        assert!(started.elapsed() < DECISION_WAIT, "{:?}", started.elapsed());
        assert_eq!(at_once.header("location"), "/reservations/1");
        assert_eq!(at_once.json()["status"], "Requested");
        let started = Instant::now();
        let waited = app.post("/reservations", reservation(2)).key("waited").expect(202).await;
        assert!(started.elapsed() >= DECISION_WAIT, "{:?}", started.elapsed());
        assert_eq!(waited.header("location"), "/reservations/2");
        leases.release("holding", "another holder").await.expect("the lease's end");
        // One of the two gets the item; each repeat returns the outcome of its own request.
        let mut outcomes = vec![];
        for _ in 0..2 {
            for (customer, key) in [(1, "at-once"), (2, "waited")] {
                let outcome =
                    app.post("/reservations", reservation(customer)).key(key).send().await;
                assert_eq!(outcome.header("idempotency-replayed"), "true");
                outcomes.push(outcome.status);
            }
        }
        assert_eq!(outcomes[..2], outcomes[2..]);
        outcomes.sort_unstable();
        assert_eq!(outcomes, [201, 201, 409, 409]);
        app.stop().await;
        store.close().await;
    });
}

/// Until the item decides about a cancellation, no other change of the reservation is accepted.
#[test]
fn cancellation_is_pending_until_the_item_decides() {
    gdmarket_testkit::run(async {
        let db = TestDb::postgres().await;
        let app = App::on(&db, &[]).await;
        let item = app.camera().await;
        let no = app.reserved(item, 1).await;
        app.pay(no).await;
        app.stop().await;
        let options = StoreOptions { url: db.url().to_owned(), ..StoreOptions::default() };
        let store = Store::open(&options).await.expect("the store");
        let leases = Leases::new(store.views().clone());
        leases.take("holding", "another holder", Duration::from_hours(1)).await.expect("the lease");
        let app = App::on(&db, &[]).await;
        let reservation = format!("/reservations/{no}");
        let cancel = app.delete(&reservation).key("cancel-it");
        let pending = cancel.header("prefer", "respond-async").expect(202).await.json();
        assert_eq!(
            (&pending["status"], &pending["paymentStatus"]),
            (&json!("Reserved"), &json!("Paid"))
        );
        let pay = format!("{reservation}/payment");
        app.post(&pay, json!({})).refused(409, "cancellation-pending").await;
        app.post(&format!("{pay}/cancel"), json!({})).refused(409, "cancellation-pending").await;
        let same = app.delete(&reservation).key("once-more").header("prefer", "respond-async");
        same.expect(202).await;
        leases.release("holding", "another holder").await.expect("the lease's end");
        app.see(&reservation, "/status", json!("Cancelled")).await;
        app.see("/payments/1", "/status", json!("Cancelled")).await;
        let again = app.delete(&reservation).key("cancel-it").expect(200).await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        app.stop().await;
        store.close().await;
    });
}

#[tokio::test]
async fn one_of_two_hundred_concurrent_renters_gets_the_item() {
    let app = app().await;
    let item = app.camera().await;
    let reservation = |customer: i64| json!({"itemNo": item, "customerId": customer});
    let calls = (1..=200).map(|customer| app.post("/reservations", reservation(customer)).send());
    let answers = futures::future::join_all(calls).await;
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(201), count(409)), (1, 199));
}

/// A cancellation during a payment waits as long as the payment itself may.
#[tokio::test]
async fn wait_for_a_payment_is_configurable() {
    let settings = [("payment.delay_ms", "2000"), ("payment.answer_within_ms", "20000")];
    let app = app_with(&settings).await;
    let item = app.camera().await;
    let no = app.reserved(item, 1).await;
    let pay = format!("/reservations/{no}/payment");
    let cancelled = async {
        app.see("/payments/1", "/status", json!("Pending")).await;
        app.delete(&format!("/reservations/{no}")).expect(200).await.json()
    };
    let (paid, cancelled) = tokio::join!(app.post(&pay, json!({})).send(), cancelled);
    assert_eq!((paid.status, &cancelled["status"]), (200, &json!("Cancelled")), "{paid:?}");
}

/// A repeat under the same key returns the outcome.
#[tokio::test]
async fn payment_with_respond_async_is_answered_at_once() {
    let app =
        app_with(&[("payment.delay_ms", "2000"), ("payment.answer_within_ms", "60000")]).await;
    let item = app.camera().await;
    let pay = format!("/reservations/{}/payment", app.reserved(item, 1).await);
    let at_once = app.post(&pay, json!({})).key("k").header("prefer", "respond-async");
    let shown = at_once.expect(202).await.json();
    assert_eq!(shown["paymentStatus"], "NotPaid", "the outcome is not known: {shown}");
    let then = app.post(&pay, json!({})).key("k").expect(200).await;
    assert_eq!(then.json()["paymentStatus"], "Paid");
}
