//! The program as somebody types it first: in an empty folder, with nothing set and no subcommand.

use crate::command_line::{PROGRAM, errors, folder, run};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

const SOON: Duration = Duration::from_mins(1);

/// Starts it in a folder, and returns it with the address that it tells. Only the port is chosen,
/// since the one by default may be somebody's.
async fn started(folder: &Path) -> (Child, String) {
    let mut command = Command::new(PROGRAM);
    command.args(["--listen", "127.0.0.1:0"]).env_clear().current_dir(folder);
    command.stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("the program runs");
    let mut lines = BufReader::new(child.stderr.take().expect("its stderr")).lines();
    let mut seen = vec![];
    let told = async {
        while let Some(line) = lines.next_line().await.expect("text") {
            if let Some(rest) = line.strip_prefix("GDmarket serves ") {
                return rest.to_owned();
            }
            seen.push(line);
        }
        panic!("it ended: {seen:?}")
    };
    let told = tokio::time::timeout(SOON, told).await.expect("it serves in time");
    let (url, place) = told.split_once(' ').expect("an address and a place");
    assert!(place.starts_with("(SQLite in ./gdmarket-data)."), "{told}");
    // Somebody has to read what it says, or it can't go on.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, url.to_owned())
}

async fn told_to_end(mut child: Child) {
    let pid = child.id().expect("a running program").to_string();
    let sent = Command::new("kill").args(["-s", "INT", &pid]).status().await;
    assert!(sent.is_ok_and(|status| status.success()));
    let ended = tokio::time::timeout(SOON, child.wait()).await.expect("its end in time");
    assert_eq!(ended.expect("its end").code(), Some(0));
}

#[test]
fn with_nothing_set_it_serves_on_8080_and_keeps_its_data_here() {
    let folder = folder();
    let output = run(folder.path(), &["config", "show", "--json"], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let shown: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let default = |value: Value| json!({"value": value, "source": "default"});
    assert_eq!(shown["server.listen"], default(json!("127.0.0.1:8080")));
    assert_eq!(shown["server.data_dir"], default(json!("./gdmarket-data")));
    assert_eq!(shown["database.url"], default(Value::Null));
}

#[test]
fn a_bare_start_makes_its_folder_and_goes_on_where_it_was() {
    gdmarket_testkit::run(async {
        let folder = folder();
        let (child, url) = started(folder.path()).await;
        let camera = json!({"itemName": "Camera", "itemPrice": 100});
        let call = reqwest::Client::new().post(format!("{url}/items")).json(&camera);
        assert_eq!(call.send().await.expect("an answer").status().as_u16(), 201);
        told_to_end(child).await;
        let made: Vec<_> =
            std::fs::read_dir(folder.path()).expect("the folder").flatten().collect();
        assert_eq!(made.len(), 1, "{made:?}");
        assert!(folder.path().join("gdmarket-data").join("log.db").exists());
        let (child, url) = started(folder.path()).await;
        let item = reqwest::get(format!("{url}/items/1")).await.expect("an answer");
        let item: Value = item.json().await.expect("JSON");
        assert_eq!(item["itemName"], "Camera");
        told_to_end(child).await;
    });
}
