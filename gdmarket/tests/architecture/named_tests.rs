//! The tests that documents name: a renamed test is renamed there too.

use std::fs;

use crate::crates::CRATES;
use crate::{Source, check, files, root};

/// The section of a decision record that names its tests.
const TRIPWIRE: &str = "## We would notice that it was wrong";

/// A name with at least this many words is the name of a test.
const WORDS_OF_A_TEST: usize = 4;

/// The names of tests and the paths of sources that a text has between backticks.
fn named(text: &str) -> impl Iterator<Item = &str> {
    let is_test = |name: &str| {
        let is_name =
            name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        is_name && name.split('_').count() >= WORDS_OF_A_TEST && !name.starts_with("gdmarket_")
    };
    let code = text.split('`').skip(1).step_by(2);
    let is_path = |code: &str| code.contains('/') && code.contains(".rs") && !code.contains('<');
    code.filter(move |code| is_test(code) || is_path(code))
}

fn missing(page: &Source, sources: &[Source]) -> Vec<String> {
    let exists = |name: &str| {
        let function = format!("fn {name}(");
        sources.iter().any(|source| source.path == name || source.text.contains(&function))
    };
    let missing = named(&page.text).filter(|name| !exists(name));
    missing.map(|name| format!("{}: {name}", page.path)).collect()
}

#[test]
fn every_test_named_in_decision_records_and_contributing_exists() {
    let sources: Vec<_> = CRATES.iter().flat_map(|(name, _)| files(name, ".rs")).collect();
    let mut pages = files("docs/adr", ".md");
    for page in &mut pages {
        page.text = page.text.split_once(TRIPWIRE).map_or("", |(_, text)| text).to_owned();
    }
    let path = "CONTRIBUTING.md";
    let text = fs::read_to_string(root().join(path)).expect(path);
    pages.push(Source { path: path.to_owned(), text });
    let faults: Vec<_> = pages.iter().flat_map(|page| missing(page, &sources)).collect();
    check("no test or source has this name:", &faults);
    let text = "`a_b_c_d` `a_b` `gdmarket_a_b_c` `a/b.rs`".to_owned();
    let page = Source { path: "x.md".to_owned(), text };
    assert_eq!(missing(&page, &sources), ["x.md: a_b_c_d", "x.md: a/b.rs"]);
}
