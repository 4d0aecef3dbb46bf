//! Limits how many log lines of one kind are written, so that a fault that many callers meet fills
//! neither the disk nor the operator's screen. Every kind has its own count; the first line after a
//! limited time reports how many were left out. Where lines of one kind have causes, the first line of each
//! cause is written in any case: a fault must not hide behind another one of its kind.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Causes of one kind whose first lines are written in one interval. Causes are texts without an end to
/// their number.
const MAX_CAUSES: usize = 16;

/// A limit for each kind of line. Kinds come from a closed set of the program's own words: a caller
/// must not be able to add one.
#[derive(Debug)]
pub struct LogLimit {
    lines: u32,
    interval: Duration,
    kinds: Mutex<BTreeMap<&'static str, Window>>,
}

/// The lines of one kind that were written since a moment.
#[derive(Debug)]
struct Window {
    since: Instant,
    written: u32,
    left_out: u64,
    /// Hashes of the causes that were met.
    causes: BTreeSet<u64>,
}

impl LogLimit {
    /// At most this many lines of a kind in every interval.
    pub const fn new(lines: u32, interval: Duration) -> Self {
        Self { lines, interval, kinds: Mutex::new(BTreeMap::new()) }
    }

    /// Whether a line of this kind is to be written now: `Some` with the number of lines that were left
    /// out before it, or `None`.
    pub fn admit(&self, kind: &'static str) -> Option<u64> {
        self.admit_at(kind, None, Instant::now())
    }

    /// As [`LogLimit::admit`], and `Some` too if this cause is the first of its kind in the interval.
    /// Causes that differ by numbers alone are one.
    pub fn admit_cause(&self, kind: &'static str, cause: &str) -> Option<u64> {
        self.admit_at(kind, Some(cause), Instant::now())
    }

    fn admit_at(&self, kind: &'static str, cause: Option<&str>, now: Instant) -> Option<u64> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let window = kinds.entry(kind).or_insert_with(|| Window::since(now));
        if now.saturating_duration_since(window.since) >= self.interval {
            *window = Window { left_out: window.left_out, ..Window::since(now) };
        }
        let is_new = cause.is_some_and(|cause| window.meets(cause));
        if window.written >= self.lines && !is_new {
            window.left_out = window.left_out.saturating_add(1);
            return None;
        }
        window.written = window.written.saturating_add(1);
        Some(std::mem::take(&mut window.left_out))
    }
}

impl Window {
    const fn since(now: Instant) -> Self {
        Self { since: now, written: 0, left_out: 0, causes: BTreeSet::new() }
    }

    /// Whether this cause is met for the first time; `false` if too many were.
    fn meets(&mut self, cause: &str) -> bool {
        let mut hash = DefaultHasher::new();
        for part in cause.split(|c: char| c.is_ascii_digit()).filter(|part| !part.is_empty()) {
            part.hash(&mut hash);
        }
        self.causes.len() < MAX_CAUSES && self.causes.insert(hash.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_kind_are_limited_and_the_next_one_reports_the_omitted() {
        let limit = LogLimit::new(2, Duration::from_secs(10));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(limit.admit_at("full", None, at(0)), Some(0));
        assert_eq!(limit.admit_at("full", None, at(1)), Some(0));
        assert_eq!(limit.admit_at("full", None, at(2)), None);
        assert_eq!(limit.admit_at("full", None, at(9)), None);
        assert_eq!(limit.admit_at("other", None, at(9)), Some(0), "every kind has its own count");
        assert_eq!(limit.admit_at("full", None, at(10)), Some(2));
        assert_eq!(limit.admit_at("full", None, at(11)), Some(0));
        assert_eq!(limit.admit_at("full", None, at(12)), None);
    }
    #[test]
    fn first_line_of_every_cause_is_written_up_to_a_limit() {
        let limit = LogLimit::new(2, Duration::from_secs(10));
        let start = Instant::now();
        let at = |cause: &str, seconds| {
            limit.admit_at("internal", Some(cause), start + Duration::from_secs(seconds))
        };
        assert_eq!(at("position 17 can't be read", 0), Some(0));
        assert_eq!(at("position 18 can't be read", 0), Some(0));
        assert_eq!(at("position 19 can't be read", 0), None);
        assert_eq!(at("a panic", 1), Some(1), "another fault is seen behind the first one");
        assert_eq!(at("a panic", 1), None);
        let names: Vec<String> =
            ('a'..='z').map(|name| format!("table {name} is missing")).collect();
        let written = names.iter().filter(|cause| at(cause, 2).is_some()).count();
        assert_eq!(written, MAX_CAUSES - 2, "causes can't fill the log either");
        assert_eq!(at("a panic", 10), Some(12));
    }
}
