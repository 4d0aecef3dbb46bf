//! A type name means one thing in all shipped crates; CONTRIBUTING.md lists the exceptions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::str::FromStr;

use proc_macro2::{TokenStream, TokenTree};

use crate::sizes::shipped;
use crate::{Source, check, root};

/// The heading of the exceptions in CONTRIBUTING.md; each is a list entry that begins with its name in backquotes.
const HEADING: &str = "### Type names that mean several things";

/// The types that a file defines outside its tests: structs, enums, unions, traits, and aliases that
/// other files can use. Associated types belong to their traits.
fn types(source: &Source) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let tokens = TokenStream::from_str(&source.text).expect("Rust");
    collect(&tokens.into_iter().collect::<Vec<_>>(), &mut found);
    found
}

fn collect(tokens: &[TokenTree], found: &mut BTreeSet<String>) {
    let ident = |at: usize| match tokens.get(at) {
        Some(TokenTree::Ident(ident)) => ident.to_string(),
        _ => String::new(),
    };
    for (at, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            let is_test_module = at > 1 && ident(at - 1) == "tests" && ident(at - 2) == "mod";
            if !is_test_module {
                collect(&group.stream().into_iter().collect::<Vec<_>>(), found);
            }
        }
        let is_restricted = at > 1
            && matches!(tokens.get(at - 1), Some(TokenTree::Group(_)))
            && ident(at - 2) == "pub";
        let is_public = is_restricted || at > 0 && ident(at - 1) == "pub";
        let defines = match ident(at).as_str() {
            "struct" | "enum" | "union" | "trait" => true,
            "type" => is_public,
            _ => false,
        };
        if defines && ident(at + 1).starts_with(|first: char| first.is_uppercase()) {
            found.insert(ident(at + 1));
        }
    }
}

fn exceptions(contributing: &str) -> BTreeSet<String> {
    let section = contributing.split_once(HEADING).map_or("", |(_, section)| section);
    let section = section.split_once("\n#").map_or(section, |(section, _)| section);
    let names = section.lines().filter_map(|line| line.strip_prefix("- `")?.split_once('`'));
    names.map(|(name, _)| name.to_owned()).collect()
}

fn faults(sources: &[Source], contributing: &str) -> Vec<String> {
    let mut places: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for source in sources {
        for name in types(source) {
            places.entry(name).or_default().push(&source.path);
        }
    }
    places.retain(|_, places| places.len() > 1);
    let exceptions = exceptions(contributing);
    let unlisted = places.iter().filter(|(name, _)| !exceptions.contains(*name));
    let mut faults: Vec<_> =
        unlisted.map(|(name, places)| format!("{name}: {}", places.join(", "))).collect();
    let unused = exceptions.iter().filter(|name| !places.contains_key(*name));
    faults.extend(unused.map(|name| format!("{name}: it is listed and means one thing")));
    faults
}

#[test]
fn a_type_name_means_one_thing() {
    let contributing = fs::read_to_string(root().join("CONTRIBUTING.md")).expect("CONTRIBUTING.md");
    let rule = "another name, or an entry with its reason in CONTRIBUTING.md:";
    check(rule, &faults(&shipped(), &contributing));
}

#[test]
fn a_second_meaning_and_an_unused_exception_are_found() {
    let source = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
    let sources = [
        source(
            "a.rs",
            "struct Batch; impl A for B { type Row = u8; } type Short = u8; enum Inner {}",
        ),
        source(
            "b.rs",
            "pub(super) type Batch = u8; type Short = i8; impl A for C { type Row = i8; }",
        ),
        source("c.rs", "enum Inner {} mod tests { struct Batch; }"),
    ];
    let listed = format!("{HEADING}\n- `Inner`: a reason\n- `Gone`: a reason\n");
    let expected = ["Batch: a.rs, b.rs", "Gone: it is listed and means one thing"];
    assert_eq!(faults(&sources, &listed), expected);
}
