//! Completions and manual pages, generated from the definition of the command line.

use crate::command_line::{errors, folder, run};
use std::process::Command;

#[test]
fn completions_exist_for_every_shell_and_bash_reads_them() {
    let folder = folder();
    for shell in ["bash", "zsh", "fish"] {
        let output = run(folder.path(), &["completions", shell], &[]);
        assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
        let script = String::from_utf8(output.stdout).expect("text");
        for word in ["events", "trace", "--follow", "--data-dir"] {
            assert!(script.contains(word.trim_start_matches('-')), "{word} is missing for {shell}");
        }
        // Other shells may not be installed.
        if shell == "bash" {
            let read = Command::new("bash").args(["-n", "-c", &script]).output().expect("bash");
            assert!(read.status.success(), "{}", errors(&read));
        }
    }
    assert_eq!(run(folder.path(), &["completions", "cmd"], &[]).status.code(), Some(2));
}

#[test]
fn manual_has_a_page_for_every_subcommand() {
    let folder = folder();
    let page = run(folder.path(), &["man", "events", "list"], &[]);
    let text = String::from_utf8(page.stdout).expect("text");
    assert!(text.contains(".TH gdmarket-events-list 1"), "{text}");
    assert!(text.contains("correlation"), "{text}");
    let example = ".SH EXAMPLES\n.nf\n  gdmarket events list  ";
    assert!(text.contains(example), "{text}");
    let wrong = run(folder.path(), &["man", "events", "burn"], &[]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(errors(&wrong).contains("name one of: list, show"), "{}", errors(&wrong));
    let pages = folder.path().join("man1");
    let written = run(folder.path(), &["man", "--folder", &pages.display().to_string()], &[]);
    assert_eq!(written.status.code(), Some(0), "{}", errors(&written));
    for page in ["gdmarket.1", "gdmarket-events-tail.1", "gdmarket-config-show.1", "gdmarket-man.1"]
    {
        assert!(pages.join(page).exists(), "{page} is missing");
    }
}

#[test]
fn manual_and_completions_are_json_on_request() {
    let folder = folder();
    for (line, name, begins) in [
        (&["man", "events", "list", "--json"][..], "manual", ".ie"),
        (&["--json", "completions", "bash"], "script", "_gdmarket()"),
    ] {
        let output = run(folder.path(), line, &[]);
        assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let text = answer[name].as_str().expect("a text");
        assert!(text.starts_with(begins), "{line:?}: {text}");
    }
}
