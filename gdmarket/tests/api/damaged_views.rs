//! Views that were changed by hand: an unreadable row is answered from its stream and repaired, a dropped
//! table is rebuilt, and a rebuild keeps the owner and grants of the table that it replaces.

use crate::command_line::PROGRAM;
use crate::tools::{Tools, register, send, write};
use gdmarket_testkit::{Server, ServerOptions, TestDb, eventually, on_each_engine};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::time::Duration;

const VIEW: &str = "item_info_v4";
const SOON: Duration = Duration::from_secs(20);

/// The names in a collection, or the answer if it is a problem.
async fn names(server: &Server) -> Result<Vec<String>, Value> {
    let answer = Client::new().get(server.url("/itemInfoes")).send().await.expect("an answer");
    let body: Value = answer.json().await.expect("JSON");
    let Some(items) = body["_embedded"]["itemInfoes"].as_array() else { return Err(body) };
    Ok(items.iter().filter_map(|item| item["itemName"].as_str().map(str::to_owned)).collect())
}

async fn await_names(server: &Server, expected: &[&str]) {
    eventually(SOON, || async {
        match names(server).await {
            Ok(names) if names == expected => Ok(()),
            other => Err(other),
        }
    })
    .await;
}

async fn damage(db: &TestDb, no: i64) {
    db.views_sql(&format!("UPDATE view_{VIEW} SET doc = '{{oops', sequence = 77 WHERE no = {no}"))
        .await;
}

/// Waits until the row is repaired and nothing is parked.
async fn await_repair(db: &TestDb, tools: &Tools<'_>) {
    eventually(SOON, || async {
        let sql = format!("SELECT count(*) FROM view_{VIEW} WHERE doc = '{{oops'");
        let (left, parked) = (db.views_number(&sql).await, tools.json("parked list"));
        if left == 0 && parked.is_empty() { Ok(()) } else { Err((left, parked)) }
    })
    .await;
}

async fn rename(server: &Server, no: i64, name: &str) {
    send(server, Method::PATCH, &format!("/items/{no}"), json!({"itemName": name})).await;
}

