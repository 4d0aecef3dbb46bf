//! Ends a connection that doesn't end by itself: its client sends nothing, sends a head too slowly, or
//! doesn't take its answers; or the server drains and the connection holds no complete request.

use super::activity::Activity;
use super::phase::Phase;
use crate::http_options::HttpOptions;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How long the rest of a body may take to arrive while the server drains.
const BODY_WHILE_DRAINING: Duration = Duration::from_secs(2);
/// The interval between two checks of a connection.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The fewest bytes that a client must read within its time limit. A client may read 1 KiB a second, and the
/// limit is 90 s by default; but its system makes room in steps of up to 64 KiB, so that less than the
/// product arrives within some limits.
const LEAST_TAKEN: u64 = 16 * 1024;

/// How long a connection may wait for its client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    /// Between two requests.
    pub(super) keep_alive: Duration,
    /// While the client reads almost nothing of its answers.
    pub(super) stalled_reader: Duration,
}

impl Timeouts {
    pub(super) const fn of(options: &HttpOptions) -> Self {
        Self { keep_alive: options.keep_alive, stalled_reader: options.stalled_reader }
    }
}

/// Checks a connection at intervals.
pub(super) struct Watch {
    pub(super) activity: Arc<Activity>,
    pub(super) phase: watch::Receiver<Phase>,
    pub(super) head_within: Duration,
    pub(super) timeouts: Timeouts,
    pub(super) is_http2: bool,
}

impl Watch {
    /// Serves a connection until it ends; `drain` makes it accept no further request.
    pub(super) async fn over<C, E>(mut self, serving: C, drain: impl Fn(Pin<&mut C>))
    where
        C: Future<Output = Result<(), E>>,
        E: std::fmt::Display,
    {
        tokio::pin!(serving);
        let activity = Arc::clone(&self.activity);
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut taken, mut draining, mut is_ending) = (Taken::new(), None, false);
        loop {
            tokio::select! {
                biased;
                ended = serving.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection broke");
                    }
                    return;
                }
                () = activity.is_cut() => return,
                () = activity.ends_after_answers(), if !is_ending => {
                    is_ending = true;
                    drain(serving.as_mut());
                }
                changed = self.phase.changed() => {
                    let phase = *self.phase.borrow_and_update();
                    if changed.is_err() || phase == Phase::Over {
                        return count_cut("end");
                    }
                    draining = Some(Instant::now());
                    drain(serving.as_mut());
                }
                _ = look.tick() => {}
            }
            if let Some(reason) = self.reason_to_end(&mut taken, draining) {
                return count_cut(reason);
            }
        }
    }

    fn reason_to_end(&self, taken: &mut Taken, draining: Option<Instant>) -> Option<&'static str> {
        let activity = &self.activity;
        // One stream of HTTP/2 that stalls is ended alone: see `StreamExecutor`.
        let is_stalled = if self.is_http2 { activity.is_full() } else { activity.is_blocked() };
        if taken.is_too_slow(is_stalled, activity.written(), self.timeouts.stalled_reader) {
            return Some("slow-reader");
        }
        if let Some(since) = draining.filter(|_| !activity.is_working() && !activity.is_blocked()) {
            // On HTTP/2 the client first learns which of its streams are answered.
            let is_incomplete = activity.is_answering();
            let limit = if is_incomplete {
                BODY_WHILE_DRAINING
            } else if self.is_http2 {
                LOOK_EVERY
            } else {
                Duration::ZERO
            };
            return (since.elapsed() >= limit).then_some("draining");
        }
        if activity.is_answering() || activity.is_blocked() {
            return None;
        }
        let is_head = !activity.has_requested() || (activity.is_head_started() && !self.is_http2);
        let limit = if is_head { self.head_within } else { self.timeouts.keep_alive };
        let reason = if is_head { "slow-head" } else { "idle" };
        (activity.waits_for() >= limit).then_some(reason)
    }
}

/// The bytes that a client has read of those offered to it.
pub(super) struct Taken {
    since: Instant,
    bytes: u64,
}

impl Taken {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), bytes: 0 }
    }

    /// Whether the client has blocked its answer for the whole limit and has read almost nothing of it
    /// meanwhile; `bytes` is the number of bytes that it has read in total.
    pub(super) fn is_too_slow(&mut self, is_blocked: bool, bytes: u64, within: Duration) -> bool {
        if is_blocked && self.since.elapsed() < within {
            return false;
        }
        let is_slow = is_blocked && bytes.saturating_sub(self.bytes) < LEAST_TAKEN;
        *self = Self { since: Instant::now(), bytes };
        is_slow
    }
}

pub(super) fn count_cut(reason: &'static str) {
    metrics::counter!("gdmarket_http_connections_cut_total", "reason" => reason).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const WITHIN: Duration = Duration::from_secs(90);

    /// Checks every second a client that reads `step` bytes every `every` seconds.
    async fn is_cut(step: u64, every: u64) -> bool {
        let (mut taken, mut bytes) = (Taken::new(), 0);
        for second in 1..600 {
            advance(Duration::from_secs(1)).await;
            if second % every == 0 {
                bytes += step;
            }
            if taken.is_too_slow(true, bytes, WITHIN) {
                return true;
            }
        }
        false
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_reads_1_kib_a_second_is_never_cut() {
        for seconds in [1, 7, 21, 43, 64] {
            assert!(!is_cut(seconds * 1024, seconds).await, "{seconds} KiB every {seconds} s");
        }
        assert!(is_cut(100, 1).await, "100 bytes a second");
        assert!(is_cut(1, 600).await, "nothing");
    }
}
