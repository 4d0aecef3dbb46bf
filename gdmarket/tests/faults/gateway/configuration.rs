//! `deploy/gateway/render` refuses values that would end up in the configuration as something else.

use std::path::PathBuf;
use std::process::{Command, Output};

fn render(arguments: &[&str]) -> Output {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/gateway/render");
    Command::new(script).args(arguments).output().unwrap()
}

#[test]
fn faulty_options_are_refused_and_named() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("gateway");
    let folder = folder.display().to_string();
    for (option, value) in [
        ("--item", "127.0.0.1:8081; include /etc/passwd"),
        ("--item", ""),
        ("--reservation", "127.0.0.1"),
        ("--payment", "127.0.0.1:8083,127.0.0.1:8084 down"),
        ("--alarm", "a$host:80"),
        ("--listen", "8088"),
        ("--listen", "127.0.0.1:8088\nreuseport"),
        ("--cors-origin", "*"),
        ("--cors-origin", "https://app.example/\" 1; default \""),
        ("--cors-origin", "~."),
        ("--answer-seconds", "0"),
        ("--head-seconds", "ten"),
        ("--unknown", "x"),
    ] {
        let refused = render(&["--folder", &folder, option, value]);
        let message = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{option} {value}: {message}");
        assert!(message.contains(option), "{message}");
    }
    assert!(!parent.path().join("gateway").exists(), "nothing is written");
    assert_eq!(render(&[]).status.code(), Some(2));
}

#[test]
fn listening_beyond_loopback_is_said_explicitly() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().display().to_string();
    let open = ["--folder", &folder, "--listen", "0.0.0.0:8088"];
    let refused = render(&open);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--allow-open"));
    assert!(render(&[&open[..], &["--allow-open"]].concat()).status.success());
    for loopback in ["127.0.0.1:8088", "localhost:8088", "[::1]:8088"] {
        assert!(render(&["--folder", &folder, "--listen", loopback]).status.success());
    }
}
