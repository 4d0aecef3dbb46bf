//! Limits how many log lines of one kind are written, so that a fault that many callers meet fills
//! neither the disk nor the operator's screen. Every kind has its own count; the first line after a
//! limited time reports how many were left out.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A limit for each kind of line. Kinds come from a closed set of the program's own words: a caller
/// must not be able to add one.
#[derive(Debug)]
pub struct LogLimit {
    lines: u32,
    interval: Duration,
    kinds: Mutex<BTreeMap<&'static str, Window>>,
}

/// What was written of one kind since a moment.
#[derive(Debug, Clone, Copy)]
struct Window {
    since: Instant,
    written: u32,
    left_out: u64,
}

impl LogLimit {
    /// At most this many lines of a kind in every interval.
    pub const fn new(lines: u32, interval: Duration) -> Self {
        Self { lines, interval, kinds: Mutex::new(BTreeMap::new()) }
    }

    /// Whether a line of this kind is to be written now: `Some` with the number of lines that were left
    /// out before it, or `None`.
    pub fn admit(&self, kind: &'static str) -> Option<u64> {
        self.admit_at(kind, Instant::now())
    }

    fn admit_at(&self, kind: &'static str, now: Instant) -> Option<u64> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let window = kinds.entry(kind).or_insert(Window { since: now, written: 0, left_out: 0 });
        if now.saturating_duration_since(window.since) >= self.interval {
            window.since = now;
            window.written = 0;
        }
        if window.written >= self.lines {
            window.left_out = window.left_out.saturating_add(1);
            return None;
        }
        window.written += 1;
        Some(std::mem::take(&mut window.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_kind_are_limited_and_the_next_one_reports_how_many_were_left_out() {
        let limit = LogLimit::new(2, Duration::from_secs(10));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(limit.admit_at("full", at(0)), Some(0));
        assert_eq!(limit.admit_at("full", at(1)), Some(0));
        assert_eq!(limit.admit_at("full", at(2)), None);
        assert_eq!(limit.admit_at("full", at(9)), None);
        assert_eq!(limit.admit_at("other", at(9)), Some(0), "every kind has its own count");
        assert_eq!(limit.admit_at("full", at(10)), Some(2));
        assert_eq!(limit.admit_at("full", at(11)), Some(0));
        assert_eq!(limit.admit_at("full", at(12)), None);
    }
}
