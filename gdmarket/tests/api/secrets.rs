//! The database's password: no command, error or log line prints it in any form.

use crate::command_line::{PROGRAM, errors, folder, run};
use gdmarket_testkit::{ServerOptions, TestDb, free_port};
use std::fs;
use std::path::Path;
use std::process::Output;

/// Part of every password here.
const CANARY: &str = "CANARY77";

/// URLs that contain it; no server listens at the port.
fn urls() -> Vec<String> {
    let port = free_port();
    let at = |password: &str| format!("postgres://me:{password}@127.0.0.1:{port}/market");
    let mut urls: Vec<String> = [
        "CANARY77",
        "CANARY77?x",
        "12?CANARY77",
        "12/CANARY77",
        "CANARY77#x",
        "1#CANARY77",
        "CANARY77%3Fx",
        "CANARY%37%37",
        "CANARY77@x",
        "CANARY77:x",
        "CANARY77 x",
        "12[CANARY77",
    ]
    .into_iter()
    .map(at)
    .collect();
    urls.push(format!("postgresql://127.0.0.1:{port}/market?user=me&password={CANARY}"));
    urls.push(format!("postgres:///market?host=127.0.0.1&port={port}&password={CANARY}"));
    urls.push(format!("postgres://me:{CANARY}@127.0.0.1:port/market"));
    urls.push(format!("mysql://me:{CANARY}@127.0.0.1/market"));
    urls.push(CANARY.to_owned());
    urls
}

/// The configuration accepts all parameters that the client library accepts.
#[test]
fn valid_parameters_of_the_url_reach_the_database() {
    gdmarket_testkit::run(async {
        let db = TestDb::postgres().await;
        let folder = folder();
        let joined = if db.url().contains('?') { '&' } else { '?' };
        let url = format!(
            "{}{joined}sslmode=DISABLE&options=-c%20work_mem=8MB&options=-c%20jit=off&application_name=me@here",
            db.url()
        );
        let output = run(folder.path(), &["migrate"], &[("GDMARKET__DATABASE__URL", &url)]);
        assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    });
}

fn assert_no_password(what: &str, output: &Output) {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), errors(output));
    for form in [CANARY, "CANARY%37%37"] {
        assert!(!text.contains(form), "{what}: {text}");
    }
}

#[test]
fn no_form_of_the_password_is_printed() {
    let folder = folder();
    let (secret, toml) = (folder.path().join("url"), folder.path().join("c.toml"));
    let (secret_path, toml_path) = (secret.display().to_string(), toml.display().to_string());
    for url in urls() {
        fs::write(&secret, &url).expect("a file");
        fs::write(&toml, format!("[database]\nurl = {url:?}\n")).expect("a file");
        let by_file = [("GDMARKET__DATABASE__URL_FILE", secret_path.as_str())];
        for (arguments, variables) in [
            (&["config", "show"][..], &[("GDMARKET__DATABASE__URL", url.as_str())][..]),
            (&["config", "show", "--json"], &by_file),
            (&["config", "show", "--config", &toml_path], &[]),
            (&["config", "show", "--database-url", &url], &[]),
        ] {
            assert_no_password(&url, &run(folder.path(), arguments, variables));
        }
    }
}

#[test]
fn unreachable_database_is_named_without_the_password() {
    let folder = folder();
    let url = format!("postgres://me:{CANARY}@127.0.0.1:{}/market?sslmode=disable", free_port());
    let listen = format!("127.0.0.1:{}", free_port());
    let variables = [
        ("GDMARKET__DATABASE__URL", url.as_str()),
        ("GDMARKET__TELEMETRY__LOG", "trace"),
        ("GDMARKET__SERVER__LISTEN", listen.as_str()),
    ];
    for arguments in [&["serve"][..], &["check", "--json"]] {
        let output = run(folder.path(), arguments, &variables);
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {}", errors(&output));
        assert_no_password("unreachable", &output);
    }
}

