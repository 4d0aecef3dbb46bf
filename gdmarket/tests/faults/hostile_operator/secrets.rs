//! A password in the configuration, and the outputs that could contain it.

use super::scenario::Scenario;
use gdmarket_testkit::{ServerOptions, TestDb};
use std::fs;
use std::process::Command;

/// Contains a `?`, which a careless parser takes for the end of a URL's address.
const PASSWORD: &str = "hunter?two";
/// Its parts must not be printed either.
const PARTS: [&str; 2] = ["hunter", "two@"];

/// Puts the password into the URL of a PostgreSQL database. The database of the tests accepts every password.
pub(super) fn with_password(server: ServerOptions, db: &TestDb) -> ServerOptions {
    match db.url().split_once('@') {
        Some((user, place)) if db.folder().is_none() && user.matches(':').count() == 1 => {
            server.database_url(&format!("{user}:hunter%3Ftwo@{place}"))
        }
        _ => server.on(db),
    }
}

pub(super) fn assert_absent(text: &str) {
    for part in PARTS {
        let line = text.lines().find(|line| line.contains(part));
        assert_eq!(line, None, "a secret is printed");
    }
}

/// An operator looks for the reason why the database can't be reached: settings in a file, in the environment and as
/// a flag, some with a mistake.
pub(super) fn in_settings(scenario: &Scenario) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("postgres://market:{PASSWORD}@127.0.0.1:1/market");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let valid = file("valid.toml", &format!("[database]\nurl = \"{url}\"\n"));
    let unclosed = file("unclosed.toml", &format!("[database]\nurl = \"{url}\n"));
    let twice = file("twice.toml", &format!("[database]\nurl = \"{url}\"\nurl = \"{url}\"\n"));
    let unknown = file("unknown.toml", &format!("[database]\nurll = \"{url}\"\n"));
    let mut printed = String::new();
    for tool in [&["config", "show"][..], &["config", "show", "--json"], &["check"], &["serve"]] {
        for config in [&valid, &unclosed, &twice, &unknown] {
            printed += &output(Command::new(PROGRAM).args(tool).args(["--config", config]));
        }
        printed += &output(Command::new(PROGRAM).args(tool).env(VARIABLE, &url));
        printed += &output(Command::new(PROGRAM).args(tool).args(["--database-url", &url]));
    }
    assert!(printed.contains("unclosed.toml") && printed.contains("database.url"), "{printed}");
    assert_absent(&printed);
    // A password on a command line is visible to all users of the machine.
    assert!(printed.contains("GDMARKET__DATABASE__URL"), "{printed}");
    scenario.keep_printed(&printed);
    scenario.mark_reported();
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_gdmarket");
const VARIABLE: &str = "GDMARKET__DATABASE__URL";

fn output(command: &mut Command) -> String {
    let output = command.current_dir("/").output().expect("the program runs");
    assert_ne!(output.status.code(), None, "it ends by itself");
    [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
}
