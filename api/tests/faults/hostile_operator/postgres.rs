//! What is done to the database.

use super::scene::Scene;
use gdmarket_testkit::{ForeignWriter, eventually};
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
        "SET TRANSACTION READ WRITE; DO $do$ BEGIN \
         EXECUTE format($f$ALTER DATABASE %I {what}$f$, current_database()); END $do$"
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
