//! The program itself: exit codes, one clear line, a second server refused, an orderly end.

use gdmarket_testkit::{ServerOptions, free_port};
use serde_json::Value;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_gdmarket");

/// Runs the program in an empty folder, with nothing set but what the test says.
pub(crate) fn run(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(PROGRAM);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GDMARKET__")) {
        command.env_remove(name);
    }
    command.args(arguments).envs(variables.iter().copied()).current_dir(folder);
    command.output().expect("the program runs")
}

pub(crate) fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

#[test]
fn help_shows_examples_and_a_wrong_use_ends_with_2() {
    let folder = folder();
    let help = run(folder.path(), &["--help"], &[]);
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&help.stdout).contains("Examples:"));
    assert_eq!(run(folder.path(), &["--colour"], &[]).status.code(), Some(2));
}

#[test]
fn flags_that_hold_everywhere_hold_and_no_color_is_understood() {
    let folder = folder();
    let data = folder.path().display().to_string();
    let place = ["--data-dir", data.as_str()];
    for (arguments, variables) in [
        (&["migrate", "--quiet", "--no-color"][..], &[][..]),
        (&["migrate"][..], &[("NO_COLOR", "1")][..]),
        (&["migrate"][..], &[("NO_COLOR", "")][..]),
    ] {
        let run = run(folder.path(), &[arguments, &place].concat(), variables);
        assert_eq!(run.status.code(), Some(0), "{arguments:?} {variables:?}: {}", errors(&run));
        let is_quiet = arguments.contains(&"--quiet");
        assert_eq!(errors(&run).is_empty(), is_quiet, "{arguments:?}: {}", errors(&run));
    }
}

#[test]
fn an_older_program_refuses_a_newer_schema_and_says_so() {
    gdmarket_testkit::run(async {
        let db = gdmarket_testkit::TestDb::sqlite();
        let data = db.folder().expect("a folder").display().to_string();
        let there = run(&std::env::temp_dir(), &["migrate", "--data-dir", &data], &[]);
        assert_eq!(there.status.code(), Some(0), "{}", errors(&there));
        db.log_sql(
            "INSERT INTO schema_migrations (version, name, serves_from, applied_at) \
             VALUES (9999, 'of another day', 9999, 0)",
        )
        .await;
        for command in ["serve", "check"] {
            let refused = run(&std::env::temp_dir(), &[command, "--data-dir", &data], &[]);
            assert_eq!(refused.status.code(), Some(1), "{command}: {}", errors(&refused));
            let told = errors(&refused);
            assert!(told.contains("9999") && told.contains("newer"), "{command}: {told}");
        }
    });
}

#[test]
fn ctrl_c_ends_a_server_in_order() {
    gdmarket_testkit::run(async {
        let mut server = ServerOptions::new(PROGRAM).start().await;
        server.signal("INT").await;
        assert_eq!(server.wait(Duration::from_secs(20)).await.code(), Some(0));
    });
}

#[test]
fn all_configuration_faults_are_told_at_once() {
    let folder = folder();
    std::fs::write(folder.path().join("gdmarket.toml"), "[server]\ncolour = 1\n").expect("a file");
    let variables = [("GDMARKET__MARKET__TIME_ZONE", "Mars"), ("GDMARKET__NOTHING__AT", "1")];
    let output = run(folder.path(), &["serve", "--listen", "nowhere"], &variables);
    assert_eq!(output.status.code(), Some(2));
    let told = errors(&output);
    for part in
        ["server.colour", "market.time_zone", "nothing.at", "--listen", "variable GDMARKET__"]
    {
        assert!(told.contains(part), "{part} is missing in {told}");
    }
    assert!(!folder.path().join("gdmarket-data").exists(), "nothing was begun");
}

#[test]
fn config_show_tells_value_and_source_and_no_password() {
    let folder = folder();
    let secret = folder.path().join("url");
    std::fs::write(&secret, "postgres://me:s3cret@db/market\n").expect("a file");
    let secret = secret.display().to_string();
    let variables = [
        ("GDMARKET__DATABASE__URL_FILE", secret.as_str()),
        ("GDMARKET__PAYMENT__FAIL_RATE", "0.25"),
    ];
    let output = run(folder.path(), &["config", "show", "--json", "--data-dir", "x"], &variables);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let shown: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(shown["server.data_dir"]["source"], "flag --data-dir");
    assert_eq!(shown["payment.fail_rate"]["value"], 0.25);
    assert_eq!(shown["payment.delay_ms"]["value"], 0);
    assert_eq!(shown["server.migrate"]["value"], true);
    assert_eq!(shown["server.hosts"]["value"], serde_json::json!([]));
    assert_eq!(shown.get("payment.ledger"), None, "it is no setting any more");
    assert_eq!(shown["payment.fail_rate"]["source"], "variable GDMARKET__PAYMENT__FAIL_RATE");
    assert_eq!(shown["server.listen"]["source"], "default");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("s3cret"));
}

