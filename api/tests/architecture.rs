//! The borders inside GDmarket, held by tests: which crate may use which, what a file may import,
//! how long it may grow, and that every problem code has its page.
//!
//! The rules are those of docs/architecture.md. Each check is a function from what is there to a
//! list of faults, and each has a test beside it that shows the check finding a deliberate fault.
#![expect(clippy::expect_used, reason = "the helpers of these tests may fail them")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// Our crates and which of ours each may use; `testkit` only in tests, `bench` by nobody.
const CRATES: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("store", &[]),
    ("commands", &["domain", "store"]),
    ("projections", &["domain", "store"]),
    ("api", &["domain", "store", "commands", "projections"]),
    ("testkit", &["domain", "store"]),
    ("bench", &[]),
];

/// All that the domain may be built from: no I/O, no clock of its own, no randomness.
const DOMAIN_MAY_USE: &[&str] = &["chrono", "cqrs-es", "serde", "serde_json", "thiserror"];

/// Libraries with a home: only the named crates may ship them.
const AT_HOME: &[(&str, &[&str])] = &[
    ("sqlx", &["store", "projections", "testkit", "bench"]),
    ("cqrs-es", &["domain", "store", "commands", "bench"]),
    ("postgres-es", &["store", "bench"]),
    ("sqlite-es", &["bench"]),
    ("axum", &["api"]),
    ("utoipa", &["api"]),
    ("clap", &["api", "bench"]),
    ("figment", &["api"]),
    ("tower-resilience", &["commands"]),
];

/// Words of the market that the store doesn't know, as parts of its identifiers and texts.
const MARKET_WORDS: &[&str] = &[
    "reservation",
    "reservations",
    "payment",
    "payments",
    "alarm",
    "alarms",
    "rental",
    "rentals",
    "rentable",
    "renter",
    "renters",
    "renting",
    "lend",
    "lent",
    "customer",
    "customers",
    "price",
    "itemno",
    "iteminfo",
    "itemname",
    "calendar",
    "refund",
];

/// Parts of cqrs-es that lose or double events; docs/architecture.md says why.
const NEVER_CALLED: &[&str] = &[
    "CqrsFramework",
    "replay_all",
    "new_aggregate_store",
    "new_snapshot_store",
    "PersistedEventStore",
];

/// Lines beyond which a file hides two things.
const LONGEST_FILE: usize = 600;

// ---- what is there ---------------------------------------------------------------------------

