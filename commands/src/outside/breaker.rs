//! The circuit breaker as the market sees it: ask for a permit, then say how the call went.
//!
//! [`Breaker`] is ours, the mechanism behind it ([`resilience`]) a library's. A permit is taken
//! before anything is written and judged when the caller has its answer or stops waiting for it, so
//! a call that goes on after that (a payment, up to a minute) holds no place in the breaker.

mod resilience;
mod sample;

pub use resilience::{BreakerOptionsError, ResilienceBreaker};

use async_trait::async_trait;
use futures::future::BoxFuture;
use sample::Sample;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// When a dependency is left alone, and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct BreakerOptions {
    /// The rates are of the calls of this much time.
    pub window: Duration,
    /// Fewer calls than this in the window open nothing.
    pub minimum_calls: usize,
    /// The share of failed calls that opens it, above 0 up to 1.
    pub failure_rate: f64,
    /// The share of slow calls that opens it, above 0 up to 1.
    pub slow_rate: f64,
    /// How long it stays open before it probes.
    pub open_for: Duration,
    /// How many probes go at once, and must go well, before it closes.
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

/// How a call went, seen from the one who waited for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Answered in time; a definite "declined" is an answer.
    Answered,
    /// No answer within the answer limit.
    Slow,
    /// Down, or its answer was lost.
    Failed,
}

/// What a breaker lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BreakerState {
    /// Everything.
    Closed,
    /// A few probes.
    HalfOpen,
    /// Nothing.
    Open,
}

/// The breaker lets no call through now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the breaker is open")]
pub struct Open {
    /// When it may be worth another try.
    pub retry_after: Duration,
}

/// Decides whether a dependency is called at all.
#[async_trait]
pub trait Breaker: Send + Sync + 'static {
    /// A permit for one call. Dropped without a verdict it counts for nothing and gives its place
    /// back.
    async fn admit(&self) -> Result<Permit, Open>;

    /// What it lets through now.
    fn state(&self) -> BreakerState;
}

/// The right to one call.
#[must_use = "a permit without a verdict counts for nothing"]
pub struct Permit {
    failures: Slot,
    slowness: Slot,
    /// Which verdicts count; all do where there is none.
    sample: Option<Arc<Sample>>,
}

impl Permit {
    /// Says how the call went.
    pub async fn judge(self, verdict: Verdict) {
        if self.sample.is_none_or(|sample| sample.takes()) {
            self.failures.judge(verdict == Verdict::Failed).await;
            self.slowness.judge(verdict == Verdict::Slow).await;
        }
    }
}

/// A place in one circuit: the circuit's view of the call, waiting for its end. Dropping it frees
/// the place.
struct Slot {
    bad: oneshot::Sender<bool>,
    call: BoxFuture<'static, ()>,
}

impl Slot {
    async fn judge(self, bad: bool) {
        if self.bad.send(bad).is_ok() {
            self.call.await;
        }
    }
}
