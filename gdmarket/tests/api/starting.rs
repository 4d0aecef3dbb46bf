//! A server that has much to do before it serves: it says that it lives and isn't ready, and whoever
//! comes early is served late, not turned away.

use crate::command_line::PROGRAM;
use gdmarket_testkit::{ServerOptions, eventually, get_status, on_each_engine};
use reqwest::Client;
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(20);

on_each_engine! {
    async fn while_a_view_is_built_it_lives_and_who_comes_early_waits(db: &TestDb) {
        let mut server = ServerOptions::new(PROGRAM).on(db).start().await;
        server.kill().await;
        // A view that was never built, and somebody else who is at it for long.
        db.views_sql("DELETE FROM generations WHERE view = 'item_info_v4'").await;
        let far = "UPDATE leases SET holder = 'another replica', expires_at = 9000000000000000 \
                   WHERE name = 'build_item_info_v4'";
        db.views_sql(far).await;
        let (port, items, ready) = (server.port(), server.url("/items"), server.url("/readyz"));
        let early = async {
            eventually(SOON, || async {
                match get_status(port, "/livez").await {
                    Ok(200) => Ok(()),
                    seen => Err(seen),
                }
            })
            .await;
            let ready = Client::new().get(ready).send().await.expect("an answer");
            assert_eq!((ready.status().as_u16(), ready.headers().contains_key("retry-after")), (503, true));
            let problem: Value = ready.json().await.expect("a problem");
            assert_eq!(problem["code"], "unavailable", "{problem}");
            let camera = json!({"itemName": "Camera", "itemPrice": 100});
            let registering = tokio::spawn(Client::new().post(items).json(&camera).send());
            assert_eq!(get_status(port, "/readyz").await.ok(), Some(503));
            assert!(!registering.is_finished());
            db.views_sql("UPDATE leases SET expires_at = 0 WHERE name = 'build_item_info_v4'").await;
            assert_eq!(registering.await.expect("a task").expect("an answer").status(), 201);
        };
        tokio::join!(server.restart(), early);
        assert_eq!(get_status(port, "/readyz").await.ok(), Some(200));
    }
}

/// Behind a gateway all callers have one address; on the loopback there is rarely one.
#[test]
fn a_server_beyond_loopback_says_what_a_gateway_needs() {
    gdmarket_testkit::run(async {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut server = tokio::process::Command::new(PROGRAM)
            .args(["serve", "--listen", "0.0.0.0:0", "--allow-open"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(server.stderr.take().expect("its stderr")).lines();
        let hint = async {
            while let Some(line) = lines.next_line().await.expect("a line") {
                if line.contains("server.address_share_percent to 100") {
                    return;
                }
            }
            panic!("it ended without the hint");
        };
        timeout(Duration::from_secs(30), hint).await.expect("the hint");
    });
}
