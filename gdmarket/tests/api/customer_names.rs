//! A name belongs to the reservation that it was sent with: no other reservation shows it, a refused one
//! stores none, and an erased name stays erased.

use crate::app::App;
use crate::tools::Tools;
use gdmarket_testkit::{TestDb, on_each_engine};
use serde_json::{Value, json};

fn reservation(item: i64, customer: i64, name: &str) -> Value {
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

/// A market in which renter 92 has reserved an item of owner 7, and renter 93 an item of the operator.
async fn two_renters(db: &TestDb) -> App {
    let app = App::on(db, &[]).await;
    let camera = json!({"itemName": "Camera", "itemPrice": 100});
    app.post("/items", camera).actor("owner:7").expect(201).await;
    app.camera().await;
    for (item, renter, name) in [(1, 92, "Kim"), (2, 93, "Lee")] {
        let actor = format!("renter:{renter}");
        let made =
            app.post("/reservations", reservation(item, renter, name)).actor(&actor).expect(201);
        assert_eq!(made.await.json()["customerName"], name, "the renter sees their name");
    }
    app
}

/// How often a name is stored in the tables of personal data.
async fn kept(db: &TestDb, name: &str) -> i64 {
    db.log_number(&format!(
        "SELECT (SELECT count(*) FROM personal_names WHERE name = '{name}') + \
         (SELECT count(*) FROM personal_data WHERE name = '{name}')"
    ))
    .await
}

on_each_engine! {
    async fn name_belongs_to_the_reservation_that_it_was_sent_with(db: &TestDb) {
        let app = App::on(db, &[]).await;
        for _ in 0..4 {
            app.camera().await;
        }
        let first = app.post("/reservations", reservation(1, 7, "Kim")).key("first").expect(201).await;
        assert_eq!(first.json()["customerName"], "Kim");
        let second = app.post("/reservations", reservation(2, 7, "Lee")).expect(201).await;
        assert_eq!(second.json()["customerName"], "Lee");
        app.post("/reservations", reservation(1, 7, "Park")).key("no").refused(409, "item-taken").await;
        app.post("/reservations", reservation(1, 7, "Park")).key("no").refused(409, "item-taken").await;
        app.post("/reservations", reservation(99, 7, "Park")).refused(409, "item-unknown").await;
        assert_eq!(kept(db, "Park").await, 0, "a refused reservation stores no name");
        app.post("/reservations", json!({"itemNo": 3, "customerId": 7})).expect(201).await;
        let paid = json!({"paymentStatus": "Paid", "customerName": "Choi"});
        let paid = app.patch("/reservations/1", paid).expect(200).await;
        assert_eq!(paid.json()["customerName"], "Kim", "the name in a patch is ignored");
        assert_eq!(names(&app).await, json!(["Kim", "Lee", null, null, null]));
        for (item, name) in [(1, json!("Kim")), (2, json!("Lee")), (3, Value::Null)] {
            assert_eq!(name_at(&app, &format!("/itemInfoes/{item}")).await, name, "{item}");
        }
        let again = app.post("/reservations", reservation(1, 7, "Kim")).key("first").expect(201).await;
        assert_eq!(again.text, first.text);
        let renamed = app.post("/reservations", reservation(1, 7, "Kang")).key("first");
        renamed.refused(422, "key-reused").await;
        app.stop().await;
    }

    /// Neither a repeated key nor a later reservation restores an erased name.
    async fn erased_name_stays_erased(db: &TestDb) {
        let app = App::on(db, &[]).await;
        for _ in 0..3 {
            app.camera().await;
        }
        app.post("/reservations", reservation(1, 7, "Kim")).key("first").expect(201).await;
        app.post("/reservations", reservation(2, 8, "Lee")).expect(201).await;
        Tools { db }.text("persons erase 7 --yes");
        assert_eq!(names(&app).await, json!([null, "Lee"]));
        let again = app.post("/reservations", reservation(1, 7, "Kim")).key("first").expect(201).await;
        assert_eq!(again.json()["customerName"], Value::Null);
        app.post("/reservations", reservation(3, 7, "Kim")).expect(201).await;
        assert_eq!(names(&app).await, json!([null, "Lee", "Kim"]));
        assert_eq!(kept(db, "Kim").await, 1);
        app.stop().await;
    }

    /// A name that an older program stored by person is shown for its reservations, and for no new one.
    async fn names_stored_by_person_are_still_shown(db: &TestDb) {
        let app = App::on(db, &[]).await;
        for _ in 0..4 {
            app.camera().await;
        }
        for item in [1, 2, 1] {
            app.post("/reservations", reservation(item, 7, "x")).send().await;
        }
        db.log_sql("DELETE FROM personal_names").await;
        db.log_sql("INSERT INTO personal_data (person_id, name) VALUES (7, 'Kim')").await;
        assert_eq!(names(&app).await, json!(["Kim", "Kim", null]));
        assert_eq!(name_at(&app, "/itemInfoes/1").await, "Kim");
        app.post("/reservations", reservation(3, 7, "Lee")).expect(201).await;
        app.post("/reservations", json!({"itemNo": 4, "customerId": 7})).expect(201).await;
        assert_eq!(names(&app).await, json!(["Kim", "Kim", null, "Lee", null]));
        Tools { db }.text("persons erase 7 --yes");
        assert_eq!(names(&app).await, json!([null, null, null, null, null]));
        assert_eq!(kept(db, "Kim").await + kept(db, "Lee").await, 0);
        app.stop().await;
    }

    async fn name_is_shown_to_its_renter_the_owner_and_operators(db: &TestDb) {
        let app = two_renters(db).await;
        for (actor, kim, lee) in [
            ("renter:92", true, false),
            ("renter:93", false, true),
            ("renter:7", false, false),
            ("owner:7", true, false),
            ("owner:92", false, false),
            ("operator:local", true, true),
        ] {
            let name = |name: &str, is_shown: bool| if is_shown { json!(name) } else { Value::Null };
            let expected = [name("Kim", kim), name("Lee", lee)];
            for collection in ["reservations", "itemInfoes"] {
                let all = app.get(&format!("/{collection}")).actor(actor).expect(200).await;
                assert!(all.header("vary").contains("x-gdmarket-actor"), "{collection}");
                for (index, expected) in expected.iter().enumerate() {
                    let path = format!("/{collection}/{}", index + 1);
                    let alone = app.get(&path).actor(actor).expect(200).await;
                    assert!(alone.header("vary").contains("x-gdmarket-actor"), "{path}");
                    let listed = &all.json()["_embedded"][collection][index];
                    let shown = [&alone.json()["customerName"], &listed["customerName"]].map(Clone::clone);
                    assert_eq!(shown, [expected.clone(), expected.clone()], "{actor} {path}");
                    assert_eq!(alone.json()["customerId"], listed["customerId"]);
                    assert_ne!(alone.json()["customerId"], Value::Null, "{path}");
                }
            }
        }
        app.stop().await;
    }

    async fn stranger_sees_no_name_in_any_answer(db: &TestDb) {
        let app = two_renters(db).await;
        let stranger = "renter:94";
        for path in [
            "/reservations?customerId=92", "/reservations?itemNo=1", "/reservations?ownerId=7",
            "/reservations?status=Reserved", "/itemInfoes?customerId=92", "/itemInfoes?ownerId=7",
            "/items", "/items/1", "/items/1/calendar", "/payments", "/alarms",
            "/reservations/1/trace", "/events?after=0",
        ] {
            let answer = app.get(path).actor(stranger).send().await;
            assert!(!answer.text.contains("Kim"), "{path}: {}", answer.text);
        }
        let call = app.post("/reservations", reservation(1, 94, "Park")).actor(stranger);
        let taken = call.refused(409, "item-taken").await;
        let cancel = app.delete("/reservations/1").actor(stranger).refused(403, "wrong-actor").await;
        let pay = app.post("/reservations/1/payment", json!({})).actor(stranger);
        let pay = pay.refused(403, "wrong-actor").await;
        for refused in [taken, cancel, pay] {
            assert!(!refused.text.contains("Kim"), "{}", refused.text);
        }
        // An owner, who may cancel, sees the renter's name.
        let cancelled = app.delete("/reservations/1").actor("owner:7").expect(200).await;
        assert_eq!(cancelled.json()["customerName"], "Kim");
        app.stop().await;
    }
}
