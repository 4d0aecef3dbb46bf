//! The pause before a retry: a bound that doubles, and a random part below it, so that callers that failed
//! together don't retry together.

use std::time::Duration;

/// The pause before try number `attempt` (from 1), at most `cap`, and at least half of its bound.
pub(crate) fn pause(attempt: u32, cap: Duration) -> Duration {
    const FIRST: Duration = Duration::from_millis(50);
    let bound = FIRST.saturating_mul(1_u32 << attempt.saturating_sub(1).min(20)).min(cap);
    bound.div_f64(2.0) + bound.mul_f64(rand::random::<f64>() / 2.0)
}
