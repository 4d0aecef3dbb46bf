//! The calls of the last while, counted: a sliding window in a few slices, each forgotten as a whole.

use super::CallOutcome;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// How many slices a window has: a call is forgotten at the latest a tenth of the window too early.
const SLICES: u128 = 10;

/// How many calls there were, and how many of them went badly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct CallCounts {
    pub(super) calls: u32,
    pub(super) failed: u32,
    pub(super) slow: u32,
}

impl CallCounts {
    const fn add(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.failed = self.failed.saturating_add(other.failed);
        self.slow = self.slow.saturating_add(other.slow);
    }
}

impl From<CallOutcome> for CallCounts {
    fn from(outcome: CallOutcome) -> Self {
        let (failed, slow) = match outcome {
            CallOutcome::Answered => (0, 0),
            CallOutcome::Failed => (1, 0),
            CallOutcome::Slow => (0, 1),
        };
        Self { calls: 1, failed, slow }
    }
}

/// Counts the calls of the last `length`, in memory that doesn't depend on how many there are.
#[derive(Debug)]
pub(super) struct CallWindow {
    start: Instant,
    slice_length: Duration,
    /// The slices that hold calls, by their number since `start`, oldest first.
    slices: VecDeque<(u128, CallCounts)>,
}

impl CallWindow {
    pub(super) fn new(length: Duration) -> Self {
        let slice_length = (length / 10).max(Duration::from_nanos(1));
        Self { start: Instant::now(), slice_length, slices: VecDeque::new() }
    }

    /// Counts a call that ended now; returns the counts of the whole window.
    pub(super) fn record(&mut self, outcome: CallOutcome) -> CallCounts {
        let current = self.start.elapsed().as_nanos() / self.slice_length.as_nanos();
        while self.slices.front().is_some_and(|(slice, _)| slice + SLICES <= current) {
            self.slices.pop_front();
        }
        match self.slices.back_mut() {
            Some((slice, counts)) if *slice == current => counts.add(outcome.into()),
            _ => self.slices.push_back((current, outcome.into())),
        }
        let mut all = CallCounts::default();
        self.slices.iter().for_each(|(_, counts)| all.add(*counts));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn every_call_of_the_window_counts() {
        let mut window = CallWindow::new(WINDOW);
        for _ in 0..10_000 {
            window.record(CallOutcome::Answered);
            window.record(CallOutcome::Failed);
            tokio::time::advance(WINDOW / 20_000).await;
        }
        let counts = window.record(CallOutcome::Slow);
        assert_eq!(counts, CallCounts { calls: 20_001, failed: 10_000, slow: 1 });
    }

    #[tokio::test(start_paused = true)]
    async fn calls_are_forgotten_after_the_window() {
        let mut window = CallWindow::new(WINDOW);
        for _ in 0..5 {
            window.record(CallOutcome::Failed);
        }
        tokio::time::advance(WINDOW / 2).await;
        assert_eq!(window.record(CallOutcome::Slow).calls, 6);
        tokio::time::advance(WINDOW / 2).await;
        let counts = window.record(CallOutcome::Answered);
        assert_eq!(counts, CallCounts { calls: 2, failed: 0, slow: 1 });
        tokio::time::advance(WINDOW * 100).await;
        assert_eq!(window.record(CallOutcome::Answered).calls, 1);
    }
}
