//! Words that the names and documentation of the shipped crates don't use, because the field has other
//! terms.

use std::collections::BTreeMap;
use std::fs;
use std::str::FromStr;

use proc_macro2::{Group, TokenStream, TokenTree};
use serde_json::Value;

use crate::sizes::shipped;
use crate::{Source, check, root};

/// Retired words and phrases, and the terms to use instead.
const RETIRED: &[(&str, &str)] = &[
    ("told", "reported, returned, shown"),
    ("tells", "reports, returns, shows"),
    ("beside", "alongside, background"),
    ("anew", "again, rebuilt"),
    ("whoever", "a caller that, a process that"),
    ("nobody", "no caller, no process"),
    ("somebody", "another caller, another process"),
    ("figures", "metrics"),
    ("stuck", "blocked, parked"),
    ("stretch", "range"),
    ("passage", "request pipeline"),
    ("patience", "deadline"),
    ("trial", "fold check"),
    ("taken for new", "assumed new"),
    ("last word", "remembered refusal"),
    ("helm", "leadership"),
    ("standstill", "halt"),
    ("overtaken", "fenced"),
    ("errand", "command context"),
    ("intent", "outgoing command"),
    ("courtesy", "throttle"),
    ("judge", "observer, outcome, conflict"),
    ("verdict", "outcome"),
    ("urn", "sequence"),
    ("abreast", "concurrently"),
    ("begun", "started"),
    ("census", "compatibility check"),
    ("mend", "repair, fix"),
    ("heal", "repair, catch up"),
    ("dear", "expensive"),
    ("wish", "request"),
    ("under way", "in flight"),
    ("given up", "dropped, parked"),
    ("let go", "unpark, release"),
    ("goes on", "continues"),
    ("go on", "continue"),
    ("stands still", "is blocked"),
    ("call for help", "alert the operator"),
];

/// The endings with which a retired word is found too.
const ENDINGS: &[&str] = &["", "s", "d", "ed", "es", "ing"];

/// The most words of a retired phrase.
const LONGEST_PHRASE: usize = 3;

/// The words of an identifier or a text in lower case, each between spaces; a dot takes the place of
/// other signs, so that no phrase is found across them.
fn words(text: &str) -> String {
    let mut spaced = String::new();
    let mut is_inside = false;
    for letter in text.chars() {
        if letter.is_uppercase() && is_inside {
            spaced.push(' ');
        }
        is_inside = letter.is_lowercase();
        match letter {
            '_' => spaced.push(' '),
            _ if letter.is_alphabetic() => spaced.extend(letter.to_lowercase()),
            _ if letter.is_whitespace() => spaced.push(' '),
            _ => spaced.push_str(" . "),
        }
    }
    let words: Vec<_> = spaced.split_whitespace().collect();
    format!(" {} ", words.join(" "))
}

/// The text of a comment without its code, which may name what is stored under an older name.
fn without_code(text: &str) -> String {
    text.split('`').step_by(2).collect::<Vec<_>>().join(" . ")
}

/// The words of docs/openapi.json, whose texts are doc comments too: they change only with the document.
fn published() -> String {
    fn collect(value: &Value, text: &mut String) {
        match value {
            Value::String(string) => text.extend([string.as_str(), "\n"]),
            Value::Array(values) => values.iter().for_each(|value| collect(value, text)),
            Value::Object(fields) => fields.values().for_each(|value| collect(value, text)),
            _ => {}
        }
    }
    let document = fs::read_to_string(root().join("docs/openapi.json")).expect("the document");
    let mut text = String::new();
    collect(&serde_json::from_str(&document).expect("JSON"), &mut text);
    words(&text)
}

/// Reads identifiers and doc comments of one file.
struct Reader<'a> {
    path: &'a str,
    published: &'a str,
    retired: &'a Forms,
    /// Consecutive lines of one doc comment, and the number of the first.
    comment: String,
    comment_line: usize,
    faults: Vec<String>,
}

