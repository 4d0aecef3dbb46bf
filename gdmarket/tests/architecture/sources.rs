//! Rules about the text of source files: imports, words of the market, length.

use std::collections::BTreeSet;

use crate::crates::CRATES;
use crate::{Source, check, files};

/// Words of the market that identifiers and texts of generic code may not contain.
const MARKET_WORDS: &str = "reservation reservations payment payments alarm alarms rental rentals \
    rentable renter renters renting lend lent customer customers price itemno iteminfo itemname \
    calendar refund";

/// Parts of cqrs-es that lose or duplicate events; docs/adr/0001 says why.
const NEVER_CALLED: &[&str] = &[
    "CqrsFramework",
    "replay_all",
    "new_aggregate_store",
    "new_snapshot_store",
    "PersistedEventStore",
];

/// A longer file has more than one subject.
const MAX_FILE_LINES: usize = 600;

fn rust_files() -> Vec<Source> {
    let all: Vec<_> = CRATES.iter().flat_map(|(name, _)| files(name, ".rs")).collect();
    assert!(all.len() > CRATES.len(), "the source files are not where this test looks");
    all
}

fn shipped(source: &Source) -> bool {
    source.path.contains("/src/") && !source.path.starts_with("bench/")
}

/// The lines of code that contain a word, in the files whose path is accepted.
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

fn command_side(path: &str) -> bool {
    path.starts_with("api/src/command_router")
}

fn query_side(path: &str) -> bool {
    path.starts_with("api/src/query_router")
}

#[test]
fn each_router_uses_only_its_side() {
    let sources = rust_files();
    let faults = mentions(&sources, command_side, "gdmarket_projections");
    check("a command handler uses no queries:", &faults);
    let faults = mentions(&sources, query_side, "UseCases");
    check("a query handler uses no use cases:", &faults);
}

/// The one file that docs/adr/0012 allows to use the second SQLite library.
fn not_the_scan(path: &str) -> bool {
    path.contains("/src/") && path != "store/src/log/log_scan/in_place.rs"
}

#[test]
fn rusqlite_is_used_by_the_scan_of_the_log_alone() {
    let faults = mentions(&rust_files(), not_the_scan, "rusqlite");
    check("read it with sqlx; docs/adr/0012 says what rusqlite is for:", &faults);
    let text = "use rusqlite::Connection;".to_owned();
    let source = Source { path: "store/src/x.rs".to_owned(), text };
    assert_eq!(mentions(&[source], not_the_scan, "rusqlite").len(), 1);
}

/// Expressions that branch on the database engine.
const ENGINE_BRANCHES: &[&str] = &[
    "is_postgres",
    "Db::Postgres",
    "Db::Sqlite",
    "database.url.is_some",
    "match &config.database",
];

/// The HTTP library and the program.
fn above_the_store(path: &str) -> bool {
    path.starts_with("api/src/") || path.starts_with("gdmarket/src/")
}

#[test]
fn code_above_the_store_does_not_branch_on_the_database_engine() {
    let branches = |sources: &[Source]| -> Vec<String> {
        let of = |word: &&str| mentions(sources, above_the_store, word);
        ENGINE_BRANCHES.iter().flat_map(of).collect()
    };
    check("move the difference behind a method of the store:", &branches(&rust_files()));
    let text = "let alone = !store.views().is_postgres();".to_owned();
    assert_eq!(branches(&[Source { path: "gdmarket/src/x.rs".to_owned(), text }]).len(), 1);
}

#[test]
fn forbidden_import_is_found() {
    let source = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
    let import = "use std::fmt;\nuse gdmarket_app::UseCases;\n";
    let path = "api/src/query_router/items.rs";
    let faults = mentions(&[source(path, import)], query_side, "UseCases");
    assert_eq!(faults, ["api/src/query_router/items.rs:2: use gdmarket_app::UseCases;"]);
    let router = [source("api/src/router.rs", import)];
    assert!(mentions(&router, query_side, "UseCases").is_empty());
}

#[test]
fn event_losing_parts_of_cqrs_es_are_never_called() {
    let shipped: Vec<_> = rust_files().into_iter().filter(shipped).collect();
    let faults: Vec<_> =
        NEVER_CALLED.iter().flat_map(|word| mentions(&shipped, |_| true, word)).collect();
    check("docs/adr/0001 says why these are never used:", &faults);
}

/// All files but those that set the durability of commits: the sessions of PostgreSQL, which may only
/// raise what the server is configured for, and the two files of SQLite.
fn sets_no_durability(path: &str) -> bool {
    ![
        "store/src/db/postgres.rs",
        "store/src/db/sqlite.rs",
        // It counts the syncs of a program.
        "testkit/src/syncs.rs",
    ]
    .contains(&path)
}

#[test]
fn durability_of_commits_is_set_only_by_the_database_engines() {
    let shipped: Vec<_> = rust_files().into_iter().filter(shipped).collect();
    let within = sets_no_durability;
    let faults: Vec<_> = ["synchronous_commit", "SqliteSynchronous", "PRAGMA synchronous", "fsync"]
        .iter()
        .flat_map(|word| mentions(&shipped, within, word))
        .collect();
    check("a commit returns only after its data are on the disk:", &faults);
    let text = "const UNHURRIED: &str = \"SET LOCAL synchronous_commit = off\";".to_owned();
    let weakened = [Source { path: "projections/src/view_table/ddl.rs".to_owned(), text }];
    assert_eq!(mentions(&weakened, within, "synchronous_commit").len(), 1);
}

