//! Which crate may use which, ours and others, held against `cargo metadata`.

use std::fs;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

use crate::{check, root};

/// Our crates and which of ours each may use; `testkit` only in tests, `bench` by nobody.
pub(crate) const CRATES: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("store", &[]),
    ("commands", &["domain", "store"]),
    ("simulators", &["domain", "store", "commands"]),
    ("projections", &["domain", "store"]),
    ("app", &["domain", "commands", "projections"]),
    ("api", &["domain", "projections", "app"]),
    ("gdmarket", &["domain", "store", "commands", "simulators", "projections", "app", "api"]),
    ("testkit", &[]),
    ("bench", &[]),
];

/// All that the domain may be built from: no I/O, no clock of its own, no randomness.
const DOMAIN_MAY_USE: &[&str] = &[
    "chrono",
    "cqrs-es",
    "serde",
    "serde_json",
    "thiserror",
    "unicode-normalization",
    "unicode-properties",
];

/// Libraries with a home: only the named crates may ship them.
const AT_HOME: &[(&str, &[&str])] = &[
    ("sqlx", &["store", "testkit", "bench"]),
    ("rusqlite", &["store"]),
    ("cqrs-es", &["domain", "store", "commands", "projections", "bench"]),
    ("postgres-es", &["store", "bench"]),
    ("sqlite-es", &["bench"]),
    ("axum", &["api"]),
    ("utoipa", &["api"]),
    ("clap", &["gdmarket", "bench"]),
    ("clap_complete", &["gdmarket"]),
    ("clap_mangen", &["gdmarket"]),
    ("figment", &["gdmarket"]),
];

fn metadata() -> Metadata {
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml")).no_deps();
    command.other_options(["--offline".to_owned()]).exec().expect("cargo metadata")
}

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
        ("api", "commands"),
        ("api", "store"),
        ("store", "domain"),
        ("api", "gdmarket"),
    ] {
        assert_eq!(forbidden_crates(&[edge(user, used, false)]).len(), 1, "{user} → {used}");
    }
    assert!(forbidden_crates(&[edge("store", "testkit", true)]).is_empty());
    for (user, used) in [
        ("api", "sqlx"),
        ("api", "cqrs-es"),
        ("api", "figment"),
        ("gdmarket", "axum"),
        ("commands", "axum"),
        ("domain", "tokio"),
    ] {
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
