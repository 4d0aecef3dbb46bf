//! Which calls are watched: the first of every stretch of time, so few that looking at all of a
//! window costs nothing, and so many that its rates are those of all calls.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A stretch of time.
const STRETCH: Duration = Duration::from_millis(100);
/// Calls of a stretch that are watched: more than any breaker wants before it judges.
const WATCHED: u32 = 20;

/// Takes the first calls of every stretch.
#[derive(Debug, Default)]
pub(super) struct Sample(Mutex<Option<Stretch>>);

#[derive(Debug, Clone, Copy)]
struct Stretch {
    since: Instant,
    calls: u32,
}

impl Sample {
    /// Whether the call that begins now is among them.
    pub(super) fn takes(&self) -> bool {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let stretch = current.filter(|stretch| now.duration_since(stretch.since) < STRETCH);
        let mut stretch = stretch.unwrap_or(Stretch { since: now, calls: 0 });
        stretch.calls = stretch.calls.saturating_add(1);
        *current = Some(stretch);
        stretch.calls <= WATCHED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_calls_of_every_stretch_are_taken() {
        let sample = Sample::default();
        let taken = || (0..WATCHED * 3).filter(|_| sample.takes()).count();
        assert_eq!(taken(), 20);
        tokio::time::advance(STRETCH / 2).await;
        assert_eq!(taken(), 0, "the stretch isn't over");
        tokio::time::advance(STRETCH / 2).await;
        assert_eq!(taken(), 20);
    }
}
