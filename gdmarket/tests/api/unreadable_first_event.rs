//! A stream whose first event is unreadable exists, so it is not answered as "not found".

use crate::app::App;
use gdmarket_testkit::on_each_engine;
use serde_json::json;

on_each_engine! {
    async fn stream_with_unreadable_first_event_is_an_internal_error(db: &TestDb) {
        let app = App::on(db, &[]).await;
        let item = app.camera().await;
        for stream in ["item", "reservation", "payment", "alarm"] {
            db.log_sql(&format!(
                "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, \
                 event_version, payload, metadata) VALUES \
                 ('{stream}', '500', 1, 'Teleported', '1', '{{\"Teleported\":{{}}}}', '{{}}')"
            ))
            .await;
        }
        for path in ["items", "itemInfoes", "reservations", "payments", "alarms"] {
            let path = format!("/{path}/500");
            app.see(&path, "/code", json!("internal")).await;
            app.get(&path).refused(500, "internal").await;
            app.get(&path.replace("500", "501")).expect(404).await;
        }
        app.get("/items/500/calendar").refused(500, "internal").await;
        // Other streams are unchanged, and collections show every readable row.
        app.get(&format!("/items/{item}")).expect(200).await;
        let items = app.get("/items").expect(200).await.json();
        assert_eq!(items["_embedded"]["items"].as_array().map(Vec::len), Some(1));
        app.stop().await;
    }
}
