//! The circuit breaker of a dependency: a caller asks for a permit, calls, and records how the call went.
//!
//! A permit is taken before anything is written. Its outcome is recorded when the caller has its answer or
//! stops waiting for it, so a call that continues after that (a payment, up to a minute) holds no place in
//! the breaker. docs/adr/0018 says why the mechanism is our own.

mod call_window;
mod circuit_breaker;

pub use circuit_breaker::{CircuitBreaker, Permit};

use crate::error::Dependency;
use std::time::Duration;

/// When a dependency is left alone, and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct BreakerOptions {
    /// The rates are of the calls of this much time.
    pub window: Duration,
    /// The breaker stays closed while the window holds fewer calls than this.
    pub minimum_calls: usize,
    /// The share of failed calls that opens it, above 0 up to 1.
    pub failure_rate: f64,
    /// The share of slow calls that opens it, above 0 up to 1.
    pub slow_rate: f64,
    /// How long it stays open before it admits probes.
    pub open_for: Duration,
    /// How many probes may be in flight at once, and must succeed, before it closes.
    pub probes: usize,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(10),
            minimum_calls: 10,
            failure_rate: 0.5,
            slow_rate: 0.8,
            open_for: Duration::from_secs(5),
            probes: 2,
        }
    }
}

impl BreakerOptions {
    fn validate(&self, dependency: &'static str) -> Result<(), BreakerOptionsError> {
        let is_share = |rate: f64| rate > 0.0 && rate <= 1.0;
        let reason = if self.probes == 0 {
            "it needs at least one probe"
        } else if self.window.is_zero() {
            "its window must be longer than nothing"
        } else if !is_share(self.failure_rate) || !is_share(self.slow_rate) {
            "its rates must be above 0 and at most 1"
        } else {
            return Ok(());
        };
        Err(BreakerOptionsError { dependency, reason })
    }
}

/// The breaker's settings make no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the breaker of {dependency}: {reason}")]
pub struct BreakerOptionsError {
    dependency: &'static str,
    reason: &'static str,
}

/// How a call went for the caller that waited for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallOutcome {
    /// Answered in time; a definite "declined" is an answer.
    Answered,
    /// No answer within the answer limit.
    Slow,
    /// Down, or its answer was lost.
    Failed,
}

/// What a breaker admits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BreakerState {
    /// Every call.
    Closed,
    /// A few probes.
    HalfOpen,
    /// No call.
    Open,
}

/// A breaker as others see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerStatus {
    /// What is called.
    pub dependency: Dependency,
    /// Which calls are admitted.
    pub state: BreakerState,
    /// When more calls may be admitted; `None` while all are.
    pub retry_after: Option<Duration>,
}

/// The breaker admits no call now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the breaker is open")]
pub struct Open {
    /// When another try may succeed.
    pub retry_after: Duration,
}
