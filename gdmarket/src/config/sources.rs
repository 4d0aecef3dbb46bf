//! The sources of settings.

use std::path::PathBuf;

/// A value from the command line.
#[derive(Debug, Clone)]
pub struct Flag {
    /// The flag, with its dashes.
    pub flag: &'static str,
    /// The key that it sets.
    pub key: &'static str,
    /// The value.
    pub value: String,
}

/// The sources to read.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file of `--config`, which must exist.
    pub file: Option<PathBuf>,
    /// Flags of the command line.
    pub flags: Vec<Flag>,
    /// Whether to read the environment and the working directory; tests don't.
    pub reads_environment: bool,
}
