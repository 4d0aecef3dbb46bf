//! Numbers that were drawn ahead: whoever comes in time takes one without a trip to the database.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a number that was drawn ahead is given: after that another server may believe that it isn't
/// drawn, the copy of a lost one.
pub(super) const FRESH: Duration = Duration::from_millis(100);

/// What is there of each kind, shared by those who draw and the one who draws for all.
#[derive(Debug, Clone, Default)]
pub(super) struct PrefetchedNumbers(Arc<Mutex<BTreeMap<String, Stock>>>);

/// Drawn, and nobody's yet.
#[derive(Debug)]
struct Stock {
    numbers: Range<i64>,
    since: Instant,
}

impl PrefetchedNumbers {
    /// The next number of this kind, if there is a fresh one.
    pub(super) fn take(&self, kind: &str) -> Option<i64> {
        let mut stocks = self.stocks();
        let stock = stocks.get_mut(kind).filter(|stock| stock.since.elapsed() < FRESH)?;
        stock.numbers.next()
    }

    /// Keeps numbers that have just been drawn. What was left of this kind has lain too long, and is lost.
    pub(super) fn keep(&self, kind: String, numbers: Range<i64>) {
        let stock = Stock { numbers, since: Instant::now() };
        self.stocks().insert(kind, stock);
    }

    /// Takes all of one kind whose numbers have lain here so long; `None` when there is no such kind.
    pub(super) fn remove_older(&self, age: Duration) -> Option<(String, Range<i64>)> {
        let mut stocks = self.stocks();
        let mut kinds = stocks.iter();
        let (kind, _) = kinds.find(|(_, stock)| stock.since.elapsed() >= age)?;
        let kind = kind.clone();
        let stock = stocks.remove(&kind)?;
        Some((kind, stock.numbers))
    }

    /// Gives up those of one kind.
    pub(super) fn forget(&self, kind: &str) {
        self.stocks().remove(kind);
    }

    /// Gives all up; of how many kinds.
    pub(super) fn lose(&self) -> usize {
        std::mem::take(&mut *self.stocks()).len()
    }

    fn stocks(&self) -> MutexGuard<'_, BTreeMap<String, Stock>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_has_lain_too_long_is_given_to_nobody() {
        let ahead = PrefetchedNumbers::default();
        ahead.keep("kind".to_owned(), 5..9);
        tokio::time::advance(FRESH / 2).await;
        assert_eq!(ahead.take("kind"), Some(5));
        tokio::time::advance(FRESH / 2).await;
        assert_eq!(ahead.take("kind"), None);
        assert_eq!(ahead.remove_older(FRESH), Some(("kind".to_owned(), 6..9)));
        assert_eq!(ahead.remove_older(Duration::ZERO), None);
    }
}