fn too_long(sources: &[Source]) -> Vec<String> {
    let lines = |source: &Source| source.text.lines().count();
    let long = sources.iter().filter(|source| lines(source) > MAX_FILE_LINES);
    long.map(|source| format!("{}: {} lines", source.path, lines(source))).collect()
}

#[test]
fn no_file_is_longer_than_600_lines() {
    check("split along what changes together:", &too_long(&rust_files()));
    let long = Source { path: "x.rs".to_owned(), text: "\n".repeat(MAX_FILE_LINES + 1) };
    assert_eq!(too_long(&[long]), ["x.rs: 601 lines"]);
}

/// The lower-case words of camelCase and `snake_case` identifiers, and each two neighbours joined.
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
            words(line).iter().any(|word| MARKET_WORDS.split(' ').any(|known| known == word))
        });
        hits.map(|(number, line)| format!("{}:{}: {}", source.path, number + 1, line.trim()))
            .collect()
    };
    sources.iter().flat_map(lines).collect()
}

#[test]
fn store_contains_no_market_word() {
    let mut sources = files("store/src", ".rs");
    assert!(!sources.is_empty(), "the store is not where this test looks");
    sources.extend(files("store/migrations", ".sql"));
    check("move words of the market to commands or projections:", &market_words(&sources));
}

#[test]
fn executor_contains_no_market_word() {
    let mut sources = files("commands/src", ".rs");
    sources.retain(|source| source.path.starts_with("commands/src/executor"));
    assert!(!sources.is_empty(), "the executor is not where this test looks");
    check("move words of the market to operations:", &market_words(&sources));
}

/// The names of the domain that the engine of projections may use: those common to all aggregates.
const COMMON_TO_ALL_AGGREGATES: &[&str] = &["Decider", "DecodeError", "MarketEvent", "StoredEvent"];

/// The files without test files and without the test modules at their ends.
fn without_tests(sources: Vec<Source>) -> Vec<Source> {
    let is_test = |path: &str| path.ends_with("/tests.rs") || path.ends_with("/test_view.rs");
    let shipped = sources.into_iter().filter(|source| !is_test(&source.path));
    shipped
        .map(|source| {
            let code = source.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            Source { text: code.to_owned(), ..source }
        })
        .collect()
}

/// The names of the domain in these files that belong to a particular aggregate.
fn aggregate_names(sources: &[Source]) -> Vec<String> {
    let named = |source: &Source| -> Vec<String> {
        let uses = source.text.split("gdmarket_domain::").skip(1);
        let names = uses.flat_map(|used| {
            let end = if used.starts_with('{') { '}' } else { ';' };
            let path = used.split(end).next().unwrap_or_default();
            path.split(|letter: char| !letter.is_alphanumeric())
                .map(str::to_owned)
                .collect::<Vec<_>>()
        });
        let others = names.filter(|name| {
            name.starts_with(char::is_uppercase) && !COMMON_TO_ALL_AGGREGATES.contains(&&**name)
        });
        others.map(|name| format!("{}: {name}", source.path)).collect()
    };
    sources.iter().flat_map(named).collect()
}

#[test]
fn engine_of_projections_contains_no_market_word() {
    let sources = without_tests(files("projections/src/engine", ".rs"));
    assert!(!sources.is_empty(), "the engine is not where this test looks");
    let mut faults = market_words(&sources);
    faults.extend(aggregate_names(&sources));
    check("use a trait instead: View, Manager, Step, Port:", &faults);
}

#[test]
fn aggregate_named_in_the_engine_is_found() {
    let source =
        |text: &str| vec![Source { path: "engine/x.rs".to_owned(), text: text.to_owned() }];
    for text in ["use gdmarket_domain::{MarketEvent, ItemEvent};", "gdmarket_domain::Hold;"] {
        assert_eq!(aggregate_names(&source(text)).len(), 1, "{text}");
    }
    assert!(aggregate_names(&source("use gdmarket_domain::{Decider, MarketEvent};")).is_empty());
    let with_tests = source("fn f() {}\n#[cfg(test)]\nmod tests { use super::Payment; }");
    assert!(market_words(&without_tests(with_tests)).is_empty());
}

/// The read side.
fn read_side(path: &str) -> bool {
    path.starts_with("projections/src/")
}

#[test]
fn read_side_does_not_branch_on_the_database_engine() {
    let sources = rust_files();
    let branches = ["is_postgres", "Db::Postgres", "Db::Sqlite", "Tx::Postgres", "Tx::Sqlite"];
    let faults: Vec<_> = branches
        .iter()
        .chain(&["on_db!", "on_tx!", "sqlx"])
        .flat_map(|word| mentions(&sources, read_side, word))
        .collect();
    check("move the difference behind a method of the store:", &faults);
    let branch = [Source {
        path: "projections/src/engine/x.rs".to_owned(),
        text: "if db.is_postgres() {}".to_owned(),
    }];
    assert_eq!(mentions(&branch, read_side, "is_postgres").len(), 1);
}

#[test]
fn market_word_is_found() {
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
