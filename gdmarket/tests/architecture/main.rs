//! The rules of docs/architecture.md as tests: which crate may use which, what a file may import, how
//! long it may be, and that the documents match the code.
//!
//! Each check is a function from sources to a list of faults, and a test shows that it finds a
//! deliberate fault.
#![expect(clippy::expect_used, reason = "the helpers of these tests may fail them")]

mod crates;
mod documents;
mod language;
mod modules;
mod named_tests;
mod rooms;
mod sizes;
mod sources;
mod type_names;

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) struct Source {
    /// From the root of the repository, with slashes.
    pub(crate) path: String,
    pub(crate) text: String,
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// All files below a folder of the repository whose names have this ending.
pub(crate) fn files(folder: &str, ending: &str) -> Vec<Source> {
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

pub(crate) fn check(rule: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{rule}\n  {}\n", faults.join("\n  "));
}
