//! Limits on the size of files and functions; every parameter has a name.

use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::crates::CRATES;
use crate::{Source, check, files};

/// The longest function, from its first line to its closing brace.
const MAX_FUNCTION_LINES: usize = 60;
/// Half of all files have at most the first number of lines, nine of ten at most the second.
const MEDIAN_LINES: usize = 110;
const NINTH_DECILE_LINES: usize = 220;

/// A function with its place, its length, and the number of its parameters that are tuples.
struct Function {
    place: String,
    lines: usize,
    tuples: usize,
}

/// The files of the shipped crates without files of tests.
pub(crate) fn shipped() -> Vec<Source> {
    let all = CRATES.iter().flat_map(|(name, _)| files(&format!("{name}/src"), ".rs"));
    all.filter(|source| !source.path.starts_with("bench/") && !is_test(&source.path)).collect()
}

fn is_test(path: &str) -> bool {
    path.starts_with("testkit/") || path.contains("/tests") || path.contains("/lifecycle")
}

fn functions(source: &Source) -> Vec<Function> {
    let tokens = TokenStream::from_str(&source.text).expect("Rust");
    let mut found = Vec::new();
    collect(&source.path, &tokens.into_iter().collect::<Vec<_>>(), &mut found);
    found
}

fn collect(path: &str, tokens: &[TokenTree], found: &mut Vec<Function>) {
    for (at, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            collect(path, &group.stream().into_iter().collect::<Vec<_>>(), found);
        }
        let (TokenTree::Ident(word), Some(TokenTree::Ident(name))) = (token, tokens.get(at + 1))
        else {
            continue;
        };
        if word != "fn" {
            continue;
        }
        let mut rest = tokens.iter().skip(at + 2);
        let Some(parameters) = rest.find_map(|token| group(token, Delimiter::Parenthesis)) else {
            continue;
        };
        let mut signature = rest.take_while(|token| !is(token, ';'));
        let body = signature.find_map(|token| group(token, Delimiter::Brace));
        let first = word.span().start().line;
        let lines = body.map_or(1, |body| body.span_close().end().line - first + 1);
        let place = format!("{path}:{first}: {name}");
        found.push(Function { place, lines, tuples: tuples(parameters) });
    }
}

fn group(token: &TokenTree, delimiter: Delimiter) -> Option<&proc_macro2::Group> {
    match token {
        TokenTree::Group(group) if group.delimiter() == delimiter => Some(group),
        _ => None,
    }
}

fn is(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

/// The number of parameters whose type is a tuple: `(a, b): (A, B)` or `ab: &(A, B)`.
fn tuples(parameters: &proc_macro2::Group) -> usize {
    let tokens: Vec<_> = parameters.stream().into_iter().collect();
    let is_tuple = |parameter: &&[TokenTree]| {
        let ty = parameter.iter().skip_while(|token| !is(token, ':')).skip(1);
        let mut ty = ty.skip_while(|token| is(token, '&'));
        let first = ty.next().and_then(|token| group(token, Delimiter::Parenthesis));
        first.is_some_and(|first| first.stream().into_iter().any(|token| is(&token, ',')))
    };
    tokens.split(|token| is(token, ',')).filter(is_tuple).count()
}

#[test]
fn no_function_is_longer_than_60_lines() {
    let all: Vec<_> = shipped().iter().flat_map(functions).collect();
    assert!(all.len() > 1_000, "the functions are not where this test looks");
    let long = all.iter().filter(|function| function.lines > MAX_FUNCTION_LINES);
    let faults: Vec<_> = long.map(|f| format!("{}: {} lines", f.place, f.lines)).collect();
    check("split into named functions:", &faults);
}

#[test]
fn no_parameter_is_a_tuple() {
    let all: Vec<_> = shipped().iter().flat_map(functions).collect();
    let unnamed = all.iter().filter(|function| function.tuples > 0);
    let faults: Vec<_> = unnamed.map(|function| function.place.clone()).collect();
    check("separate parameters, or a struct with named fields:", &faults);
}

#[test]
fn median_and_ninth_decile_of_file_lengths_are_within_limits() {
    let mut lines: Vec<_> = shipped().iter().map(|source| source.text.lines().count()).collect();
    lines.sort_unstable();
    let at = |share: usize| lines.get(lines.len() * share / 10).copied().unwrap_or_default();
    assert!(at(5) <= MEDIAN_LINES, "the median file has {} lines", at(5));
    assert!(at(9) <= NINTH_DECILE_LINES, "nine of ten files are up to {} lines", at(9));
}

#[test]
fn long_function_and_tuple_parameter_are_found() {
    let text =
        format!("impl A {{ fn f((a, b): (A, B), c: &(dyn C)) -> D {{{}}} }}", "\n".repeat(60));
    let found = functions(&Source { path: "x.rs".to_owned(), text });
    let found: Vec<_> = found.iter().map(|f| (f.place.as_str(), f.lines, f.tuples)).collect();
    assert_eq!(found, [("x.rs:1: f", 61, 1)]);
}
