//! Where settings may come from.

use std::path::PathBuf;

/// A value from the command line.
#[derive(Debug, Clone)]
pub struct Flag {
    /// The flag, with its dashes.
    pub flag: &'static str,
    /// What it sets.
    pub key: &'static str,
    /// To what.
    pub value: String,
}

/// Where values may come from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// `--config`; it must exist then.
    pub file: Option<PathBuf>,
    /// From the command line.
    pub flags: Vec<Flag>,
    /// Whether to look at the environment and the folder one stands in; tests don't.
    pub surroundings: bool,
}
