//! The status in `/payments` during a refund, after its refusal, and after its completion.

use crate::app::App;
use gdmarket_testkit::{TestDb, on_each_engine};
use serde_json::{Value, json};

/// An event of payment 1, appended by hand.
async fn append(db: &TestDb, sequence: i64, event_type: &str, mut body: Value) {
    body["paymentNo"] = json!(1);
    body["reservationNo"] = json!(1);
    let payload = json!({ event_type: body });
    db.log_sql(&format!(
        "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, \
         payload, metadata) VALUES \
         ('payment', '1', {sequence}, '{event_type}', '1', '{payload}', '{{}}')"
    ))
    .await;
}

async fn listed(app: &App, status: &str) -> usize {
    let page = app.get(&format!("/payments?status={status}")).expect(200).await.json();
    page["_embedded"]["payments"].as_array().map_or(0, Vec::len)
}

on_each_engine! {
    /// The gateway is unavailable, then refuses, then refunds.
    async fn payment_is_cancelled_only_after_its_refund(db: &TestDb) {
        let app = App::on(db, &[]).await;
        let item = app.camera().await;
        let no = app.reserved(item, 1).await;
        app.pay(no).await;
        app.stop().await;
        drop(app);
        let app = App::on(db, &[("payment.fail_rate", "1")]).await;
        app.delete(&format!("/reservations/{no}")).expect(200).await;
        app.see("/payments/1", "/status", json!("Refunding")).await;
        app.see("/payments/1", "/paymentStatus", json!("NotPaid")).await;
        app.see("/payments/1", "/reason", Value::Null).await;
        assert_eq!((listed(&app, "Refunding").await, listed(&app, "Cancelled").await), (1, 0));
        app.stop().await;
        append(db, 4, "PaymentRefundRefused", json!({"reason": "account-closed"})).await;
        drop(app);
        let app = App::on(db, &[("payment.fail_rate", "1")]).await;
        app.see("/payments/1", "/status", json!("RefundRefused")).await;
        app.see("/payments/1", "/reason", json!("account-closed")).await;
        app.see("/payments/1", "/paymentStatus", json!("NotPaid")).await;
        app.stop().await;
        append(db, 5, "PaymentCancelled", json!({})).await;
        drop(app);
        let app = App::on(db, &[]).await;
        app.see("/payments/1", "/status", json!("Cancelled")).await;
        app.see("/payments/1", "/reason", Value::Null).await;
        app.stop().await;
    }
}
