//! Steps on rows and tables, on both engines.

use super::scenario::Scenario;
use gdmarket_testkit::eventually;
use std::time::Duration;

const REPAIRED_WITHIN: Duration = Duration::from_secs(30);
/// The distance of another program's item from the market's numbers: more than are allocated meanwhile.
const NUMBER_OFFSET: i64 = 10_000;

/// The table that items are served from.
async fn items_table(scenario: &Scenario) -> String {
    let tables = scenario.db.view_tables().await;
    let served = |table: &&String| table.starts_with("view_item_info_v") && !table.contains("_g");
    tables.iter().find(served).expect("a view of the items").clone()
}

/// Another program writes an event of a stream that can't be addressed, and repairs that later.
pub(super) async fn poison_row(scenario: &Scenario) {
    let last = "SELECT max(CAST(aggregate_id AS bigint)) FROM events WHERE aggregate_type = 'item'";
    let item = scenario.db.log_number(last).await + NUMBER_OFFSET;
    let payload = format!(
        "{{\"ItemRegistered\":{{\"itemNo\":{item},\"ownerId\":7,\"itemName\":\"Tent\",\"itemPrice\":1}}}}"
    );
    scenario
        .db
        .log_sql(&format!(
            "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, \
             payload, metadata) VALUES ('item', 'abc', 1, 'ItemRegistered', '1', '{payload}', '{{}}')"
        ))
        .await;
    let position = "SELECT position FROM events WHERE aggregate_id = 'abc'";
    let position = scenario.db.log_number(position).await;
    scenario
        .wait_for_log_line(&["a row of the log can't be read", &format!("\"position\":{position}")])
        .await;
    scenario.wait_until_it_works().await;
    scenario.assert_check_finds(&format!("position {position}:"));
    let repair = format!("UPDATE events SET aggregate_id = '{item}' WHERE aggregate_id = 'abc'");
    scenario.db.log_sql(&repair).await;
    let numbers = format!("UPDATE numbers SET last = {item} WHERE kind = 'item'");
    scenario.db.log_sql(&numbers).await;
    let (code, stdout, stderr) = scenario.tool(&["parked", "retry", "--all"]);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    is_shown(scenario, item).await;
}

/// Registers an item, and waits until its view shows it.
async fn registered(scenario: &Scenario) -> i64 {
    let item = scenario.market.register(100).await;
    is_shown(scenario, item).await;
    item
}

async fn is_shown(scenario: &Scenario, item: i64) {
    eventually(REPAIRED_WITHIN, || async {
        let shown = scenario.market.get(&format!("/items/{item}")).await;
        if shown.status == 200 { Ok(()) } else { Err(shown) }
    })
    .await;
}

/// A row of a view is overwritten with a document that can't be parsed.
pub(super) async fn view_row_damaged(scenario: &Scenario) {
    let table = items_table(scenario).await;
    let item = registered(scenario).await;
    let damage = format!("UPDATE {table} SET doc = '{{oops', sequence = 77 WHERE no = {item}");
    scenario.db.views_sql(&damage).await;
    is_shown(scenario, item).await;
    scenario.market.get("/itemInfoes").await.expect(200);
    scenario.wait_for_log_line(&["a row of a view is damaged"]).await;
    let count = format!("SELECT count(*) FROM {table} WHERE doc = '{{oops'");
    eventually(REPAIRED_WITHIN, || async {
        let damaged = scenario.db.views_number(&count).await;
        if damaged == 0 { Ok(()) } else { Err(damaged) }
    })
    .await;
}

/// The table of a view is dropped: the running server rebuilds it.
pub(super) async fn view_table_dropped(scenario: &Scenario) {
    let table = items_table(scenario).await;
    let item = registered(scenario).await;
    scenario.db.views_sql(&format!("DROP TABLE {table}")).await;
    scenario.wait_for_log_line(&[&table]).await;
    is_shown(scenario, item).await;
}

/// The numbers restart from the beginning: none that is in use is allocated again, and the server logs it.
pub(super) async fn numbers_set_back(scenario: &Scenario) {
    scenario.db.log_sql("UPDATE numbers SET last = 0").await;
    scenario.wait_for_log_line(&["numbers were behind the log"]).await;
    scenario.wait_until_it_works().await;
}
