//! A server that builds a view before it serves is alive and not ready, and requests that arrive meanwhile wait
//! instead of being refused.

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
    async fn server_that_builds_a_view_is_alive_and_lets_requests_wait(db: &TestDb) {
        let mut server = ServerOptions::new(PROGRAM).on(db).start().await;
        server.kill().await;
        // A view that was never built, and a long lease of another replica for its build.
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

/// Behind a gateway all callers have the same address, so the limit per address must be raised.
#[test]
fn server_beyond_loopback_logs_the_setting_for_gateways() {
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