#[test]
fn url_in_a_wrong_place_is_masked() {
    let folder = folder();
    let url = format!("postgres://me:{CANARY}?x@127.0.0.1/market");
    for (arguments, variables) in [
        (&[url.as_str()][..], &[][..]),
        (&["trace", &url], &[]),
        (&["--json", "state", &url, "1"], &[]),
        (&["config", "show", "--data-dir", &url], &[]),
        (&["serve", "--listen", &url], &[]),
        (&["check"], &[("GDMARKET__DATABASE__URL_FILE", url.as_str())]),
        (&["check"], &[("GDMARKET__TELEMETRY__LOG", url.as_str())]),
        (&["check", "--config", &url], &[]),
    ] {
        let output = run(folder.path(), arguments, variables);
        let is_refused = output.status.code() != Some(0);
        assert_eq!(is_refused, arguments[0] != "config", "{arguments:?}: {}", errors(&output));
        assert_no_password(&format!("{arguments:?}"), &output);
    }
}

fn fault_in(folder: &Path, toml: &[u8]) -> String {
    fs::write(folder.join("gdmarket.toml"), toml).expect("a file");
    let output = run(folder, &["config", "show"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert_no_password("a file", &output);
    errors(&output)
}

#[test]
fn fault_in_the_file_is_named_by_line_and_column_only() {
    let folder = folder();
    for (toml, place) in [
        ("[database]\nurl = \"postgres://me:CANARY77@db/m\n", "line 2, column"),
        ("[database]\nurl = postgres://me:CANARY77@db/m\n", "line 2, column 7"),
        ("[database]\nCANARY77\n", "line 2, column"),
        ("[database]\nurl = CANARY77\n", "line 2, column 7"),
        ("[database]\nurl = \"CANARY77\"\nurl = \"CANARY77\"\n", "line 3, column 1"),
        ("[database]\n\n\nurl = [\"CANARY77\"\n", "line "),
    ] {
        let fault = fault_in(folder.path(), toml.as_bytes());
        assert!(fault.contains(place) && fault.contains("gdmarket.toml"), "{toml}: {fault}");
    }
    let fault = fault_in(folder.path(), b"[database]\nurl = \"CANARY77\xff\"\n");
    assert!(fault.contains("line 2, column 16: is not UTF-8"), "{fault}");
    fault_in(folder.path(), b"[database]\nurl = [\"CANARY77\"]\n");
    fault_in(folder.path(), b"database = \"CANARY77\"\n");
}

#[test]
fn password_in_a_flag_causes_a_warning() {
    let folder = folder();
    let url = format!("postgres://me:{CANARY}@db/market");
    let flag = run(folder.path(), &["config", "show", "--database-url", &url], &[]);
    assert!(errors(&flag).contains("GDMARKET__DATABASE__URL_FILE"), "{}", errors(&flag));
    let variable = [("GDMARKET__DATABASE__URL", url.as_str())];
    let variable = run(folder.path(), &["config", "show"], &variable);
    assert_eq!(errors(&variable), "");
    let none = ["config", "show", "--database-url", "postgres://me@db/market"];
    assert_eq!(errors(&run(folder.path(), &none, &[])), "");
}

#[cfg(target_os = "linux")]
#[test]
fn server_writes_core_dumps_only_when_enabled() {
    gdmarket_testkit::run(async {
        for (is_enabled, limit) in [(false, "0"), (true, "")] {
            let options = ServerOptions::new(PROGRAM);
            let options =
                options.variable("GDMARKET__TELEMETRY__CORE_DUMPS", &is_enabled.to_string());
            let server = options.start().await;
            let pid = server.pid().expect("a running server");
            let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("its limits");
            let line = limits.lines().find(|line| line.starts_with("Max core file size"));
            let words: Vec<_> = line.expect("the limit").split_whitespace().collect();
            let (soft, hard) = (words[4], words[5]);
            assert_eq!(soft, if is_enabled { hard } else { limit }, "{limits}");
        }
    });
}
