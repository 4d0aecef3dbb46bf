//! The cost of a rebuild for callers that send commands: their p99 during a rebuild and without one.

use crate::ours;
use crate::rebuild::Serve;
use gdmarket_bench::cell::{Cell, Pace};
use gdmarket_projections::Replay;
use gdmarket_store::{Store, StoreOptions};
use std::time::Duration;
use tokio::time::Instant;

/// Eight callers in a closed loop: a busy market that is not overloaded.
const CALLERS: usize = 8;
/// How long the callers are measured without a rebuild.
const ALONE: Duration = Duration::from_secs(5);
/// The distance between the item numbers of two cells, which are beyond those of the log.
const APART: u64 = 100_000_000;

/// p99 in microseconds per round: without a rebuild, and during one.
pub(crate) async fn p99(url: &str, rounds: usize) -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
    let (mut without, mut with) = (vec![], vec![]);
    for round in 0..rounds {
        let after = APART * u64::try_from(2 * round + 1)?;
        let pace = Pace { concurrency: CALLERS, measured: ALONE };
        let alone = ours::measure(url, pace, false, after).await?;
        let options = StoreOptions { url: url.to_owned(), ..StoreOptions::default() };
        let store = Store::open(&options).await?;
        let replay = Replay::new(store.clone());
        let mut took = Ok(Duration::ZERO);
        let rebuilding = async {
            let started = Instant::now();
            let rebuilt = replay.rebuild("item-info", &mut Serve, &|_, _| {}).await;
            took = rebuilt.map(|_| started.elapsed());
        };
        let both = ours::measure_until(url, CALLERS, (false, after + APART), rebuilding).await?;
        store.close().await;
        let (alone_p99, p99) = (micros(&alone), micros(&both));
        eprintln!(
            "commands alone {:.0}/s, p99 {alone_p99} µs; while a rebuild took {:.1?}: {:.0}/s, p99 {p99} µs",
            alone.per_second, took?, both.per_second
        );
        without.push(alone_p99);
        with.push(p99);
    }
    Ok((without, with))
}

fn micros(cell: &Cell) -> f64 {
    let p99 = cell.latency.map_or(0, |(_, p99)| p99);
    f64::from(u32::try_from(p99).unwrap_or(u32::MAX))
}
