//! The modules of a crate and the paths by which each names the others, read from the tokens of its files.
#![expect(clippy::indexing_slicing, reason = "the helpers of these tests may fail them")]

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::Source;

pub(crate) struct Module {
    pub(crate) file: String,
    /// From the crate's root, whose own path is empty.
    pub(crate) path: Vec<String>,
    /// Modules of the same crate that this one names, with re-exports resolved.
    pub(crate) uses: BTreeSet<Vec<String>>,
}

type Path = Vec<String>;

/// A module and a name that it re-exports with `use`, and the path behind that name.
type Aliases = BTreeMap<(Path, String), Path>;

/// All modules of one crate, whose sources are below its `src/`.
pub(crate) fn modules(sources: &[Source]) -> Vec<Module> {
    let known: BTreeSet<Path> = sources.iter().map(|source| path_of(&source.path)).collect();
    let mut aliases = Aliases::new();
    let mut read = Vec::new();
    for source in sources {
        let tokens = TokenStream::from_str(&source.text).expect("Rust");
        let mut reader = Reader { module: path_of(&source.path), ..Reader::default() };
        reader.known.clone_from(&known);
        reader.walk(&tokens.into_iter().collect::<Vec<_>>());
        aliases.append(&mut reader.aliases);
        read.push((source.path.clone(), reader.module, reader.found));
    }
    let resolved = |(file, path, found): (String, Path, Vec<Path>)| {
        let uses = found.into_iter().map(|used| resolve(used, &known, &aliases)).collect();
        Module { file, path, uses }
    };
    read.into_iter().map(resolved).collect()
}

fn path_of(file: &str) -> Path {
    let (_, below) = file.split_once("/src/").expect("a file below src/");
    let name = below.trim_end_matches(".rs");
    if name == "lib" || name == "main" {
        return Vec::new();
    }
    name.split('/').map(str::to_owned).collect()
}

/// The module that a path leads to, with re-exports followed.
fn resolve(path: Path, known: &BTreeSet<Path>, aliases: &Aliases) -> Path {
    let mut at = path;
    for _ in 0..8 {
        let module: Path = longest(&at, known);
        let Some(name) = at.get(module.len()) else { return module };
        match aliases.get(&(module.clone(), name.clone())) {
            Some(target) if *target != at => at.clone_from(target),
            _ => return module,
        }
    }
    longest(&at, known)
}

fn longest(path: &[String], known: &BTreeSet<Path>) -> Path {
    (0..=path.len())
        .rev()
        .map(|n| path[..n].to_vec())
        .find(|p| known.contains(p))
        .unwrap_or_default()
}

#[derive(Default)]
struct Reader {
    module: Path,
    known: BTreeSet<Path>,
    found: Vec<Path>,
    aliases: Aliases,
}

impl Reader {
    fn walk(&mut self, tokens: &[TokenTree]) {
        for (at, token) in tokens.iter().enumerate() {
            let rest = &tokens[at + 1..];
            match token {
                TokenTree::Group(group) => {
                    let inside: Vec<_> = group.stream().into_iter().collect();
                    // `use a::{b}` is read from `use` on; its group names nothing by itself.
                    let inline = inline_module(&tokens[..at]);
                    self.module.extend(inline.clone());
                    self.walk(&inside);
                    self.module.truncate(self.module.len() - usize::from(inline.is_some()));
                }
                TokenTree::Ident(word) if word == "use" => self.import(rest),
                TokenTree::Ident(word) if ["crate", "super"].iter().any(|root| word == root) => {
                    let continues_a_path =
                        tokens[..at].last().is_some_and(|before| is(before, ':'));
                    if !continues_a_path {
                        self.path(Vec::new(), &tokens[at..], false);
                    }
                }
                _ => {}
            }
        }
    }

    /// Reads the path after `use`, from a root or from a child module.
    fn import(&mut self, rest: &[TokenTree]) {
        if let Some(TokenTree::Ident(first)) = rest.first() {
            let mut child = self.module.clone();
            child.push(first.to_string());
            if self.known.contains(&child) {
                self.path(self.module.clone(), rest, true);
            } else if ["crate", "super", "self"].iter().any(|root| first == root) {
                self.path(Vec::new(), rest, true);
            }
        }
    }

    /// Follows `a::b::{c, d}` from `base` and keeps the end of each branch.
    fn path(&mut self, mut base: Path, tokens: &[TokenTree], alias: bool) {
        let mut rest = tokens.iter();
        while let Some(token) = rest.next() {
            match token {
                TokenTree::Ident(word) if word == "crate" => base.clear(),
                TokenTree::Ident(word) if word == "super" => {
                    if base.is_empty() {
                        base.clone_from(&self.module);
                    }
                    base.pop();
                }
                TokenTree::Ident(word) if word == "self" => {
                    if base.is_empty() {
                        base.clone_from(&self.module);
                    }
                }
                TokenTree::Ident(word) => base.push(word.to_string()),
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                    let inside: Vec<_> = group.stream().into_iter().collect();
                    for branch in inside.split(|token| is(token, ',')) {
                        self.path(base.clone(), branch, alias);
                    }
                    return;
                }
                _ => break,
            }
            if !(rest.next().is_some_and(|token| is(token, ':')) && rest.next().is_some()) {
                break;
            }
        }
        if let (true, Some(name)) = (alias, base.last()) {
            self.aliases.insert((self.module.clone(), name.clone()), base.clone());
        }
        self.found.push(base);
    }
}

fn is(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

/// The name before the braces of `mod name { … }`.
fn inline_module(before: &[TokenTree]) -> Option<String> {
    match before {
        [.., TokenTree::Ident(word), TokenTree::Ident(name)] if word == "mod" => {
            Some(name.to_string())
        }
        _ => None,
    }
}