on_each_engine! {
    async fn unreadable_row_is_answered_and_repaired(db: &TestDb) {
        let server = ServerOptions::new(PROGRAM).on(db).start().await;
        let tools = Tools { db };
        for _ in 0..3 {
            register(&server).await;
        }
        await_names(&server, &["Camera", "Camera", "Camera"]).await;
        // A read: the collection is complete at once.
        damage(db, 2).await;
        assert_eq!(names(&server).await.expect("a collection").len(), 3);
        await_repair(db, &tools).await;
        damage(db, 3).await;
        let one = Client::new().get(server.url("/items/3")).send().await.expect("an answer");
        assert_eq!(one.status(), 200);
        await_repair(db, &tools).await;
        // A write: the view continues with everything else.
        damage(db, 1).await;
        rename(&server, 1, "Boat").await;
        rename(&server, 2, "Drill").await;
        await_names(&server, &["Boat", "Drill", "Camera"]).await;
        await_repair(db, &tools).await;
        // A comparison: the row differs, and the other rows are compared too.
        let stopped = tools.json("views pause item-info");
        assert_eq!(stopped[0]["state"], "paused");
        damage(db, 2).await;
        let verified = tools.run("replay item-info --verify");
        assert_eq!(verified.status.code(), Some(4));
        tools.text("replay item-info --promote");
        tools.text("views resume item-info");
        await_names(&server, &["Boat", "Drill", "Camera"]).await;
        tools.text("replay --all --verify");
        tools.text("check");
    }

    /// The item's stream has an unreadable event, so the reservation stays requested, and only the item knows
    /// its owner.
    async fn reservations_are_answered_when_the_row_of_their_item_is_damaged(db: &TestDb) {
        let server = ServerOptions::new(PROGRAM).on(db).start().await;
        register(&server).await;
        await_names(&server, &["Camera"]).await;
        write(db, 1, "ItemTeleported", "{\"ItemTeleported\":{}}").await;
        let body = json!({"customerName": "Song", "customerId": 9, "itemNo": 1});
        let call = Client::new().post(server.url("/reservations")).json(&body);
        let call = call.header("prefer", "respond-async");
        assert_eq!(call.send().await.expect("an answer").status(), 202);
        let text = async |path: &str, actor: &str| {
            let call = Client::new().get(server.url(path)).header("x-gdmarket-actor", actor);
            let answer = call.send().await.expect("an answer");
            (answer.status().as_u16(), answer.text().await.expect("text"))
        };
        eventually(SOON, || async {
            let (_, text) = text("/reservations/1", "operator:local").await;
            if text.contains("Requested") { Ok(()) } else { Err(text) }
        })
        .await;
        for path in ["/reservations", "/reservations/1", "/reservations/1/trace"] {
            damage(db, 1).await;
            let (status, text) = text(path, "operator:local").await;
            assert_eq!(status, 200, "{path}: {text}");
        }
        damage(db, 1).await;
        // An owner sees the names of the people who reserve their items.
        let (_, text) = text("/reservations", "owner:7").await;
        assert!(text.contains("Song"), "{text}");
    }

    async fn dropped_table_is_rebuilt(db: &TestDb) {
        let mut server = ServerOptions::new(PROGRAM).on(db).start().await;
        let tools = Tools { db };
        register(&server).await;
        await_names(&server, &["Camera"]).await;
        // By the running server, by each command, and by a start.
        db.views_sql(&format!("DROP TABLE view_{VIEW}")).await;
        rename(&server, 1, "Boat").await;
        await_names(&server, &["Boat"]).await;
        server.terminate().await;
        assert_eq!(server.wait(SOON).await.code(), Some(0));
        for line in ["views rebuild item-info", "replay item-info --promote"] {
            db.views_sql(&format!("DROP TABLE view_{VIEW}")).await;
            tools.text(line);
            assert_eq!(db.views_number(&format!("SELECT count(*) FROM view_{VIEW}")).await, 1, "{line}");
        }
        db.views_sql(&format!("DROP TABLE view_{VIEW}")).await;
        server.restart().await;
        await_names(&server, &["Boat"]).await;
        tools.text("replay --all --verify");
    }
}

#[test]
fn rebuild_keeps_the_owner_and_the_grants_of_the_table() {
    gdmarket_testkit::run(async {
        let db = TestDb::postgres().await;
        let server = ServerOptions::new(PROGRAM).on(&db).start().await;
        let tools = Tools { db: &db };
        register(&server).await;
        let database = db.url().rsplit('/').next().expect("a name").replace('-', "_");
        let (owner, reader) = (format!("o_{database}"), format!("r_{database}"));
        db.views_sql(&format!("CREATE ROLE {owner}; CREATE ROLE {reader}")).await;
        db.views_sql(&format!(
            "ALTER TABLE view_{VIEW} OWNER TO {owner}; \
             GRANT SELECT ON view_{VIEW} TO {reader} WITH GRANT OPTION"
        ))
        .await;
        let rights = format!(
            "SELECT count(*) FROM pg_class WHERE relname = 'view_{VIEW}' \
             AND pg_get_userbyid(relowner) = '{owner}' \
             AND has_table_privilege('{reader}', oid, 'SELECT WITH GRANT OPTION') \
             AND NOT has_table_privilege('{reader}', oid, 'UPDATE')"
        );
        assert_eq!(db.views_number(&rights).await, 1, "control");
        tools.text("replay item-info --promote");
        let kept = db.views_number(&rights).await;
        db.views_sql(&format!("DROP OWNED BY {owner}, {reader}")).await;
        db.views_sql(&format!("DROP ROLE {owner}, {reader}")).await;
        assert_eq!(kept, 1);
    });
}
