//! Items that come at a rate of their own, and how long the views take to show them.

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
/// How often it is looked how many items are due.
const TICK: Duration = Duration::from_millis(2);
/// Commands, and events, of an item.
const PER_ITEM: f64 = 3.0;
/// Items under way before the rest waits: then the rate isn't held.
const MOST_UNDER_WAY: u64 = 4_000;
/// A lag beyond this is told as this.
const LONGEST: Duration = Duration::from_secs(20);

/// What was held, and how far behind the views were.
#[derive(Clone, Copy, Default)]
pub(crate) struct Held {
    /// Commands per second.
    pub(crate) rate: f64,
    /// Milliseconds.
    pub(crate) lag_p50: f64,
    /// Milliseconds.
    pub(crate) lag_p99: f64,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rate, lag_p50, lag_p99 } = self;
        write!(f, "{rate:.0}/s, lag p50 {lag_p50:.1} ms, p99 {lag_p99:.1} ms")
    }
}

/// A market with its projections, under load again and again.
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

    /// Has items come at so many commands per second; comes back when the views have seen them all.
    pub(crate) async fn at(&mut self, rate: f64) -> anyhow::Result<Held> {
        let (answered, answers) = mpsc::unbounded_channel();
        let begun = Instant::now();
        let measuring = (begun + WARM_UP, begun + WARM_UP + self.measured);
        let watching = tokio::spawn(watch(self.applied.clone(), answers, measuring));
        let (under_way, meter) = (Arc::new(AtomicU64::new(0)), Arc::new(Meter::default()));
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut come = 0.0;
        while Instant::now() < measuring.1 {
            tick.tick().await;
            let due = begun.elapsed().as_secs_f64() * rate / PER_ITEM;
            while come < due && under_way.load(Ordering::Relaxed) < MOST_UNDER_WAY {
                come += 1.0;
                self.items += 1;
                under_way.fetch_add(1, Ordering::Relaxed);
                let (commands, n) = (self.ours.commands(), self.items);
                let (answered, under_way, meter) =
                    (answered.clone(), Arc::clone(&under_way), Arc::clone(&meter));
                tokio::spawn(async move {
                    let done = lifecycle(&commands, n, &meter).await;
                    let told = done.map(|position| answered.send((position, Instant::now())));
                    if !matches!(told, Ok(Ok(()))) {
                        eprintln!("item {n}: {told:?}");
                    }
                    under_way.fetch_sub(1, Ordering::Relaxed);
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
        Ok(Held { rate, lag_p50: at(50), lag_p99: at(99) })
    }

    pub(crate) async fn close(self) {
        self.ours.close().await;
    }
}

/// Waits for the views to apply what was answered; how many items were answered while it was
/// measured, and the lags of these in milliseconds.
async fn watch(
    applied: Applied,
    mut answers: mpsc::UnboundedReceiver<Answered>,
    (from, to): (Instant, Instant),
) -> (u32, Vec<f64>) {
    let (mut items, mut lags) = (0, Vec::new());
    while let Some((position, answered)) = answers.recv().await {
        applied.wait_views(position, answered + LONGEST).await;
        if (from..to).contains(&answered) {
            items += 1;
            lags.push(answered.elapsed().as_secs_f64() * 1000.0);
        }
    }
    (items, lags)
}