impl Reader<'_> {
    fn walk(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => {
                    if let Some(text) = doc_text(&group) {
                        self.add_comment_line(&text, group.span().start().line);
                    } else {
                        self.end_comment();
                        self.walk(group.stream());
                    }
                }
                TokenTree::Ident(name) => {
                    self.end_comment();
                    self.look_at(&words(&name.to_string()), name.span().start().line);
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
        self.end_comment();
    }

    fn add_comment_line(&mut self, text: &str, line: usize) {
        if self.comment.is_empty() {
            self.comment_line = line;
        }
        self.comment.push_str(text.trim());
        self.comment.push('\n');
    }

    fn end_comment(&mut self) {
        let comment = std::mem::take(&mut self.comment);
        for paragraph in comment.split("\n\n") {
            let text = words(&without_code(paragraph));
            let is_retired = !self.retired.in_words(&text).is_empty();
            if is_retired && !self.published.contains(&words(paragraph)) {
                self.look_at(&text, self.comment_line);
            }
        }
    }

    fn look_at(&mut self, words: &str, line: usize) {
        for (phrase, instead) in self.retired.in_words(words) {
            self.faults.push(format!("{}:{line}: “{phrase}”: {instead}", self.path));
        }
    }
}

/// The forms of all retired phrases, each with its entry in [`RETIRED`].
struct Forms(BTreeMap<String, (&'static str, &'static str)>);

impl Forms {
    fn new() -> Self {
        let of_entry = |entry: &(&'static str, &'static str)| {
            let (phrase, instead) = *entry;
            ENDINGS.iter().map(move |ending| (format!("{phrase}{ending}"), (phrase, instead)))
        };
        Self(RETIRED.iter().flat_map(of_entry).collect())
    }

    fn in_words(&self, words: &str) -> Vec<(&'static str, &'static str)> {
        let words: Vec<_> = words.split_whitespace().collect();
        let phrases = (1..=LONGEST_PHRASE).flat_map(|length| words.windows(length));
        phrases.filter_map(|phrase| self.0.get(&phrase.join(" ")).copied()).collect()
    }
}

/// The text of `[doc = "…"]`.
fn doc_text(group: &Group) -> Option<String> {
    let inside: Vec<_> = group.stream().into_iter().collect();
    match inside.as_slice() {
        [TokenTree::Ident(name), TokenTree::Punct(_), TokenTree::Literal(text)]
            if name == "doc" =>
        {
            Some(text.to_string().replace("\\\"", "\"").trim_matches('"').to_owned())
        }
        _ => None,
    }
}

fn retired_words(sources: &[Source], published: &str) -> Vec<String> {
    let retired = &Forms::new();
    let faults = |source: &Source| {
        let tokens = TokenStream::from_str(&source.text).expect("Rust");
        let (comment, comment_line, faults) = Default::default();
        let path = &source.path;
        let mut reader = Reader { path, published, retired, comment, comment_line, faults };
        reader.walk(tokens);
        reader.faults
    };
    sources.iter().flat_map(faults).collect()
}

#[test]
fn names_and_doc_comments_contain_no_retired_word() {
    check("use the term of the field:", &retired_words(&shipped(), &published()));
}

#[test]
fn retired_word_is_found() {
    let found = |text: &str| {
        let source = Source { path: "x.rs".to_owned(), text: text.to_owned() };
        retired_words(&[source], " . it is told as it is published . ").len()
    };
    for text in [
        "fn told() {}",
        "struct ToldEvent;",
        "const GIVEN_UP: u8 = 1;",
        "fn f() { let work_under_way = 1; }",
        "/// It tells a caller.\nstruct A;",
        "//! The work is under\n//! way.",
        "mod a {\n    //! A judge.\n}",
        "enum A {\n    /// It heals itself.\n    B,\n}",
    ] {
        assert_eq!(found(text), 1, "{text}");
    }
    for text in [
        "fn toldness() {}",
        "/// Health, and a metric `told_total`.\nstruct A;",
        "/// Which one is given? Up to five.\nstruct A;",
        "/// New.\n///\n/// It is told as\n/// it is published\nstruct A;",
        "fn f() { g(\"told\"); } // told",
    ] {
        assert_eq!(found(text), 0, "{text}");
    }
}
