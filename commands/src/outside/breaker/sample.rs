//! Which verdicts a breaker takes: the first of every stretch of time, so few that looking at all of a
//! window costs nothing, and so many that its rates are those of all calls.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A stretch of time.
const STRETCH: Duration = Duration::from_millis(100);
/// Verdicts of a stretch that are taken at least.
const TAKEN: usize = 20;

/// Takes the first verdicts of every stretch.
#[derive(Debug)]
pub(super) struct Sample {
    current: Mutex<Option<Stretch>>,
    taken: usize,
}

#[derive(Debug, Clone, Copy)]
struct Stretch {
    since: Instant,
    verdicts: usize,
}

impl Sample {
    /// For a breaker that judges by no fewer than so many calls: one stretch is enough for it.
    pub(super) fn for_at_least(minimum_verdicts: usize) -> Self {
        Self { current: Mutex::default(), taken: TAKEN.max(minimum_verdicts) }
    }

    /// Whether the verdict that comes now is among them.
    pub(super) fn takes(&self) -> bool {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let stretch = current.filter(|stretch| now.duration_since(stretch.since) < STRETCH);
        let mut stretch = stretch.unwrap_or(Stretch { since: now, verdicts: 0 });
        stretch.verdicts = stretch.verdicts.saturating_add(1);
        *current = Some(stretch);
        stretch.verdicts <= self.taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_verdicts_of_every_stretch_are_taken() {
        let sample = Sample::for_at_least(4);
        let taken = || (0..TAKEN * 3).filter(|_| sample.takes()).count();
        assert_eq!(taken(), 20);
        tokio::time::advance(STRETCH / 2).await;
        assert_eq!(taken(), 0, "the stretch isn't over");
        tokio::time::advance(STRETCH / 2).await;
        assert_eq!(taken(), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn a_breaker_that_wants_more_calls_gets_them_in_one_stretch() {
        let sample = Sample::for_at_least(30);
        assert_eq!((0..100).filter(|_| sample.takes()).count(), 30);
    }
}
