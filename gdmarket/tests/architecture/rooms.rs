//! The folders inside a crate: which room may use which, and that modules form no cycle.
//!
//! A *room* is a module directly below `src/`. [`ROOMS`] is ordered: a room uses only the rooms named
//! before it. The modules of one folder, at every depth, form no cycle. The file of each room says in
//! its first sentence what belongs there.

use std::collections::{BTreeMap, BTreeSet};

use crate::modules::{Module, modules};
use crate::{Source, check, files};

/// The rooms of each crate from the lowest to the highest.
const ROOMS: &[(&str, &[&str])] = &[
    (
        "domain",
        &[
            "money",
            "name",
            "rental_period",
            "ids",
            "actor",
            "upcast",
            "event_names",
            "decider",
            "payment",
            "alarm",
            "hold",
            "item",
            "reservation",
            "service",
            "market_command",
            "market_event",
        ],
    ),
    (
        "store",
        &[
            "error",
            "failpoint",
            "options",
            "log_limit",
            "db",
            "log",
            "subscription",
            "maintenance",
            "store",
        ],
    ),
    (
        "commands",
        &[
            "clock",
            "panic",
            "detach_on_drop",
            "keyed_mutex",
            "command_id",
            "error",
            "executor",
            "outside",
            "options",
            "operations",
        ],
    ),
    ("projections", &["engine", "views", "processes", "queries", "inspect", "registry"]),
    (
        "transport",
        &[
            "http_client",
            "service_client",
            "http_feed",
            "jet_stream",
            "payment_gateway",
            "service_calls",
        ],
    ),
    (
        "app",
        &[
            "error",
            "outcome",
            "context",
            "permissions",
            "use_cases",
            "availability",
            "waiting",
            "awaited_outcome",
            "items",
            "reservations",
            "payments",
            "persons",
            "service_calls",
            "process_commands",
        ],
    ),
    (
        "api",
        &[
            "http_options",
            "method_name",
            "token",
            "problem",
            "extract",
            "resource",
            "representation",
            "trace",
            "server",
            "docs",
            "command_router",
            "query_router",
            "absent_services",
            "internal",
            "health",
            "openapi",
            "router",
        ],
    ),
    (
        "gdmarket",
        &[
            "printable",
            "config",
            "service_keys",
            "metrics",
            "telemetry",
            "compose",
            "output",
            "runtime",
            "demo",
            "dev",
            "cli",
        ],
    ),
];

/// The number of files at which a folder is still easy to survey.
const MAX_FILES: usize = 20;

/// Uses of one module by another of the same folder: (folder, user, used), with a file that contains one.
type Edges = BTreeMap<(Vec<String>, String, String), String>;

/// The uses between the modules of each folder, at every depth.
fn edges(modules: &[Module]) -> Edges {
    let mut edges = Edges::new();
    for module in modules {
        for used in &module.uses {
            let common = module.path.iter().zip(used).take_while(|(a, b)| a == b).count();
            if let (Some(from), Some(to)) = (module.path.get(common), used.get(common)) {
                let folder = module.path.iter().take(common).cloned().collect();
                edges
                    .entry((folder, from.clone(), to.clone()))
                    .or_insert_with(|| module.file.clone());
            }
        }
    }
    edges
}

fn against_the_order(edges: &Edges, rooms: &[&str]) -> Vec<String> {
    let rank = |room: &str| rooms.iter().position(|known| *known == room);
    let top = edges.iter().filter(|((folder, ..), _)| folder.is_empty());
    top.filter_map(|((_, from, to), file)| match (rank(from), rank(to)) {
        (Some(from), Some(to)) if to < from => None,
        (Some(_), Some(_)) => Some(format!("{from} uses {to}: {file}")),
        (None, _) => Some(format!("{from} is no room of ROOMS: {file}")),
        (_, None) => Some(format!("{to} is no room of ROOMS: {file}")),
    })
    .collect()
}

/// The modules that use themselves through others of the same folder.
fn cycles(edges: &Edges) -> Vec<String> {
    let folders: BTreeSet<_> = edges.keys().map(|(folder, ..)| folder).collect();
    let mut faults = Vec::new();
    for folder in folders {
        let inside: Vec<_> = edges.iter().filter(|((of, ..), _)| of == folder).collect();
        let reached = |start: &str| {
            let mut seen = BTreeSet::from([start.to_owned()]);
            let mut open = vec![start.to_owned()];
            while let Some(at) = open.pop() {
                for ((_, from, to), _) in &inside {
                    if *from == at && seen.insert(to.clone()) {
                        open.push(to.clone());
                    }
                }
            }
            seen
        };
        for ((_, from, to), file) in &inside {
            if reached(to).contains(from) {
                let folder = folder.join("::");
                faults.push(format!("{folder}: {from} → {to} → … → {from}: {file}"));
            }
        }
    }
    faults
}

#[test]
fn each_room_uses_only_the_rooms_below_it() {
    for (name, rooms) in ROOMS {
        let edges = edges(&modules(&files(&format!("{name}/src"), ".rs")));
        assert!(!edges.is_empty(), "{name} is not where this test looks");
        check(&format!("{name}: the order is that of ROOMS:"), &against_the_order(&edges, rooms));
        check(&format!("{name}: modules that form a cycle:"), &cycles(&edges));
    }
}

#[test]
fn upward_import_is_found() {
    let source = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
    let sources = [
        source("x/src/lib.rs", "mod low; mod high; pub use high::Roof;"),
        source("x/src/low.rs", "mod one; mod two; pub(crate) use one::Stone;"),
        source("x/src/low/one.rs", "use crate::{fmt, Roof}; fn f() { super::two::g() }"),
        source("x/src/low/two.rs", "use super::Stone;"),
        source("x/src/high.rs", "use crate::low::{Stone, two::{self, G}};"),
    ];
    let edges = edges(&modules(&sources));
    assert_eq!(against_the_order(&edges, &["low", "high"]), ["low uses high: x/src/low/one.rs"]);
    assert!(against_the_order(&edges, &["low"]).len() > 1);
    let faults = cycles(&edges);
    assert!(faults.iter().any(|fault| fault.starts_with("low: one → two")), "{faults:?}");
    assert!(faults.iter().any(|fault| fault.starts_with(": high → low")), "{faults:?}");
}

fn overfull_folders(sources: &[Source]) -> Vec<String> {
    let mut folders = BTreeMap::<&str, usize>::new();
    for source in sources {
        let folder = source.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        *folders.entry(folder).or_default() += 1;
    }
    let full = folders.into_iter().filter(|(_, count)| *count > MAX_FILES);
    full.map(|(folder, count)| format!("{folder}: {count} files")).collect()
}

#[test]
fn no_folder_has_more_than_20_files() {
    for (name, _) in ROOMS {
        check(
            "group the files into more folders:",
            &overfull_folders(&files(&format!("{name}/src"), ".rs")),
        );
    }
    let many = (0..=MAX_FILES).map(|n| Source { path: format!("a/{n}.rs"), text: String::new() });
    assert_eq!(overfull_folders(&many.collect::<Vec<_>>()), ["a: 21 files"]);
}
