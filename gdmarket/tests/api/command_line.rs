//! The program as a process: exit codes, messages of one line, a second server, graceful shutdown.

use gdmarket_testkit::{ServerOptions, free_port};
use serde_json::Value;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_gdmarket");

/// Runs the program in an empty folder, with these variables only.
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
fn help_shows_examples_and_a_usage_error_exits_with_2() {
    let folder = folder();
    let help = run(folder.path(), &["--help"], &[]);
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&help.stdout).contains("Examples:"));
    assert_eq!(run(folder.path(), &["--colour"], &[]).status.code(), Some(2));
}

#[test]
fn global_flags_and_no_color_apply_to_every_command() {
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
fn older_program_refuses_a_newer_schema() {
    gdmarket_testkit::run(async {
        let db = gdmarket_testkit::TestDb::sqlite();
        let data = db.folder().expect("a folder").display().to_string();
        let migrated = run(&std::env::temp_dir(), &["migrate", "--data-dir", &data], &[]);
        assert_eq!(migrated.status.code(), Some(0), "{}", errors(&migrated));
        db.log_sql(
            "INSERT INTO schema_migrations (version, name, serves_from, applied_at) \
             VALUES (9999, 'of a newer version', 9999, 0)",
        )
        .await;
        for command in ["serve", "check"] {
            let refused = run(&std::env::temp_dir(), &[command, "--data-dir", &data], &[]);
            assert_eq!(refused.status.code(), Some(1), "{command}: {}", errors(&refused));
            let message = errors(&refused);
            assert!(message.contains("9999") && message.contains("newer"), "{command}: {message}");
        }
    });
}

#[test]
fn ctrl_c_stops_a_server_gracefully() {
    gdmarket_testkit::run(async {
        let mut server = ServerOptions::new(PROGRAM).start().await;
        server.signal("INT").await;
        assert_eq!(server.wait(Duration::from_secs(20)).await.code(), Some(0));
    });
}

#[test]
fn all_configuration_faults_are_reported_at_once() {
    let folder = folder();
    std::fs::write(folder.path().join("gdmarket.toml"), "[server]\ncolour = 1\n").expect("a file");
    let variables = [("GDMARKET__MARKET__TIME_ZONE", "Mars"), ("GDMARKET__NOTHING__AT", "1")];
    let output = run(folder.path(), &["serve", "--listen", "nowhere"], &variables);
    assert_eq!(output.status.code(), Some(2));
    let message = errors(&output);
    for part in
        ["server.colour", "market.time_zone", "nothing.at", "--listen", "variable GDMARKET__"]
    {
        assert!(message.contains(part), "{part} is missing in {message}");
    }
    assert!(!folder.path().join("gdmarket-data").exists(), "nothing was started");
}

#[test]
fn config_show_prints_values_and_sources_without_the_password() {
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
    assert_eq!(shown.get("payment.ledger"), None, "no longer a setting");
    assert_eq!(shown["payment.fail_rate"]["source"], "variable GDMARKET__PAYMENT__FAIL_RATE");
    assert_eq!(shown["server.listen"]["source"], "default");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("s3cret"));
}

#[test]
fn flags_override_variables_and_variables_override_the_file() {
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
        let shown_source = folder["source"].as_str().expect("a source");
        assert!(shown_source.starts_with(source), "{shown_source}");
    }
}