struct Source {
    /// From the root of the repository, with slashes.
    path: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn metadata() -> Metadata {
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml")).no_deps();
    command.other_options(["--offline".to_owned()]).exec().expect("cargo metadata")
}

/// All files below a folder of the repository that end so.
fn files(folder: &str, ending: &str) -> Vec<Source> {
    fn collect(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                collect(&path, ending, found);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    let root = root();
    let mut found = Vec::new();
    collect(&root.join(folder), ending, &mut found);
    found.sort();
    found
        .into_iter()
        .map(|path| Source {
            text: fs::read_to_string(&path).unwrap_or_default(),
            path: path.strip_prefix(&root).unwrap_or(&path).to_string_lossy().replace('\\', "/"),
        })
        .collect()
}

fn rust_files() -> Vec<Source> {
    let all: Vec<_> = CRATES.iter().flat_map(|(name, _)| files(name, ".rs")).collect();
    assert!(all.len() > CRATES.len(), "the source files are not where this test looks");
    all
}

fn shipped(source: &Source) -> bool {
    source.path.contains("/src/") && !source.path.starts_with("bench/")
}

fn check(rule: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{rule}\n  {}\n", faults.join("\n  "));
}

// ---- crates ----------------------------------------------------------------------------------

/// One crate uses another: user, used, only in its tests.
type Edge = (String, String, bool);

fn edges(packages: &[Package]) -> Vec<Edge> {
    let short = |name: &str| name.strip_prefix("gdmarket-").unwrap_or(name).to_owned();
    let edge = |package: &Package, used: &cargo_metadata::Dependency| {
        (short(&package.name), short(&used.name), used.kind == DependencyKind::Development)
    };
    packages.iter().flat_map(|p| p.dependencies.iter().map(move |used| edge(p, used))).collect()
}

fn forbidden_crates(edges: &[Edge]) -> Vec<String> {
    let allowed = |user: &str, used: &str, in_tests: bool| {
        let ours = CRATES.iter().find(|(name, _)| *name == user);
        match ours {
            None => false,
            Some(_) if user == "bench" => in_tests && used != "bench",
            Some((_, may_use)) => may_use.contains(&used) || (in_tests && used == "testkit"),
        }
    };
    edges
        .iter()
        .filter(|(_, used, _)| CRATES.iter().any(|(name, _)| name == used))
        .filter(|(user, used, in_tests)| !allowed(user, used, *in_tests))
        .map(|(user, used, in_tests)| {
            let part = if *in_tests { "[dev-dependencies]" } else { "[dependencies]" };
            format!("{user}/Cargo.toml {part}: gdmarket-{used}")
        })
        .collect()
}

fn libraries_away_from_home(edges: &[Edge]) -> Vec<String> {
    edges
        .iter()
        .filter(|(user, used, in_tests)| {
            let elsewhere =
                AT_HOME.iter().any(|(library, homes)| library == used && !homes.contains(&&**user));
            let impure = user == "domain" && !DOMAIN_MAY_USE.contains(&&**used);
            !in_tests && (elsewhere || impure)
        })
        .map(|(user, used, _)| format!("{user}/Cargo.toml: {used}"))
        .collect()
}

#[test]
fn crates_use_only_the_crates_they_may() {
    let found = edges(&metadata().packages);
    assert!(found.iter().any(|(user, used, _)| user == "commands" && used == "store"));
    check("see the crate table of docs/architecture.md; not allowed:", &forbidden_crates(&found));
    check(
        "see AT_HOME and DOMAIN_MAY_USE in this file; not allowed:",
        &libraries_away_from_home(&found),
    );
}

#[test]
fn a_forbidden_crate_is_found() {
    let edge = |user: &str, used: &str, in_tests| (user.to_owned(), used.to_owned(), in_tests);
    for (user, used) in [
        ("commands", "projections"),
        ("projections", "commands"),
        ("domain", "store"),
        ("api", "testkit"),
        ("store", "domain"),
    ] {
        assert_eq!(forbidden_crates(&[edge(user, used, false)]).len(), 1, "{user} → {used}");
    }
    assert!(forbidden_crates(&[edge("store", "testkit", true)]).is_empty());
    for (user, used) in
        [("api", "sqlx"), ("api", "cqrs-es"), ("commands", "axum"), ("domain", "tokio")]
    {
        assert_eq!(
            libraries_away_from_home(&[edge(user, used, false)]).len(),
            1,
            "{user} → {used}"
        );
    }
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let without: Vec<_> = CRATES
        .iter()
        .map(|(name, _)| format!("{name}/Cargo.toml"))
        .filter(|path| {
            let manifest = fs::read_to_string(root().join(path)).unwrap_or_default();
            !manifest.contains("[lints]\nworkspace = true")
        })
        .collect();
    check("add `[lints] workspace = true` to:", &without);
    assert_eq!(
        metadata().packages.len(),
        CRATES.len(),
        "a new crate belongs into CRATES of this file"
    );
}

// ---- files -----------------------------------------------------------------------------------

/// Lines of some files that mention what they may not know.
fn mentions(sources: &[Source], within: impl Fn(&str) -> bool, word: &str) -> Vec<String> {
    let lines = |source: &Source| -> Vec<String> {
        let numbered = source.text.lines().enumerate();
        let hits = numbered
            .filter(|(_, line)| line.contains(word) && !line.trim_start().starts_with("//"));
        hits.map(|(number, line)| format!("{}:{}: {}", source.path, number + 1, line.trim()))
            .collect()
    };
    sources.iter().filter(|source| within(&source.path)).flat_map(lines).collect()
}

fn outside_of_the_wiring(path: &str) -> bool {
    let inside = ["api/src/wiring", "api/src/cli", "api/src/main.rs"];
    path.starts_with("api/src/") && !inside.iter().any(|place| path.starts_with(place))
}

fn command_side(path: &str) -> bool {
    path.starts_with("api/src/command_router")
}

fn query_side(path: &str) -> bool {
    path.starts_with("api/src/query_router")
}

#[test]
fn only_the_wiring_and_the_command_line_see_the_store() {
    let faults = mentions(&rust_files(), outside_of_the_wiring, "gdmarket_store");
    check("in api only wiring.rs, cli/ and main.rs may name the store:", &faults);
}

#[test]
fn the_two_routers_know_one_side_each() {
    let sources = rust_files();
    let faults = mentions(&sources, command_side, "gdmarket_projections");
    check("a command handler gets no queries:", &faults);
    let faults = mentions(&sources, query_side, "gdmarket_commands");
    check("a query handler has nothing to write with:", &faults);
}

#[test]
fn a_forbidden_import_is_found() {
    let source = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
    let import = "use std::fmt;\nuse gdmarket_store::Store;\n";
    let faults =
        mentions(&[source("api/src/health.rs", import)], outside_of_the_wiring, "gdmarket_store");
    assert_eq!(faults, ["api/src/health.rs:2: use gdmarket_store::Store;"]);
    let wiring = [source("api/src/wiring.rs", import), source("api/src/cli/migrate.rs", import)];
    assert!(mentions(&wiring, outside_of_the_wiring, "gdmarket_store").is_empty());
}

#[test]
fn nothing_calls_the_parts_of_cqrs_es_that_lose_events() {
    let shipped: Vec<_> = rust_files().into_iter().filter(shipped).collect();
    let faults: Vec<_> =
        NEVER_CALLED.iter().flat_map(|word| mentions(&shipped, |_| true, word)).collect();
    check("docs/architecture.md says why these are never used:", &faults);
}

fn too_long(sources: &[Source]) -> Vec<String> {
    let lines = |source: &Source| source.text.lines().count();
    let long = sources.iter().filter(|source| lines(source) > LONGEST_FILE);
    long.map(|source| format!("{}: {} lines", source.path, lines(source))).collect()
}

#[test]
fn no_file_is_longer_than_600_lines() {
    check("split along what changes together:", &too_long(&rust_files()));
    let long = Source { path: "x.rs".to_owned(), text: "\n".repeat(LONGEST_FILE + 1) };
    assert_eq!(too_long(&[long]), ["x.rs: 601 lines"]);
}

/// Splits camelCase and `snake_case` into lower-case words; two neighbours count together too.
fn words(line: &str) -> BTreeSet<String> {
    let mut parts = vec![String::new()];
    for letter in line.chars() {
        if !letter.is_alphabetic() || letter.is_uppercase() {
            parts.push(String::new());
        }
        if letter.is_alphabetic() {
            parts.last_mut().into_iter().for_each(|part| part.extend(letter.to_lowercase()));
        }
    }
    let pairs = parts.windows(2).map(<[String]>::concat);
    pairs.chain(parts.iter().cloned()).collect()
}

fn market_words(sources: &[Source]) -> Vec<String> {
    let lines = |source: &Source| -> Vec<String> {
        let numbered = source.text.lines().enumerate();
        let hits = numbered.filter(|(_, line)| {
            words(line).iter().any(|word| MARKET_WORDS.contains(&word.as_str()))
        });
        hits.map(|(number, line)| format!("{}:{}: {}", source.path, number + 1, line.trim()))
            .collect()
    };
    sources.iter().flat_map(lines).collect()
}

#[test]
fn the_store_knows_no_word_of_the_market() {
    let mut sources = files("store/src", ".rs");
    assert!(!sources.is_empty(), "the store is not where this test looks");
    sources.extend(files("store/migrations", ".sql"));
    check(
        "what is particular to the market belongs into commands or projections:",
        &market_words(&sources),
    );
}

#[test]
fn a_word_of_the_market_is_found() {
    let source =
        |text: &str| vec![Source { path: "store/src/x.rs".to_owned(), text: text.to_owned() }];
    for text in
        ["struct ItemNo;", "let item_no = 1;", "// the Reservation's stream", "fn payment_of()"]
    {
        assert_eq!(market_words(&source(text)).len(), 1, "{text}");
    }
    for text in ["impl Iterator<Item = Event>", "items.len()", "gdmarket_store", "let number = 1;"]
    {
        assert!(market_words(&source(text)).is_empty(), "{text}");
    }
}

// ---- the pages of the problem codes ----------------------------------------------------------

/// A problem as the table in api/src/problem/kind.rs has it: code, title in English, in Korean.
fn problems(table: &str) -> Vec<(String, String, String)> {
    let entries = table.split_once("\nkinds! {").map_or("", |(_, entries)| entries);
    let entries = entries.split_once("\n}").map_or("", |(entries, _)| entries);
    entries
        .split(";\n")
        .filter_map(|entry| {
            let mut texts = entry.split('"').skip(1).step_by(2).map(str::to_owned);
            Some((texts.next()?, texts.next()?, texts.next()?))
        })
        .collect()
}

fn page_faults(problems: &[(String, String, String)], pages: &[Source]) -> Vec<String> {
    let page_of = |code: &str| format!("docs/errors/{code}.md");
    let mut faults = Vec::new();
    for (code, english, korean) in problems {
        match pages.iter().find(|page| page.path == page_of(code)) {
            None => faults.push(format!("{} is missing", page_of(code))),
            Some(page) if !page.text.contains(english) || !page.text.contains(korean) => {
                faults.push(format!("{} lacks the title “{english}” or “{korean}”", page.path));
            }
            Some(_) => {}
        }
    }
    let known: BTreeSet<_> = problems.iter().map(|(code, ..)| page_of(code)).collect();
    let strays = pages
        .iter()
        .filter(|page| !known.contains(&page.path) && !page.path.ends_with("/README.md"));
    faults.extend(strays.map(|page| format!("{}: no problem has this code", page.path)));
    faults
}

#[test]
fn every_problem_code_has_its_page_and_every_page_a_code() {
    let table =
        fs::read_to_string(root().join("api/src/problem/kind.rs")).expect("the table of problems");
    let problems = problems(&table);
    assert!(problems.len() > 30, "the table of problems reads differently now: {problems:?}");
    check(
        "docs/errors/ and api/src/problem/kind.rs differ:",
        &page_faults(&problems, &files("docs/errors", ".md")),
    );
}

#[test]
fn a_missing_and_a_stray_page_are_found() {
    let table =
        "x\nkinds! {\n A \"a-code\" CONFLICT\n \"Title\" \"제목\"\n \"Advice.\" \"조언\";\n}\n";
    let problems = problems(table);
    assert_eq!(problems, [("a-code".to_owned(), "Title".to_owned(), "제목".to_owned())]);
    let page = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
    assert!(page_faults(&problems, &[page("docs/errors/a-code.md", "Title 제목")]).is_empty());
    assert_eq!(page_faults(&problems, &[page("docs/errors/b-code.md", "Title 제목")]).len(), 2);
    assert_eq!(page_faults(&problems, &[page("docs/errors/a-code.md", "Title")]).len(), 1);
}
