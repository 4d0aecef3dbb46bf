//! The log lines and the stored problem of a blocked loop.

use super::BLOCKED_PAUSE;
use std::sync::atomic::AtomicU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How often the log repeats that a loop is blocked.
const REMIND_EVERY: Duration = Duration::from_mins(1);

/// The log lines and the stored problem of a blocked loop.
#[derive(Debug)]
pub(crate) struct Blocked {
    /// Failed tries in a row.
    pub(super) attempts: AtomicU32,
    /// The kind of the last log line, and when it was written.
    pub(super) logged: Mutex<Option<(&'static str, Instant)>>,
    /// When the database was last known to hold no problem of this loop; `None` before the loop advances.
    cleared: Mutex<Option<Instant>>,
    /// When the source was last read; before that, when this loop began.
    source_read: Mutex<Instant>,
}

impl Default for Blocked {
    fn default() -> Self {
        Self {
            attempts: AtomicU32::default(),
            logged: Mutex::default(),
            cleared: Mutex::default(),
            source_read: Mutex::new(Instant::now()),
        }
    }
}

impl Blocked {
    /// Whether to log a line of this kind now: the first one, and then one per minute.
    pub(crate) fn is_to_be_logged(&self, kind: &'static str) -> bool {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = logged.is_some_and(|(of, at)| of == kind && at.elapsed() < REMIND_EVERY);
        if !is_known {
            *logged = Some((kind, Instant::now()));
        }
        !is_known
    }

    /// Whether the database may hold an earlier problem, or one that another replica stored.
    pub(super) fn may_be_noted(&self, alone: bool) -> bool {
        let cleared = *self.cleared.lock().unwrap_or_else(PoisonError::into_inner);
        cleared.is_none_or(|at| !alone && at.elapsed() >= BLOCKED_PAUSE)
    }

    /// Notes that the source was read.
    pub(super) fn source_was_read(&self) {
        *self.source_read.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// How long the source hasn't been read.
    pub(super) fn source_unread_for(&self) -> Duration {
        self.source_read.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    pub(super) fn set_cleared(&self, cleared: Option<Instant>) {
        *self.cleared.lock().unwrap_or_else(PoisonError::into_inner) = cleared;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_blocked_loop_is_logged_at_once_and_again_every_minute() {
        let blocked = Blocked::default();
        assert!(blocked.is_to_be_logged("blocked"), "at once");
        for minute in 1..=3 {
            for _ in 0..5 {
                tokio::time::advance(REMIND_EVERY / 6).await;
                assert!(!blocked.is_to_be_logged("blocked"), "within minute {minute}");
            }
            tokio::time::advance(REMIND_EVERY / 6).await;
            assert!(blocked.is_to_be_logged("blocked"), "after minute {minute}");
        }
        assert!(blocked.is_to_be_logged("waits"), "another reason is news");
        assert!(!blocked.is_to_be_logged("waits"));
    }
}
