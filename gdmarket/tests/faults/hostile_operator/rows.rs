//! What is done to rows and tables by hand, on both engines.

use super::scene::Scene;
use gdmarket_testkit::eventually;
use std::time::Duration;

const REPAIRED_WITHIN: Duration = Duration::from_secs(30);
/// How far beyond the market's numbers another program's item is: more than are allocated meanwhile.
const BEYOND: i64 = 10_000;

/// The table that the items are served from.
async fn items(scene: &Scene) -> String {
    let tables = scene.db.view_tables().await;
    let served = |table: &&String| table.starts_with("view_item_info_v") && !table.contains("_g");
    tables.iter().find(served).expect("a view of the items").clone()
}

/// Another program writes an event of a stream that nobody can address, and repairs that later.
pub(super) async fn poison_row(scene: &Scene) {
    let last = "SELECT max(CAST(aggregate_id AS bigint)) FROM events WHERE aggregate_type = 'item'";
    let item = scene.db.log_number(last).await + BEYOND;
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
    scene.is_found_by_check(&format!("position {position}:"));
    let repair = format!("UPDATE events SET aggregate_id = '{item}' WHERE aggregate_id = 'abc'");
    scene.db.log_sql(&repair).await;
    let numbers = format!("UPDATE numbers SET last = {item} WHERE kind = 'item'");
    scene.db.log_sql(&numbers).await;
    let (code, out, written) = scene.tool(&["parked", "retry", "--all"]);
    assert_eq!(code, Some(0), "{out}{written}");
    is_shown(scene, item).await;
}

/// An item of nobody else's, which its view shows.
async fn registered(scene: &Scene) -> i64 {
    let item = scene.market.register(100).await;
    is_shown(scene, item).await;
    item
}

async fn is_shown(scene: &Scene, item: i64) {
    eventually(REPAIRED_WITHIN, || async {
        let shown = scene.market.get(&format!("/items/{item}")).await;
        if shown.status == 200 { Ok(()) } else { Err(shown) }
    })
    .await;
}

/// A row of a view is overwritten with what nobody can read.
pub(super) async fn view_row_damaged(scene: &Scene) {
    let table = items(scene).await;
    let item = registered(scene).await;
    let damage = format!("UPDATE {table} SET doc = '{{oops', sequence = 77 WHERE no = {item}");
    scene.db.views_sql(&damage).await;
    is_shown(scene, item).await;
    scene.market.get("/itemInfoes").await.expect(200);
    scene.is_named(&["a row of a view is damaged"]).await;
    let left = format!("SELECT count(*) FROM {table} WHERE doc = '{{oops'");
    eventually(REPAIRED_WITHIN, || async {
        let left = scene.db.views_number(&left).await;
        if left == 0 { Ok(()) } else { Err(left) }
    })
    .await;
}

/// The table of a view is dropped: it is built again by the running server.
pub(super) async fn view_table_dropped(scene: &Scene) {
    let table = items(scene).await;
    let item = registered(scene).await;
    scene.db.views_sql(&format!("DROP TABLE {table}")).await;
    scene.is_named(&[&table]).await;
    is_shown(scene, item).await;
}

/// The numbers begin again: none that is in use is given to anybody, which the log says.
pub(super) async fn numbers_set_back(scene: &Scene) {
    scene.db.log_sql("UPDATE numbers SET last = 0").await;
    scene.is_named(&["numbers were behind the log"]).await;
    scene.works().await;
}
