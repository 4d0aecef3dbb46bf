//! What is done to rows and tables by hand, on both engines.

use super::scene::Scene;
use crate::archive::gdmarket;
use gdmarket_testkit::eventually;
use std::time::Duration;

const REPAIRED_WITHIN: Duration = Duration::from_secs(30);
/// Numbers of items that other programs write: beyond those of the market.
const FOREIGN: i64 = 9_000_000;

/// Another program writes an event of a stream that nobody can address, and repairs that later.
pub(super) async fn poison_row(scene: &Scene) {
    let head = scene.db.log_number("SELECT max(position) FROM events").await;
    let item = FOREIGN + head;
    let payload = format!(
        "{{\"ItemRegistered\":{{\"itemNo\":{item},\"ownerId\":7,\"itemName\":\"Tent\",\"itemPrice\":1}}}}"
    );
    scene
        .db
        .log_sql(&format!(
            "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, \
             payload, metadata) VALUES ('item', 'abc', 1, 'ItemRegistered', '1', '{payload}', '{{}}')"
        ))
        .await;
    let position = "SELECT position FROM events WHERE aggregate_id = 'abc'";
    let position = scene.db.log_number(position).await;
    scene.is_named(&["a row of the log can't be read", &format!("\"position\":{position}")]).await;
    scene.works().await;
    let (code, out, written) = gdmarket(&scene.db, &["check", "--json"]);
    assert_eq!(code, Some(5), "{out}{written}");
    assert!(out.contains(&format!("position {position}:")), "{out}");
    let repair = format!("UPDATE events SET aggregate_id = '{item}' WHERE aggregate_id = 'abc'");
    scene.db.log_sql(&repair).await;
    let (code, out, written) = gdmarket(&scene.db, &["parked", "retry", "--all"]);
    assert_eq!(code, Some(0), "{out}{written}");
    is_shown(scene, item).await;
}

async fn is_shown(scene: &Scene, item: i64) {
    eventually(REPAIRED_WITHIN, || async {
        let shown = scene.market.get(&format!("/items/{item}")).await;
        if shown.status == 200 { Ok(()) } else { Err(shown) }
    })
    .await;
}
