//! What each actor may do, and the `actions` that resources list.

use crate::app::{App, app};
use serde_json::{Value, json};

/// Registers an item of this owner and returns its number.
async fn item_of(app: &App, owner: &str) -> i64 {
    let camera = json!({"itemName": "Camera", "itemPrice": 100});
    let answer = app.post("/items", camera).actor(owner).expect(201).await;
    answer.json()["itemNo"].as_i64().expect("a number")
}

#[tokio::test]
async fn item_belongs_to_the_owner_who_registers_it() {
    let app = app().await;
    let camera = |owner: Value| json!({"itemName": "Camera", "itemPrice": 100, "ownerId": owner});
    let own = app.post("/items", camera(json!(7))).actor("owner:7").expect(201).await;
    assert_eq!(own.json()["ownerId"], 7);
    let named = app.post("/items", camera(json!("8"))).expect(201).await;
    assert_eq!(named.json()["ownerId"], 8);
    app.post("/items", camera(json!(8))).actor("owner:7").refused(403, "wrong-actor").await;
    app.post("/items", camera(json!(null))).actor("renter:7").refused(403, "wrong-actor").await;
}

#[tokio::test]
async fn actor_cannot_act_for_another_person() {
    let app = app().await;
    let item = item_of(&app, "owner:7").await;
    let path = format!("/items/{item}");
    for actor in ["owner:8", "renter:7"] {
        app.patch(&path, json!({"itemPrice": 5})).actor(actor).refused(403, "wrong-actor").await;
        app.delete(&path).actor(actor).refused(403, "wrong-actor").await;
    }
    let reservation = json!({"itemNo": item, "customerId": 1});
    app.post("/reservations", reservation.clone())
        .actor("renter:2")
        .refused(403, "wrong-actor")
        .await;
    app.post("/reservations", reservation.clone())
        .actor("owner:7")
        .refused(403, "wrong-actor")
        .await;
    app.post("/reservations", reservation).actor("renter:1").expect(201).await;
    let pay = || app.post("/reservations/1/payment", json!({}));
    pay().actor("renter:2").refused(403, "wrong-actor").await;
    pay().actor("owner:7").refused(403, "wrong-actor").await;
    pay().actor("renter:1").expect(200).await;
    app.post(&format!("{path}/lend"), json!({}))
        .actor("renter:1")
        .refused(403, "wrong-actor")
        .await;
    app.delete("/reservations/1").actor("renter:2").refused(403, "wrong-actor").await;
    app.delete("/reservations/1").actor("owner:7").expect(200).await;
}

#[tokio::test]
async fn trace_is_shown_to_its_renter_the_owner_and_operators() {
    let app = app().await;
    let item = item_of(&app, "owner:7").await;
    let reserved = app.reserved(item, 1).await;
    // Of a refused reservation only the item knows the owner.
    let refused = json!({"itemNo": item, "customerId": 2});
    app.post("/reservations", refused).refused(409, "item-taken").await;
    for (no, renter) in [(reserved, "renter:1"), (reserved + 1, "renter:2")] {
        let trace = || app.get(&format!("/reservations/{no}/trace"));
        for actor in [renter, "owner:7", "operator:local", "operator:night-shift"] {
            let trace = trace().actor(actor).expect(200).await.json();
            assert_eq!((&trace["reservationNo"], &trace["complete"]), (&json!(no), &json!(true)));
            assert_eq!(trace["events"][0]["type"], "ReservationRequested");
        }
        for actor in ["renter:3", "owner:1", "owner:2", "owner:8", "renter:7"] {
            trace().actor(actor).refused(403, "wrong-actor").await;
        }
    }
    let camera = json!({"itemName": "Camera", "itemPrice": 100});
    let at = app.post("/items", camera).expect(201).await.header("gdmarket-at").to_owned();
    app.get(&format!("/reservations/{reserved}/trace?at_least={at}")).expect(200).await;
    let absent = app.get("/reservations/99/trace").actor("renter:3");
    absent.refused(404, "reservation-not-found").await;
}

#[tokio::test]
async fn malformed_actor_header_is_refused() {
    let app = app().await;
    for value in ["process:holding", "owner", "owner:0", "renter:x", "king:1", ""] {
        for call in [app.get("/items"), app.post("/items", json!({}))] {
            let refused = call.actor(value).refused(400, "bad-header").await;
            assert_eq!(refused.fields(), ["X-Gdmarket-Actor"], "{value}");
        }
    }
}

fn action(body: &Value, name: &str) -> (bool, Value) {
    let actions = body["actions"].as_array().expect("actions");
    let action = actions.iter().find(|action| action["name"] == name).expect("an action");
    (action["allowed"].as_bool().expect("a boolean"), action["reason"].clone())
}

#[tokio::test]
async fn resources_list_actions_of_the_actor_with_reasons() {
    let app = app().await;
    let item = item_of(&app, "owner:7").await;
    let path = format!("/items/{item}");
    let shown_to = |actor: &'static str, path: String| {
        let app = &app;
        async move { app.get(&path).actor(actor).expect(200).await.json() }
    };
    let fresh = shown_to("owner:7", path.clone()).await;
    assert_eq!(action(&fresh, "delete"), (true, Value::Null));
    assert_eq!(action(&fresh, "lend"), (false, json!("not-reserved")));
    assert_eq!(action(&fresh, "reserve"), (false, json!("wrong-actor")));
    let foreign = shown_to("renter:1", path.clone()).await;
    assert_eq!(action(&foreign, "delete"), (false, json!("wrong-actor")));
    assert_eq!(action(&foreign, "reserve"), (true, Value::Null));
    let reservation = app.reserved(item, 1).await;
    let reservation_path = format!("/reservations/{reservation}");
    app.see(&path, "/itemStatus", json!("NotRentable")).await;
    assert_eq!(
        action(&shown_to("owner:7", path.clone()).await, "lend"),
        (false, json!("not-paid"))
    );
    let taken = shown_to("renter:2", path.clone()).await;
    assert_eq!(action(&taken, "reserve"), (false, json!("item-taken")), "until it is returned");
    let unpaid = shown_to("renter:1", reservation_path.clone()).await;
    assert_eq!(action(&unpaid, "pay"), (true, Value::Null));
    assert_eq!(action(&unpaid, "cancelPayment"), (false, json!("not-paid")));
    assert_eq!(
        action(&shown_to("owner:7", reservation_path.clone()).await, "pay"),
        (false, json!("wrong-actor"))
    );
    app.pay(reservation).await;
    app.see(&reservation_path, "/paymentStatus", json!("Paid")).await;
    let paid = shown_to("renter:1", reservation_path.clone()).await;
    assert_eq!(action(&paid, "pay"), (false, json!("paid")));
    assert_eq!(action(&paid, "cancel"), (true, Value::Null));
    app.lend(item).await;
    app.see(&reservation_path, "/rentalStatus", json!("Renting")).await;
    assert_eq!(
        action(&shown_to("renter:1", reservation_path).await, "cancel"),
        (false, json!("already-lent"))
    );
    app.see(&path, "/rentalStatus", json!("Renting")).await;
    assert_eq!(action(&shown_to("owner:7", path).await, "return"), (true, Value::Null));
}
