//! Steps on the database.

use super::scenario::Scenario;
use gdmarket_testkit::{ForeignWriter, eventually, free_port};
use std::time::Duration;

const REFUSED_WITHIN: Duration = Duration::from_secs(30);
/// The application name of the server's sessions.
const SERVER: &str = "gdmarket";

/// Ends all sessions of the market at once.
pub(super) async fn sessions_ended(scenario: &Scenario) {
    assert!(scenario.db.cut_off(SERVER).await > 0, "the server was connected");
    scenario.wait_for_log_line(&["connection"]).await;
}

/// A host whose disk is nearly full makes sessions read-only for a while.
pub(super) async fn read_only_period(scenario: &Scenario) {
    alter_database(scenario, "SET default_transaction_read_only = on").await;
    sessions_ended(scenario).await;
    eventually(REFUSED_WITHIN, || async {
        let answer = scenario.market.register_answer(100).await;
        if (answer.status, answer.retry_after) == (503, true) { Ok(()) } else { Err(answer) }
    })
    .await;
    // Each ended session costs one answer.
    eventually(REFUSED_WITHIN, || async {
        let answer = scenario.market.get("/itemInfoes").await;
        if answer.status == 200 { Ok(()) } else { Err(answer) }
    })
    .await;
    scenario.wait_for_log_line(&["read-only"]).await;
    alter_database(scenario, "RESET default_transaction_read_only").await;
}

/// Changes a setting of the database for all later sessions.
async fn alter_database(scenario: &Scenario, what: &str) {
    let sql = format!(
        "SET TRANSACTION READ WRITE; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; \
         DO $do$ BEGIN EXECUTE format($f$ALTER DATABASE %I {what}$f$, current_database()); END $do$"
    );
    scenario.db.log_sql(&sql).await;
}

/// A foreign transaction holds the lock of the log, until the database's limit ends it.
pub(super) async fn idle_transaction(scenario: &Scenario) {
    let mut writer = ForeignWriter::begin(&scenario.db, 1, true).await;
    eventually(REFUSED_WITHIN, || async {
        let answer = scenario.market.register_answer(100).await;
        if (answer.status, answer.retry_after) == (503, true) { Ok(()) } else { Err(answer) }
    })
    .await;
    let ends = async {
        while writer.is_there().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(
        tokio::time::timeout(REFUSED_WITHIN, ends).await.is_ok(),
        "the database doesn't end it"
    );
    scenario.wait_for_log_line(&["lock"]).await;
}

/// Settings of a host for all of its databases; none may change the effect of the market's statements.
const DEFAULTS: [(&str, &str); 6] = [
    ("default_transaction_isolation", "serializable"),
    ("statement_timeout", "50"),
    ("lock_timeout", "1"),
    ("idle_session_timeout", "200"),
    ("search_path", "elsewhere"),
    ("standard_conforming_strings", "off"),
];

/// The market works under foreign defaults, since its sessions set what they rely on.
pub(super) async fn foreign_defaults(scenario: &Scenario) {
    for (setting, value) in DEFAULTS {
        alter_database(scenario, &format!("SET {setting} = {value}")).await;
    }
    sessions_ended(scenario).await;
    scenario.wait_until_it_works().await;
    for (setting, _) in DEFAULTS {
        alter_database(scenario, &format!("RESET {setting}")).await;
    }
}

/// No server starts on a log without the trigger that orders appends, and `check` reports it.
pub(super) async fn trigger_disabled(scenario: &mut Scenario) {
    scenario.shut_down("TERM").await;
    for state in ["DISABLE", "ENABLE"] {
        scenario.db.log_sql(&format!("ALTER TABLE events {state} TRIGGER events_take_turns")).await;
        let listen = format!("127.0.0.1:{}", free_port());
        for (tool, expected) in [(&["serve", "--listen", &listen][..], 1), (&["check"], 5)] {
            let (code, stdout, stderr) = scenario.tool(tool);
            assert_eq!(code, Some(expected), "{tool:?} {state}: {stdout}{stderr}");
            assert!(format!("{stdout}{stderr}").contains("events_take_turns"), "{stdout}{stderr}");
            scenario.mark_reported();
        }
    }
    scenario.db.log_sql("ALTER TABLE events ENABLE ALWAYS TRIGGER events_take_turns").await;
    scenario.server.restart().await;
}
