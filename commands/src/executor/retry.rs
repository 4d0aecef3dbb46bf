//! Pauses between tries after a conflict: full jitter below a doubling bound, until a deadline.
//!
//! Full jitter, because all that lost the same race would else come back at the same moment.

use std::time::Duration;
use tokio::time::Instant;

/// Retrying after a conflict: full jitter below a doubling bound, until a deadline.
#[derive(Debug, Clone)]
pub struct RetryOptions {
    /// The bound of the first pause.
    pub base: Duration,
    /// The bound that no pause exceeds.
    pub cap: Duration,
    /// After this long no further try is started.
    pub give_up_after: Duration,
}

impl Default for RetryOptions {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(2),
            cap: Duration::from_millis(100),
            give_up_after: Duration::from_secs(5),
        }
    }
}

/// The tries of one command.
pub(super) struct Retry<'a> {
    options: &'a RetryOptions,
    deadline: Instant,
    attempts: u32,
}

impl<'a> Retry<'a> {
    pub(super) fn new(options: &'a RetryOptions) -> Self {
        Self { options, deadline: Instant::now() + options.give_up_after, attempts: 1 }
    }

    /// How many tries were started.
    pub(super) const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Waits before the next try; false when the time is over.
    pub(super) async fn pause(&mut self) -> bool {
        let pause = self.options.pause(self.attempts);
        if Instant::now() + pause >= self.deadline {
            return false;
        }
        tokio::time::sleep(pause).await;
        self.attempts += 1;
        true
    }
}

impl RetryOptions {
    /// The bound of the pause after this many tries.
    fn bound(&self, attempts: u32) -> Duration {
        let doubled = 1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
        self.base.saturating_mul(doubled).min(self.cap)
    }

    fn pause(&self, attempts: u32) -> Duration {
        self.bound(attempts).mul_f64(rand::random())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_stay_below_a_doubling_bound() {
        let options = RetryOptions::default();
        for attempts in 1..80 {
            let bound = options.bound(attempts);
            assert!(bound <= options.cap);
            assert!(attempts < 5 || bound >= options.base * 16);
            assert!(options.pause(attempts) <= bound);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_attempt_starts_after_the_deadline() {
        let options = RetryOptions::default();
        let start = Instant::now();
        let mut retry = Retry::new(&options);
        while retry.pause().await {}
        assert!(start.elapsed() <= options.give_up_after);
        assert!(retry.attempts() > 20);
    }
}
