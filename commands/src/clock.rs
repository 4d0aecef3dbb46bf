//! The only place that reads the time or makes ids.
//!
//! Decisions take their times from outside; the code that passes one on reads it from a [`Clock`], so
//! that a test can set the time.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

/// Where times and new ids come from.
pub trait Clock: Send + Sync + 'static {
    /// Now, in whole microseconds: what the log and the deadline rows keep, so that a time read
    /// back equals the one that was written.
    fn now(&self) -> DateTime<Utc>;

    /// A new id, ordered by time (version 7).
    fn new_id(&self) -> Uuid {
        #[expect(clippy::disallowed_methods, reason = "this is the place")]
        Uuid::now_v7()
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        #[expect(clippy::disallowed_methods, reason = "this is the place")]
        let now = Utc::now();
        now.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(now)
    }
}

/// A clock that doesn't move until it is set; for tests.
#[derive(Debug)]
pub struct FixedClock(Mutex<DateTime<Utc>>);

impl FixedClock {
    /// A clock that shows `now`.
    pub const fn new(now: DateTime<Utc>) -> Self {
        Self(Mutex::new(now))
    }

    /// Shows `now` from now on.
    pub fn set(&self, now: DateTime<Utc>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

impl Clock for FixedClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
