//! How many files the process may have open: every connection is one.

use rustix::process::{Resource, getrlimit, setrlimit};

/// The most that are ever needed.
const ENOUGH: u64 = 65_536;
/// Files that aren't connections: the database's, the log's, the runtime's own.
const RESERVED: usize = 192;

/// Raises the soft limit as far as the system allows, and returns how many connections fit.
pub(crate) fn raise_limit() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(ENOUGH).min(ENOUGH);
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(wanted);
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, "the limit of open files can't be raised");
        }
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(ENOUGH).min(ENOUGH);
    let files = usize::try_from(files).unwrap_or(RESERVED);
    tracing::debug!(files, "open files are limited");
    // Where the limit is very low, half of it is for connections.
    files.saturating_sub(RESERVED).max(files.div_euclid(2))
}