#[test]
fn port_in_use_is_reported_on_one_line() {
    let folder = folder();
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let output = run(folder.path(), &["--listen", &address], &[]);
    assert_eq!(output.status.code(), Some(3));
    let message = errors(&output);
    assert!(message.contains(&format!("{address} is taken")), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
}

#[test]
fn address_beyond_loopback_needs_a_flag() {
    let folder = folder();
    let output = run(folder.path(), &["--listen", "0.0.0.0:0"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("--allow-open"));
}

#[test]
fn unreachable_database_is_reported_on_one_line() {
    let folder = folder();
    let url = format!("postgres://nobody@127.0.0.1:{}/market", free_port());
    let listen = format!("127.0.0.1:{}", free_port());
    let arguments = ["serve", "--database-url", &url, "--listen", &listen];
    let output = run(folder.path(), &arguments, &[]);
    assert_eq!(output.status.code(), Some(3), "{}", errors(&output));
    let message = errors(&output);
    assert!(
        message.starts_with("gdmarket: ") && message.contains("Connection refused"),
        "{message}"
    );
    assert_eq!(message.lines().count(), 1, "one line, with what to do: {message}");
    assert_eq!(
        run(folder.path(), &["migrate", "--database-url", &url], &[]).status.code(),
        Some(3)
    );
}

#[test]
fn demo_without_a_server_says_how_to_start_one() {
    let folder = folder();
    let url = format!("http://127.0.0.1:{}", free_port());
    let output = run(folder.path(), &["demo", "--url", &url], &[]);
    assert_eq!(output.status.code(), Some(3));
    assert!(errors(&output).contains("start a server"), "{}", errors(&output));
}

#[test]
fn demo_follows_an_outcome_that_is_known_later() {
    gdmarket_testkit::run(async {
        let options = ServerOptions::new(PROGRAM)
            .variable("GDMARKET__PAYMENT__ANSWER_WITHIN_MS", "1")
            .variable("GDMARKET__PAYMENT__DELAY_MS", "300");
        let (server, folder) = (options.start().await, folder());
        let demo = run(folder.path(), &["demo", "--url", &server.url("")], &[]);
        let printed = String::from_utf8_lossy(&demo.stdout).into_owned();
        assert_eq!(demo.status.code(), Some(0), "{printed}{}", errors(&demo));
        assert!(printed.contains("202 Accepted, then known · paymentStatus \"Paid\""), "{printed}");
    });
}

#[test]
fn malformed_argument_is_refused_with_the_right_form() {
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
fn migrate_creates_the_schema_and_can_be_repeated() {
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
fn printed_openapi_document_equals_the_committed_one() {
    let folder = folder();
    let output = run(folder.path(), &["openapi"], &[]);
    let committed = include_str!("../../../docs/openapi.json");
    assert_eq!(String::from_utf8_lossy(&output.stdout), committed);
}

#[test]
fn server_runs_the_demo_refuses_a_second_server_and_stops_gracefully() {
    gdmarket_testkit::run(async {
        let mut server = ServerOptions::new(PROGRAM).start().await;
        let (folder, url) = (folder(), server.url(""));
        for arguments in [&["demo", "--url", &url][..], &["demo", "--url", &url, "--lang", "ko"]] {
            let demo = run(folder.path(), arguments, &[]);
            let printed = String::from_utf8_lossy(&demo.stdout).into_owned();
            assert_eq!(demo.status.code(), Some(0), "{printed}{}", errors(&demo));
            assert!(printed.contains("✓ 20."), "{printed}");
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
fn demo_that_meets_another_state_exits_with_1() {
    gdmarket_testkit::run(async {
        let options = ServerOptions::new(PROGRAM).variable("GDMARKET__PAYMENT__DECLINE_RATE", "1");
        let (server, folder) = (options.start().await, folder());
        let demo = run(folder.path(), &["demo", "--url", &server.url("")], &[]);
        let printed = String::from_utf8_lossy(&demo.stdout).into_owned();
        assert_eq!(demo.status.code(), Some(1), "{printed}{}", errors(&demo));
        assert!(printed.contains("✓  6.") && printed.contains("402"), "{printed}");
    });
}

#[test]
fn request_in_flight_is_finished_before_the_server_stops() {
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
        let metrics = server.url("/metrics");
        gdmarket_testkit::eventually(Duration::from_secs(10), || async {
            // The connection is accepted, so the request is in flight.
            let text = reqwest::get(&metrics).await.map_err(|e| e.to_string())?;
            let text = text.text().await.map_err(|e| e.to_string())?;
            let is_in_flight = text.contains("gdmarket_http_requests_in_flight 1");
            if is_in_flight { Ok(()) } else { Err("not in flight yet".to_owned()) }
        })
        .await;
        server.terminate().await;
        assert_eq!(registering.await.expect("a task").expect("an answer"), 201);
        assert_eq!(server.wait(Duration::from_secs(20)).await.code(), Some(0));
    });
}

#[test]
fn second_signal_stops_the_server_at_once() {
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
