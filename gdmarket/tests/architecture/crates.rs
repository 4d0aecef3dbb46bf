//! Which of our crates and which libraries a crate may use, compared with `cargo metadata`.

use std::fs;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

use crate::{check, root};

/// Our crates and which of ours each may use; `testkit` is used only in tests, `bench` by no crate.
pub(crate) const CRATES: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("service-token", &["domain"]),
    ("store", &[]),
    ("commands", &["domain", "store"]),
    ("simulators", &["domain", "store", "commands"]),
    ("projections", &["domain", "store"]),
    ("transport", &["domain", "service-token", "commands", "projections"]),
    ("app", &["domain", "commands", "projections"]),
    ("api", &["domain", "service-token", "projections", "app"]),
    (
        "gdmarket",
        &[
            "domain",
            "service-token",
            "store",
            "commands",
            "simulators",
            "projections",
            "transport",
            "app",
            "api",
        ],
    ),
    ("testkit", &[]),
    ("bench", &[]),
    ("xtask", &["gdmarket"]),
];

/// The only libraries of the domain: no I/O, no clock, no randomness.
const DOMAIN_LIBRARIES: &[&str] = &[
    "chrono",
    "cqrs-es",
    "serde",
    "serde_json",
    "thiserror",
    "unicode-normalization",
    "unicode-properties",
];

/// Libraries that only the named crates may ship.
const RESTRICTED_LIBRARIES: &[(&str, &[&str])] = &[
    ("sqlx", &["store", "testkit", "bench"]),
    ("rusqlite", &["store"]),
    ("cqrs-es", &["domain", "store", "commands", "projections", "bench"]),
    ("postgres-es", &["store", "bench"]),
    ("sqlite-es", &["bench"]),
    ("axum", &["api"]),
    ("utoipa", &["api", "projections"]),
    ("clap", &["gdmarket", "bench", "xtask"]),
    ("clap_complete", &["gdmarket"]),
    ("clap_mangen", &["xtask"]),
    ("figment", &["gdmarket"]),
];

fn metadata() -> Metadata {
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml")).no_deps();
    command.other_options(["--offline".to_owned()]).exec().expect("cargo metadata")
}

/// A dependency of one crate on another.
struct Dependency {
    user: String,
    used: String,
    is_dev: bool,
}

fn dependencies(packages: &[Package]) -> Vec<Dependency> {
    let short = |name: &str| name.strip_prefix("gdmarket-").unwrap_or(name).to_owned();
    let dependency = |package: &Package, used: &cargo_metadata::Dependency| Dependency {
        user: short(&package.name),
        used: short(&used.name),
        is_dev: used.kind == DependencyKind::Development,
    };
    packages
        .iter()
        .flat_map(|p| p.dependencies.iter().map(move |used| dependency(p, used)))
        .collect()
}

fn is_allowed(dependency: &Dependency) -> bool {
    let Dependency { user, used, is_dev } = dependency;
    match CRATES.iter().find(|(name, _)| name == user) {
        None => false,
        Some(_) if user == "bench" => *is_dev && used != "bench",
        Some((_, may_use)) => may_use.contains(&&**used) || (*is_dev && used == "testkit"),
    }
}

fn forbidden_crates(dependencies: &[Dependency]) -> Vec<String> {
    dependencies
        .iter()
        .filter(|dependency| CRATES.iter().any(|(name, _)| *name == dependency.used))
        .filter(|dependency| !is_allowed(dependency))
        .map(|Dependency { user, used, is_dev }| {
            let section = if *is_dev { "[dev-dependencies]" } else { "[dependencies]" };
            format!("{user}/Cargo.toml {section}: gdmarket-{used}")
        })
        .collect()
}

fn misplaced_libraries(dependencies: &[Dependency]) -> Vec<String> {
    let is_misplaced = |Dependency { user, used, is_dev }: &&Dependency| {
        let is_restricted = RESTRICTED_LIBRARIES
            .iter()
            .any(|(library, crates)| library == used && !crates.contains(&&**user));
        let is_impure = user == "domain" && !DOMAIN_LIBRARIES.contains(&&**used);
        !is_dev && (is_restricted || is_impure)
    };
    let misplaced = dependencies.iter().filter(is_misplaced);
    misplaced.map(|of| format!("{}/Cargo.toml: {}", of.user, of.used)).collect()
}

#[test]
fn crates_depend_only_on_allowed_crates() {
    let found = dependencies(&metadata().packages);
    assert!(found.iter().any(|of| of.user == "commands" && of.used == "store"));
    check("see the crate table of docs/architecture.md; not allowed:", &forbidden_crates(&found));
    check(
        "see RESTRICTED_LIBRARIES and DOMAIN_LIBRARIES in this file; not allowed:",
        &misplaced_libraries(&found),
    );
}

#[test]
fn forbidden_dependency_is_found() {
    let dependency = |user: &str, used: &str, is_dev| Dependency {
        user: user.to_owned(),
        used: used.to_owned(),
        is_dev,
    };
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
        assert_eq!(forbidden_crates(&[dependency(user, used, false)]).len(), 1, "{user} → {used}");
    }
    assert!(forbidden_crates(&[dependency("store", "testkit", true)]).is_empty());
    for (user, used) in [
        ("api", "sqlx"),
        ("api", "cqrs-es"),
        ("api", "figment"),
        ("gdmarket", "axum"),
        ("commands", "axum"),
        ("domain", "tokio"),
    ] {
        assert_eq!(
            misplaced_libraries(&[dependency(user, used, false)]).len(),
            1,
            "{user} → {used}"
        );
    }
}

#[test]
fn every_crate_inherits_workspace_lints() {
    let without: Vec<_> = CRATES
        .iter()
        .map(|(name, _)| format!("{name}/Cargo.toml"))
        .filter(|path| {
            let manifest = fs::read_to_string(root().join(path)).unwrap_or_default();
            !manifest.contains("[lints]\nworkspace = true")
        })
        .collect();
    check("add `[lints] workspace = true` to:", &without);
    assert_eq!(metadata().packages.len(), CRATES.len(), "add a new crate to CRATES of this file");
}