/// Defaults, then the file, then the environment, then flags: the last that says something wins.
#[test]
fn what_a_flag_says_wins_over_the_environment_and_that_over_the_file() {
    let folder = folder();
    let file = folder.path().join("market.toml");
    std::fs::write(&file, "[server]\ndata_dir = \"by-file\"\n").expect("a file");
    let named =
        ["config", "show", "--json", "--config", &file.display().to_string()].map(str::to_owned);
    let flag = ["--data-dir", "by-flag"].map(str::to_owned);
    let variable = ("GDMARKET__SERVER__DATA_DIR", "by-variable");
    for (arguments, variables, value, source) in [
        (named[..3].to_vec(), vec![], "./gdmarket-data", "default"),
        (named.to_vec(), vec![], "by-file", "file"),
        (named.to_vec(), vec![variable], "by-variable", "variable GDMARKET__SERVER__DATA_DIR"),
        ([named.as_slice(), &flag].concat(), vec![variable], "by-flag", "flag --data-dir"),
    ] {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = run(folder.path(), &words, &variables);
        assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
        let shown: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let folder = &shown["server.data_dir"];
        assert_eq!(folder["value"], value);
        let told = folder["source"].as_str().expect("a source");
        assert!(told.starts_with(source), "{told}");
    }
}

