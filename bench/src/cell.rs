//! One cell of the table: a closed loop of callers, and its measurements.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How hard and how long a cell is driven.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Concurrent callers.
    pub concurrency: usize,
    /// How long the callers are measured, after the warm-up.
    pub measured: Duration,
}

/// The measurements of one candidate in one round.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The candidate's name.
    pub candidate: &'static str,
    /// Operations per second.
    pub per_second: f64,
    /// Latencies in microseconds at p50 and p99; `None` where the tool doesn't report them.
    pub latency: Option<(u64, u64)>,
    /// Commands that failed (busy, conflict); they are counted and not measured.
    pub errors: u64,
}

impl Cell {
    /// The cell with each operation counted `times` times, for comparison with candidates that count smaller ones.
    #[must_use]
    pub fn times(self, times: f64) -> Self {
        Self { per_second: self.per_second * times, ..self }
    }
}

const WARM_UP: Duration = Duration::from_millis(500);

/// Drives `lifecycle(meter, n)` from `pace.concurrency` callers, each waiting for its answer
/// before the next. A lifecycle reports each of its commands through [`Meter::command`].
pub async fn closed_loop<F, Fut>(candidate: &'static str, pace: Pace, lifecycle: F) -> Cell
where
    F: Fn(Arc<Meter>, u64) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send,
{
    let callers = vec![(); pace.concurrency];
    let until = tokio::time::sleep(pace.measured);
    closed_loop_of(candidate, callers, until, move |(), meter, n| lifecycle(meter, n)).await
}

/// Like [`closed_loop`], for callers with a value each (a connection), measured from the end of the warm-up
/// until `until` completes.
pub async fn closed_loop_of<C, F, Fut>(
    candidate: &'static str,
    callers: Vec<C>,
    until: impl Future<Output = ()>,
    lifecycle: F,
) -> Cell
where
    C: Clone + Send + Sync + 'static,
    F: Fn(C, Arc<Meter>, u64) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send,
{
    let meter = Arc::new(Meter::default());
    let next = Arc::new(AtomicU64::new(1));
    let callers: Vec<_> = callers
        .into_iter()
        .map(|own| {
            let (meter, next, lifecycle) =
                (Arc::clone(&meter), Arc::clone(&next), lifecycle.clone());
            tokio::spawn(async move {
                while !meter.stopped.load(Ordering::Relaxed) {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    lifecycle(own.clone(), Arc::clone(&meter), n).await;
                }
            })
        })
        .collect();
    tokio::time::sleep(WARM_UP).await;
    meter.measuring.store(true, Ordering::Relaxed);
    let started = Instant::now();
    until.await;
    meter.measuring.store(false, Ordering::Relaxed);
    let elapsed = started.elapsed();
    meter.stopped.store(true, Ordering::Relaxed);
    for caller in callers {
        if let Err(error) = caller.await {
            eprintln!("a caller of {candidate} ended: {error}");
        }
    }
    meter.into_cell(candidate, elapsed)
}

/// Counts and times commands while the cell is measured.
#[derive(Debug, Default)]
pub struct Meter {
    measuring: AtomicBool,
    stopped: AtomicBool,
    errors: AtomicU64,
    micros: std::sync::Mutex<Vec<u32>>,
}

impl Meter {
    /// Times one command; a failed one is counted as an error.
    pub async fn command<T, E>(&self, command: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let started = Instant::now();
        let done = command.await;
        if self.measuring.load(Ordering::Relaxed) {
            if done.is_ok() {
                let micros = u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX);
                if let Ok(mut all) = self.micros.lock() {
                    all.push(micros);
                }
            } else {
                self.errors.fetch_add(1, Ordering::Relaxed);
            }
        }
        done
    }

    fn into_cell(self: Arc<Self>, candidate: &'static str, elapsed: Duration) -> Cell {
        let mut micros =
            self.micros.lock().map(|mut all| std::mem::take(&mut *all)).unwrap_or_default();
        micros.sort_unstable();
        let at = |per_mille: usize| {
            let index = (micros.len() * per_mille / 1000).min(micros.len().saturating_sub(1));
            micros.get(index).copied().map_or(0, u64::from)
        };
        let count = u32::try_from(micros.len()).unwrap_or(u32::MAX);
        Cell {
            candidate,
            per_second: f64::from(count) / elapsed.as_secs_f64(),
            latency: Some((at(500), at(990))),
            errors: self.errors.load(Ordering::Relaxed),
        }
    }
}
