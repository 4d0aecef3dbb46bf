//! An open loop of items at a given rate, and the lag of the views.

use crate::ours::{Ours, lifecycle};
use anyhow::Context as _;
use gdmarket_bench::cell::Meter;
use gdmarket_projections::Applied;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

const WARM_UP: Duration = Duration::from_secs(1);
/// The interval between two counts of the items that are due.
const TICK: Duration = Duration::from_millis(2);
/// Commands, each with one event, per item.
const PER_ITEM: f64 = 3.0;
/// The limit of items in flight; further items wait, and the rate isn't reached.
const MAX_IN_FLIGHT: u64 = 4_000;
/// A longer lag counts as this.
const MAX_LAG: Duration = Duration::from_secs(20);

/// The rate that was reached, and the lag of the views.
#[derive(Clone, Copy, Default)]
pub(crate) struct Load {
    /// Commands per second.
    pub(crate) rate: f64,
    /// Milliseconds.
    pub(crate) lag_p50: f64,
    /// Milliseconds.
    pub(crate) lag_p99: f64,
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rate, lag_p50, lag_p99 } = self;
        write!(f, "{rate:.0}/s, lag p50 {lag_p50:.1} ms, p99 {lag_p99:.1} ms")
    }
}

/// A market with its projections, put under load repeatedly.
pub(crate) struct OpenLoop {
    ours: Ours,
    applied: Applied,
    measured: Duration,
    items: u64,
}

/// An answered item: its last position, and when the answer came.
type Answered = (i64, Instant);

impl OpenLoop {
    pub(crate) async fn open(url: &str, measured: Duration) -> anyhow::Result<Self> {
        let ours = Ours::open(url, true).await?;
        let applied = ours.projections.as_ref().context("projections")?.applied();
        Ok(Self { ours, applied, measured, items: 0 })
    }

    /// Sends items at this many commands per second; returns when the views have applied them all.
    pub(crate) async fn at(&mut self, rate: f64) -> anyhow::Result<Load> {
        let (answered, answers) = mpsc::unbounded_channel();
        let started = Instant::now();
        let measuring = (started + WARM_UP, started + WARM_UP + self.measured);
        let watching = tokio::spawn(watch(self.applied.clone(), answers, measuring));
        let (in_flight, meter) = (Arc::new(AtomicU64::new(0)), Arc::new(Meter::default()));
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut arrived = 0.0;
        while Instant::now() < measuring.1 {
            tick.tick().await;
            let due = started.elapsed().as_secs_f64() * rate / PER_ITEM;
            while arrived < due && in_flight.load(Ordering::Relaxed) < MAX_IN_FLIGHT {
                arrived += 1.0;
                self.items += 1;
                in_flight.fetch_add(1, Ordering::Relaxed);
                let (commands, n) = (self.ours.commands(), self.items);
                let (answered, in_flight, meter) =
                    (answered.clone(), Arc::clone(&in_flight), Arc::clone(&meter));
                tokio::spawn(async move {
                    let done = lifecycle(&commands, n, &meter).await;
                    let sent = done.map(|position| answered.send((position, Instant::now())));
                    if !matches!(sent, Ok(Ok(()))) {
                        eprintln!("item {n}: {sent:?}");
                    }
                    in_flight.fetch_sub(1, Ordering::Relaxed);
                });
            }
        }
        drop(answered);
        let (items, mut lags) = watching.await?;
        lags.sort_by(f64::total_cmp);
        let at = |share: usize| {
            let index = (lags.len() * share / 100).min(lags.len().saturating_sub(1));
            lags.get(index).copied().unwrap_or(f64::NAN)
        };
        let rate = f64::from(items) * PER_ITEM / self.measured.as_secs_f64();
        Ok(Load { rate, lag_p50: at(50), lag_p99: at(99) })
    }

    pub(crate) async fn close(self) {
        self.ours.close().await;
    }
}

/// Waits until the views have applied each answered item; returns the number of items that were answered
/// while the load was measured, and their lags in milliseconds.
async fn watch(
    applied: Applied,
    mut answers: mpsc::UnboundedReceiver<Answered>,
    (from, to): (Instant, Instant),
) -> (u32, Vec<f64>) {
    let (mut items, mut lags) = (0, Vec::new());
    while let Some((position, answered)) = answers.recv().await {
        applied.wait_views(position, answered + MAX_LAG).await;
        if (from..to).contains(&answered) {
            items += 1;
            lags.push(answered.elapsed().as_secs_f64() * 1000.0);
        }
    }
    (items, lags)
}
