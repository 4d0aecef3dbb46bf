//! Numbers that were allocated before a caller needed them: a caller that comes in time takes one without a round trip
//! to the database.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a prefetched number may be given to a caller. After that another server, the copy of a lost one, may
/// believe that it was not allocated.
pub(super) const MAX_AGE: Duration = Duration::from_millis(100);

/// The prefetched numbers of each kind, shared by the callers and the task that allocates for all of them.
#[derive(Debug, Clone, Default)]
pub(super) struct PrefetchedNumbers(Arc<Mutex<BTreeMap<String, Prefetched>>>);

/// Allocated numbers of one kind that no caller has yet.
#[derive(Debug)]
struct Prefetched {
    numbers: Range<i64>,
    since: Instant,
}

impl PrefetchedNumbers {
    /// The next number of this kind, if there is one that is young enough.
    pub(super) fn take(&self, kind: &str) -> Option<i64> {
        let mut kinds = self.kinds();
        let prefetched = kinds.get_mut(kind);
        prefetched.filter(|prefetched| prefetched.since.elapsed() < MAX_AGE)?.numbers.next()
    }

    /// Keeps numbers that were allocated just now. Those that are left of this kind are too old by then, and are lost.
    pub(super) fn keep(&self, kind: String, numbers: Range<i64>) {
        self.kinds().insert(kind, Prefetched { numbers, since: Instant::now() });
    }

    /// Removes all numbers of one kind that are at least this old; `None` when there is no such kind.
    pub(super) fn remove_older(&self, age: Duration) -> Option<(String, Range<i64>)> {
        let mut kinds = self.kinds();
        let (kind, _) = kinds.iter().find(|(_, prefetched)| prefetched.since.elapsed() >= age)?;
        let kind = kind.clone();
        let prefetched = kinds.remove(&kind)?;
        Some((kind, prefetched.numbers))
    }

    /// Forgets the numbers of one kind.
    pub(super) fn forget(&self, kind: &str) {
        self.kinds().remove(kind);
    }

    /// Forgets all numbers; returns of how many kinds there were some.
    pub(super) fn forget_all(&self) -> usize {
        std::mem::take(&mut *self.kinds()).len()
    }

    fn kinds(&self) -> MutexGuard<'_, BTreeMap<String, Prefetched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn expired_numbers_are_given_to_no_caller() {
        let prefetched = PrefetchedNumbers::default();
        prefetched.keep("kind".to_owned(), 5..9);
        tokio::time::advance(MAX_AGE / 2).await;
        assert_eq!(prefetched.take("kind"), Some(5));
        tokio::time::advance(MAX_AGE / 2).await;
        assert_eq!(prefetched.take("kind"), None);
        assert_eq!(prefetched.remove_older(MAX_AGE), Some(("kind".to_owned(), 6..9)));
        assert_eq!(prefetched.remove_older(Duration::ZERO), None);
    }
}
