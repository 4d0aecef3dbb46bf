//! Usage errors are JSON with `--json`, as all other errors.

use crate::command_line::{errors, folder, run};
use serde_json::Value;

#[test]
fn usage_error_is_json_on_request() {
    let folder = folder();
    for (arguments, wrong, next) in [
        (&["events", "list", "--json", "--no-such-flag"][..], "--no-such-flag", "Usage: gdmarket"),
        (&["--json", "burn"][..], "burn", "Usage: gdmarket"),
        (&["state", "item", "--json"][..], "required", "Usage: gdmarket state"),
        (&["events", "--json"][..], "requires a subcommand", "Usage: gdmarket events"),
        (&["events", "list", "--json", "--limit", "many"][..], "many", "--help"),
    ] {
        let output = run(folder.path(), arguments, &[]);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        let message: Value = serde_json::from_str(&errors(&output))
            .unwrap_or_else(|_| panic!("{arguments:?}: not JSON: {}", errors(&output)));
        let faults = message["error"].as_array().expect("faults");
        assert!(faults.iter().any(|f| f.as_str().is_some_and(|f| f.contains(wrong))), "{message}");
        assert!(message["next"].as_str().is_some_and(|text| text.contains(next)), "{message}");
    }
    // Without `--json` it is text, and help is no error.
    let words = run(folder.path(), &["events", "list", "--no-such-flag"], &[]);
    assert_eq!(words.status.code(), Some(2));
    assert!(errors(&words).starts_with("error: "), "{}", errors(&words));
    let help = run(folder.path(), &["events", "list", "--json", "--help"], &[]);
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&help.stdout).contains("Examples:"));
}
