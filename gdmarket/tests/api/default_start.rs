//! The program in an empty folder, without settings and without a subcommand.

use crate::command_line::{PROGRAM, errors, folder, run};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

const SOON: Duration = Duration::from_mins(1);

/// Starts the program in a folder, and returns it with the address that it prints. Only the port is set,
/// since the default one may be in use.
async fn started(folder: &Path) -> (Child, String) {
    let mut command = Command::new(PROGRAM);
    command.args(["--listen", "127.0.0.1:0"]).env_clear().current_dir(folder);
    command.stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("the program runs");
    let mut lines = BufReader::new(child.stderr.take().expect("its stderr")).lines();
    let mut seen = vec![];
    let greeting = async {
        while let Some(line) = lines.next_line().await.expect("text") {
            if let Some(rest) = line.strip_prefix("GDmarket serves ") {
                return rest.to_owned();
            }
            seen.push(line);
        }
        panic!("the program ended: {seen:?}")
    };
    let greeting = tokio::time::timeout(SOON, greeting).await.expect("it serves in time");
    let (url, place) = greeting.split_once(' ').expect("an address and a place");
    assert!(place.starts_with("(SQLite in ./gdmarket-data)."), "{greeting}");
    // A full pipe would block the program.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, url.to_owned())
}

async fn interrupt(mut child: Child) {
    let pid = child.id().expect("a running program").to_string();
    let sent = Command::new("kill").args(["-s", "INT", &pid]).status().await;
    assert!(sent.is_ok_and(|status| status.success()));
    let ended = tokio::time::timeout(SOON, child.wait()).await.expect("its end in time");
    assert_eq!(ended.expect("its end").code(), Some(0));
}

#[test]
fn defaults_are_port_8080_and_a_data_folder_in_the_working_directory() {
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
fn start_without_settings_creates_its_folder_and_later_continues_there() {
    gdmarket_testkit::run(async {
        let folder = folder();
        let (child, url) = started(folder.path()).await;
        let camera = json!({"itemName": "Camera", "itemPrice": 100});
        let call = reqwest::Client::new().post(format!("{url}/items")).json(&camera);
        assert_eq!(call.send().await.expect("an answer").status().as_u16(), 201);
        interrupt(child).await;
        let made: Vec<_> =
            std::fs::read_dir(folder.path()).expect("the folder").flatten().collect();
        assert_eq!(made.len(), 1, "{made:?}");
        assert!(folder.path().join("gdmarket-data").join("log.db").exists());
        let (child, url) = started(folder.path()).await;
        let item = reqwest::get(format!("{url}/items/1")).await.expect("an answer");
        let item: Value = item.json().await.expect("JSON");
        assert_eq!(item["itemName"], "Camera");
        interrupt(child).await;
    });
}
