//! A name belongs to the reservation that it came with: no other shows it, a refused one leaves none, and
//! what is erased stays so.

use crate::app::App;
use crate::tools::Tools;
use gdmarket_testkit::{TestDb, on_each_engine};
use serde_json::{Value, json};

fn wish(item: i64, customer: i64, name: &str) -> Value {
    json!({"itemNo": item, "customerId": customer, "customerName": name})
}

/// The names that the reservations show, in the order of their numbers.
async fn names(app: &App) -> Value {
    let all = app.get("/reservations").expect(200).await.json();
    let rows = all["_embedded"]["reservations"].as_array().cloned().unwrap_or_default();
    for row in &rows {
        let path = format!("/reservations/{}", row["reservationNo"]);
        let alone = app.get(&path).expect(200).await.json();
        assert_eq!(alone["customerName"], row["customerName"], "{path}");
    }
    rows.into_iter().map(|row| row["customerName"].clone()).collect()
}

async fn name_at(app: &App, path: &str) -> Value {
    app.get(path).expect(200).await.json()["customerName"].clone()
}

/// How often a name stands in what is kept of persons.
async fn kept(db: &TestDb, name: &str) -> i64 {
    db.log_number(&format!(
        "SELECT (SELECT count(*) FROM personal_names WHERE name = '{name}') + \
         (SELECT count(*) FROM personal_data WHERE name = '{name}')"
    ))
    .await
}

on_each_engine! {
    async fn a_name_belongs_to_the_reservation_that_it_came_with(db: &TestDb) {
        let app = App::on(db, &[]).await;
        for _ in 0..4 {
            app.camera().await;
        }
        let first = app.post("/reservations", wish(1, 7, "Kim")).key("first").expect(201).await;
        assert_eq!(first.json()["customerName"], "Kim");
        let second = app.post("/reservations", wish(2, 7, "Lee")).expect(201).await;
        assert_eq!(second.json()["customerName"], "Lee");
        app.post("/reservations", wish(1, 7, "Park")).key("no").refused(409, "item-taken").await;
        app.post("/reservations", wish(1, 7, "Park")).key("no").refused(409, "item-taken").await;
        app.post("/reservations", wish(99, 7, "Park")).refused(409, "item-unknown").await;
        assert_eq!(kept(db, "Park").await, 0, "a refused reservation leaves no name");
        app.post("/reservations", json!({"itemNo": 3, "customerId": 7})).expect(201).await;
        let paid = json!({"paymentStatus": "Paid", "customerName": "Choi"});
        let paid = app.patch("/reservations/1", paid).expect(200).await;
        assert_eq!(paid.json()["customerName"], "Kim", "taken and ignored");
        assert_eq!(names(&app).await, json!(["Kim", "Lee", null, null, null]));
        for (item, name) in [(1, json!("Kim")), (2, json!("Lee")), (3, Value::Null)] {
            assert_eq!(name_at(&app, &format!("/itemInfoes/{item}")).await, name, "{item}");
        }
        let again = app.post("/reservations", wish(1, 7, "Kim")).key("first").expect(201).await;
        assert_eq!(again.text, first.text);
        let renamed = app.post("/reservations", wish(1, 7, "Kang")).key("first");
        renamed.refused(422, "key-reused").await;
        app.stop().await;
    }

    /// A key that is used again, and a later reservation, bring no erased name back.
    async fn an_erased_name_stays_erased(db: &TestDb) {
        let app = App::on(db, &[]).await;
        for _ in 0..3 {
            app.camera().await;
        }
        app.post("/reservations", wish(1, 7, "Kim")).key("first").expect(201).await;
        app.post("/reservations", wish(2, 8, "Lee")).expect(201).await;
        Tools { db }.text("persons erase 7 --yes");
        assert_eq!(names(&app).await, json!([null, "Lee"]));
        let again = app.post("/reservations", wish(1, 7, "Kim")).key("first").expect(201).await;
        assert_eq!(again.json()["customerName"], Value::Null);
        app.post("/reservations", wish(3, 7, "Kim")).expect(201).await;
        assert_eq!(names(&app).await, json!([null, "Lee", "Kim"]));
        assert_eq!(kept(db, "Kim").await, 1);
        app.stop().await;
    }

    /// What an older program kept by person is shown for its reservations, and for no new one.
    async fn names_that_were_kept_by_person_are_still_shown(db: &TestDb) {
        let app = App::on(db, &[]).await;
        for _ in 0..4 {
            app.camera().await;
        }
        for item in [1, 2, 1] {
            app.post("/reservations", wish(item, 7, "x")).send().await;
        }
        db.log_sql("DELETE FROM personal_names").await;
        db.log_sql("INSERT INTO personal_data (person_id, name) VALUES (7, 'Kim')").await;
        assert_eq!(names(&app).await, json!(["Kim", "Kim", null]));
        assert_eq!(name_at(&app, "/itemInfoes/1").await, "Kim");
        app.post("/reservations", wish(3, 7, "Lee")).expect(201).await;
        app.post("/reservations", json!({"itemNo": 4, "customerId": 7})).expect(201).await;
        assert_eq!(names(&app).await, json!(["Kim", "Kim", null, "Lee", null]));
        Tools { db }.text("persons erase 7 --yes");
        assert_eq!(names(&app).await, json!([null, null, null, null, null]));
        assert_eq!(kept(db, "Kim").await + kept(db, "Lee").await, 0);
        app.stop().await;
    }
}
