//! What is done to the database.

use super::scene::Scene;
use gdmarket_testkit::{ForeignWriter, eventually, free_port};
use std::time::Duration;

const REFUSED_WITHIN: Duration = Duration::from_secs(30);
/// As whom the server is known to the database.
const SERVER: &str = "gdmarket";

/// Every session of the market's is cut off at once.
pub(super) async fn cut_off(scene: &Scene) {
    assert!(scene.db.cut_off(SERVER).await > 0, "nobody was connected");
    scene.is_named(&["connection"]).await;
}

/// As a host does whose disk is nearly full: sessions come back read-only, and later again as they were.
pub(super) async fn read_only_period(scene: &Scene) {
    alter_database(scene, "SET default_transaction_read_only = on").await;
    cut_off(scene).await;
    eventually(REFUSED_WITHIN, || async {
        let answer = scene.market.register_answer(100).await;
        if (answer.status, answer.retry_after) == (503, true) { Ok(()) } else { Err(answer) }
    })
    .await;
    // Each session that was cut off costs one answer.
    eventually(REFUSED_WITHIN, || async {
        let answer = scene.market.get("/itemInfoes").await;
        if answer.status == 200 { Ok(()) } else { Err(answer) }
    })
    .await;
    scene.is_named(&["read-only"]).await;
    alter_database(scene, "RESET default_transaction_read_only").await;
}

/// Something that counts for every session that begins from now on.
async fn alter_database(scene: &Scene, what: &str) {
    let sql = format!(
        "SET TRANSACTION READ WRITE; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; \
         DO $do$ BEGIN EXECUTE format($f$ALTER DATABASE %I {what}$f$, current_database()); END $do$"
    );
    scene.db.log_sql(&sql).await;
}

/// Somebody takes the turn and says nothing any more, until the database's own limit ends it.
pub(super) async fn silent_writer(scene: &Scene) {
    let mut writer = ForeignWriter::begin(&scene.db, 1, true).await;
    eventually(REFUSED_WITHIN, || async {
        let answer = scene.market.register_answer(100).await;
        if (answer.status, answer.retry_after) == (503, true) { Ok(()) } else { Err(answer) }
    })
    .await;
    let ends = async {
        while writer.is_there().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(REFUSED_WITHIN, ends).await.is_ok(), "nobody ends it");
    scene.is_named(&["lock"]).await;
}

/// What a host may set for all of its databases: none of it may change what the market's statements do.
const DEFAULTS: [(&str, &str); 6] = [
    ("default_transaction_isolation", "serializable"),
    ("statement_timeout", "50"),
    ("lock_timeout", "1"),
    ("idle_session_timeout", "200"),
    ("search_path", "elsewhere"),
    ("standard_conforming_strings", "off"),
];

/// The market works under foreign defaults: its sessions set what they rely on.
pub(super) async fn foreign_defaults(scene: &Scene) {
    for (setting, value) in DEFAULTS {
        alter_database(scene, &format!("SET {setting} = {value}")).await;
    }
    cut_off(scene).await;
    scene.works().await;
    for (setting, _) in DEFAULTS {
        alter_database(scene, &format!("RESET {setting}")).await;
    }
}

/// No server starts on a log whose appends nothing orders, and `check` names the trigger.
pub(super) async fn trigger_disabled(scene: &mut Scene) {
    scene.end_in_order("TERM").await;
    for state in ["DISABLE", "ENABLE"] {
        scene.db.log_sql(&format!("ALTER TABLE events {state} TRIGGER events_take_turns")).await;
        let listen = format!("127.0.0.1:{}", free_port());
        for (tool, expected) in [(&["serve", "--listen", &listen][..], 1), (&["check"], 5)] {
            let (code, out, written) = scene.tool(tool);
            assert_eq!(code, Some(expected), "{tool:?} {state}: {out}{written}");
            assert!(format!("{out}{written}").contains("events_take_turns"), "{out}{written}");
            scene.named();
        }
    }
    scene.db.log_sql("ALTER TABLE events ENABLE ALWAYS TRIGGER events_take_turns").await;
    scene.server.restart().await;
}
