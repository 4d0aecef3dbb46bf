//! What the source files say: what they import, which words they know, how long they are.

use std::collections::BTreeSet;

use crate::crates::CRATES;
use crate::{Source, check, files};

/// Words of the market that generic machinery doesn't know, as parts of its identifiers and texts.
const MARKET_WORDS: &str = "reservation reservations payment payments alarm alarms rental rentals \
    rentable renter renters renting lend lent customer customers price itemno iteminfo itemname \
    calendar refund";

/// Parts of cqrs-es that lose or double events; docs/adr/0001 says why.
const NEVER_CALLED: &[&str] = &[
    "CqrsFramework",
    "replay_all",
    "new_aggregate_store",
    "new_snapshot_store",
    "PersistedEventStore",
];

/// Lines beyond which a file hides two things.
const LONGEST_FILE: usize = 600;

fn rust_files() -> Vec<Source> {
    let all: Vec<_> = CRATES.iter().flat_map(|(name, _)| files(name, ".rs")).collect();
    assert!(all.len() > CRATES.len(), "the source files are not where this test looks");
    all
}

fn shipped(source: &Source) -> bool {
    source.path.contains("/src/") && !source.path.starts_with("bench/")
}

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

fn command_side(path: &str) -> bool {
    path.starts_with("api/src/command_router")
}

fn query_side(path: &str) -> bool {
    path.starts_with("api/src/query_router")
}

#[test]
fn the_two_routers_know_one_side_each() {
    let sources = rust_files();
    let faults = mentions(&sources, command_side, "gdmarket_projections");
    check("a command handler gets no queries:", &faults);
    let faults = mentions(&sources, query_side, "UseCases");
    check("a query handler has nothing to write with:", &faults);
}

/// Where a program that is not the store looks at the engine.
const ENGINE_BRANCHES: &[&str] = &[
    "is_postgres",
    "Db::Postgres",
    "Db::Sqlite",
    "database.url.is_some",
    "match &config.database",
];

/// All of the HTTP library and of the program.
fn above_the_store(path: &str) -> bool {
    path.starts_with("api/src/") || path.starts_with("gdmarket/src/")
}

#[test]
fn the_program_asks_the_store_instead_of_looking_at_the_engine() {
    let branches = |sources: &[Source]| -> Vec<String> {
        let of = |word: &&str| mentions(sources, above_the_store, word);
        ENGINE_BRANCHES.iter().flat_map(of).collect()
    };
    check("a method of the store hides the difference:", &branches(&rust_files()));
    let text = "let alone = !store.views().is_postgres();".to_owned();
    assert_eq!(branches(&[Source { path: "gdmarket/src/x.rs".to_owned(), text }]).len(), 1);
}

#[test]
fn a_forbidden_import_is_found() {
    let source = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
    let import = "use std::fmt;\nuse gdmarket_app::UseCases;\n";
    let path = "api/src/query_router/items.rs";
    let faults = mentions(&[source(path, import)], query_side, "UseCases");
    assert_eq!(faults, ["api/src/query_router/items.rs:2: use gdmarket_app::UseCases;"]);
    let router = [source("api/src/router.rs", import)];
    assert!(mentions(&router, query_side, "UseCases").is_empty());
}

#[test]
fn nothing_calls_the_parts_of_cqrs_es_that_lose_events() {
    let shipped: Vec<_> = rust_files().into_iter().filter(shipped).collect();
    let faults: Vec<_> =
        NEVER_CALLED.iter().flat_map(|word| mentions(&shipped, |_| true, word)).collect();
    check("docs/adr/0001 says why these are never used:", &faults);
}

/// Where an engine is told how durable a commit is: the sessions of PostgreSQL, which may only ask for
/// more than the server gives, and the two files of SQLite.
fn outside_of_where_durability_is_set(path: &str) -> bool {
    ![
        "store/src/db/postgres.rs",
        "store/src/db/sqlite.rs",
        // It counts the syncs of a program.
        "testkit/src/syncs.rs",
    ]
    .contains(&path)
}

#[test]
fn nothing_tells_the_database_not_to_wait_for_the_disk() {
    let shipped: Vec<_> = rust_files().into_iter().filter(shipped).collect();
    let within = outside_of_where_durability_is_set;
    let faults: Vec<_> = ["synchronous_commit", "SqliteSynchronous", "PRAGMA synchronous", "fsync"]
        .iter()
        .flat_map(|word| mentions(&shipped, within, word))
        .collect();
    check("what is committed is on the disk:", &faults);
    let text = "const UNHURRIED: &str = \"SET LOCAL synchronous_commit = off\";".to_owned();
    let weakened = [Source { path: "projections/src/view_table/ddl.rs".to_owned(), text }];
    assert_eq!(mentions(&weakened, within, "synchronous_commit").len(), 1);
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
            words(line).iter().any(|word| MARKET_WORDS.split(' ').any(|known| known == word))
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
fn the_executor_knows_no_word_of_the_market() {
    let mut sources = files("commands/src", ".rs");
    sources.retain(|source| source.path.starts_with("commands/src/executor"));
    assert!(!sources.is_empty(), "the executor is not where this test looks");
    check("what is particular to the market belongs into operations:", &market_words(&sources));
}

/// What the machinery of the read side may use of the domain: what all aggregates have in common.
const COMMON_TO_ALL_AGGREGATES: &[&str] = &["Decider", "DecodeError", "MarketEvent", "StoredEvent"];

/// The files without those of tests, and without the tests at their ends.
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

/// What files name of the domain that is particular to an aggregate.
fn particular(sources: &[Source]) -> Vec<String> {
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
fn the_machinery_of_the_read_side_knows_no_word_of_the_market() {
    let sources = without_tests(files("projections/src/engine", ".rs"));
    assert!(!sources.is_empty(), "the machinery is not where this test looks");
    let mut faults = market_words(&sources);
    faults.extend(particular(&sources));
    check("ask for it through a trait: View, Manager, Step, Port:", &faults);
}

#[test]
fn an_aggregate_in_the_machinery_is_found() {
    let source =
        |text: &str| vec![Source { path: "engine/x.rs".to_owned(), text: text.to_owned() }];
    for text in ["use gdmarket_domain::{MarketEvent, ItemEvent};", "gdmarket_domain::Hold;"] {
        assert_eq!(particular(&source(text)).len(), 1, "{text}");
    }
    assert!(particular(&source("use gdmarket_domain::{Decider, MarketEvent};")).is_empty());
    let with_tests = source("fn f() {}\n#[cfg(test)]\nmod tests { use super::Payment; }");
    assert!(market_words(&without_tests(with_tests)).is_empty());
}

/// Where code may differ by the engine of the database.
fn outside_of_the_store(path: &str) -> bool {
    path.starts_with("projections/src/")
}

#[test]
fn the_read_side_does_not_branch_on_the_database_engine() {
    let sources = rust_files();
    let branches = ["is_postgres", "Db::Postgres", "Db::Sqlite", "Tx::Postgres", "Tx::Sqlite"];
    let faults: Vec<_> = branches
        .iter()
        .chain(&["on_db!", "on_tx!", "sqlx"])
        .flat_map(|word| mentions(&sources, outside_of_the_store, word))
        .collect();
    check("what differs belongs behind a method of the store:", &faults);
    let branch = [Source {
        path: "projections/src/engine/x.rs".to_owned(),
        text: "if db.is_postgres() {}".to_owned(),
    }];
    assert_eq!(mentions(&branch, outside_of_the_store, "is_postgres").len(), 1);
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
