//! How long a part that died waits until it is started again.

use std::time::Duration;

/// The first delay.
const SHORTEST: Duration = Duration::from_millis(250);
/// The delay of a part that dies at once again and again.
const LONGEST: Duration = Duration::from_secs(30);
/// How long a part has to run so that its next delay is the first one again.
const STEADY: Duration = Duration::from_mins(1);

/// The delay before the next start: twice the one before, up to a limit.
#[derive(Debug)]
pub(super) struct RestartDelay {
    next: Duration,
}

impl Default for RestartDelay {
    fn default() -> Self {
        Self { next: SHORTEST }
    }
}

impl RestartDelay {
    /// The delay after a process that ran for this long.
    pub(super) fn after(&mut self, ran: Duration) -> Duration {
        if ran >= STEADY {
            *self = Self::default();
        }
        let now = self.next;
        self.next = now.saturating_mul(2).min(LONGEST);
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_that_dies_at_once_again_and_again_waits_longer_each_time() {
        let mut delay = RestartDelay::default();
        let delays: Vec<_> = (0..9).map(|_| delay.after(Duration::ZERO).as_millis()).collect();
        assert_eq!(delays, [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        assert_eq!(delay.after(STEADY), SHORTEST);
    }
}