#[test]
fn a_port_in_use_is_one_clear_line() {
    let folder = folder();
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let output = run(folder.path(), &["--listen", &address], &[]);
    assert_eq!(output.status.code(), Some(3));
    let told = errors(&output);
    assert!(told.contains(&format!("{address} is taken")), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
}

#[test]
fn an_address_beyond_loopback_must_be_meant() {
    let folder = folder();
    let output = run(folder.path(), &["--listen", "0.0.0.0:0"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("--allow-open"));
}

#[test]
fn a_database_out_of_reach_is_one_clear_line() {
    let folder = folder();
    let url = format!("postgres://nobody@127.0.0.1:{}/market", free_port());
    let listen = format!("127.0.0.1:{}", free_port());
    let arguments = ["serve", "--database-url", &url, "--listen", &listen];
    let output = run(folder.path(), &arguments, &[]);
    assert_eq!(output.status.code(), Some(3), "{}", errors(&output));
    let told = errors(&output);
    assert!(told.starts_with("gdmarket: ") && told.contains("Connection refused"), "{told}");
    assert_eq!(told.lines().count(), 1, "what is wrong, and what to do: {told}");
    assert_eq!(
        run(folder.path(), &["migrate", "--database-url", &url], &[]).status.code(),
        Some(3)
    );
}

#[test]
fn a_demo_without_a_server_says_how_to_start_one() {
    let folder = folder();
    let url = format!("http://127.0.0.1:{}", free_port());
    let output = run(folder.path(), &["demo", "--url", &url], &[]);
    assert_eq!(output.status.code(), Some(3));
    assert!(errors(&output).contains("start a server"), "{}", errors(&output));
}

#[test]
fn a_demo_follows_an_outcome_that_is_known_later() {
    gdmarket_testkit::run(async {
        let options = ServerOptions::new(PROGRAM)
            .variable("GDMARKET__PAYMENT__ANSWER_WITHIN_MS", "1")
            .variable("GDMARKET__PAYMENT__DELAY_MS", "300");
        let (server, folder) = (options.start().await, folder());
        let demo = run(folder.path(), &["demo", "--url", &server.url("")], &[]);
        let told = String::from_utf8_lossy(&demo.stdout).into_owned();
        assert_eq!(demo.status.code(), Some(0), "{told}{}", errors(&demo));
        assert!(told.contains("202 Accepted, then known · paymentStatus \"Paid\""), "{told}");
    });
}

#[test]
fn what_has_another_form_is_refused_with_the_right_one() {
    let folder = folder();
    for (arguments, form) in [
        (&["demo", "--url", "127.0.0.1:8080"][..], "http://127.0.0.1:8080"),
        (&["demo", "--url", "localhost:8080"], "http://127.0.0.1:8080"),
        (&["demo", "--url", "https://localhost"], "http://127.0.0.1:8080"),
        (&["demo", "--url", "http://me:secret@localhost"], "leave them out"),
        (&["events", "list", "--actor", "nonsense"], "operator:NAME, owner:ID, renter:ID"),
        (&["events", "tail", "--actor", "owner:x"], "operator:NAME, owner:ID, renter:ID"),
        (&["events", "list", "--aggregate", "Item/1"], "item/NO, alarm/NO, reservation/NO"),
        (&["events", "list", "--aggregate", "item/0"], "item/NO, alarm/NO, reservation/NO"),
        (&["events", "list", "--aggregate", "items"], "item/NO, alarm/NO, reservation/NO"),
    ] {
        let output = run(folder.path(), arguments, &[]);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", errors(&output));
        assert!(errors(&output).contains(form), "{arguments:?}: {}", errors(&output));
    }
}

#[test]
fn migrate_makes_the_schema_and_is_safe_to_repeat() {
    let folder = folder();
    let first = run(folder.path(), &["migrate", "--json"], &[]);
    assert_eq!(first.status.code(), Some(0), "{}", errors(&first));
    let applied: Value = serde_json::from_slice(&first.stdout).expect("JSON");
    assert!(!applied["applied"].as_array().expect("a list").is_empty());
    let again = run(folder.path(), &["migrate", "--json"], &[]);
    let applied: Value = serde_json::from_slice(&again.stdout).expect("JSON");
    assert_eq!(applied["applied"], serde_json::json!([]));
}

#[test]
fn the_printed_document_is_the_committed_one() {
    let folder = folder();
    let output = run(folder.path(), &["openapi"], &[]);
    let committed = include_str!("../../../docs/openapi.json");
    assert_eq!(String::from_utf8_lossy(&output.stdout), committed);
}

#[test]
fn a_server_is_walked_through_joined_and_ended_in_order() {
    gdmarket_testkit::run(async {
        let mut server = ServerOptions::new(PROGRAM).start().await;
        let (folder, url) = (folder(), server.url(""));
        for arguments in [&["demo", "--url", &url][..], &["demo", "--url", &url, "--lang", "ko"]] {
            let demo = run(folder.path(), arguments, &[]);
            let told = String::from_utf8_lossy(&demo.stdout).into_owned();
            assert_eq!(demo.status.code(), Some(0), "{told}{}", errors(&demo));
            assert!(told.contains("✓ 20."), "{told}");
        }
        let data = server.data_dir().display().to_string();
        let second = run(
            folder.path(),
            &["serve", "--data-dir", &data, "--listen", &format!("127.0.0.1:{}", free_port())],
            &[],
        );
        assert_eq!(second.status.code(), Some(1), "{}", errors(&second));
        assert!(errors(&second).contains("in use"), "{}", errors(&second));
        let joined = run(folder.path(), &["migrate", "--data-dir", &data], &[]);
        assert_eq!(joined.status.code(), Some(0), "{}", errors(&joined));
        server.terminate().await;
        assert_eq!(server.wait(Duration::from_secs(20)).await.code(), Some(0));
    });
}

#[test]
fn a_demo_that_meets_another_state_ends_with_1() {
    gdmarket_testkit::run(async {
        let options = ServerOptions::new(PROGRAM).variable("GDMARKET__PAYMENT__DECLINE_RATE", "1");
        let (server, folder) = (options.start().await, folder());
        let demo = run(folder.path(), &["demo", "--url", &server.url("")], &[]);
        let told = String::from_utf8_lossy(&demo.stdout).into_owned();
        assert_eq!(demo.status.code(), Some(1), "{told}{}", errors(&demo));
        assert!(told.contains("✓  6.") && told.contains("402"), "{told}");
    });
}

#[test]
fn what_is_under_way_is_finished_before_the_end() {
    gdmarket_testkit::run(async {
        let options = ServerOptions::new(PROGRAM).variable("GDMARKET__ALARM__DELAY_MS", "400");
        let mut server = options.start().await;
        let items = server.url("/items");
        let registering = tokio::spawn(async move {
            let body = r#"{"itemName": "Camera", "itemPrice": 100}"#;
            let call =
                reqwest::Client::new().post(items).header("content-type", "application/json");
            call.body(body).send().await.map(|answer| answer.status().as_u16())
        });
        let figures = server.url("/metrics");
        gdmarket_testkit::eventually(Duration::from_secs(10), || async {
            // The connection is accepted, so the request is under way.
            let text = reqwest::get(&figures).await.map_err(|e| e.to_string())?;
            let text = text.text().await.map_err(|e| e.to_string())?;
            let is_there = text.contains("gdmarket_http_requests_in_flight 1");
            if is_there { Ok(()) } else { Err("not under way yet".to_owned()) }
        })
        .await;
        server.terminate().await;
        assert_eq!(registering.await.expect("a task").expect("an answer"), 201);
        assert_eq!(server.wait(Duration::from_secs(20)).await.code(), Some(0));
    });
}

#[test]
fn a_second_signal_ends_it_at_once() {
    gdmarket_testkit::run(async {
        let options =
            ServerOptions::new(PROGRAM).variable("GDMARKET__SERVER__DRAIN_DELAY_MS", "60000");
        let mut server = options.start().await;
        server.terminate().await;
        gdmarket_testkit::eventually(Duration::from_secs(10), || async {
            match gdmarket_testkit::get_status(server.port(), "/readyz").await {
                Ok(503) => Ok(()),
                seen => Err(format!("{seen:?}")),
            }
        })
        .await;
        server.terminate().await;
        assert_eq!(server.wait(Duration::from_secs(20)).await.code(), Some(130));
    });
}
