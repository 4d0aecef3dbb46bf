//! What a rebuild costs those who send commands: their p99 with one rebuild after the other running
//! beside them, and without.

use crate::ours;
use crate::rebuild::Serve;
use gdmarket_bench::cell::{Cell, Pace};
use gdmarket_projections::Replay;
use gdmarket_store::{Store, StoreOptions};
use std::time::Duration;

/// Eight callers, each waiting for its answer: a busy market, not one that is overloaded already.
const PACE: Pace = Pace { concurrency: 8, measured: Duration::from_secs(5) };
/// Items of a cell are beyond those of the log and of the cells before.
const APART: u64 = 100_000_000;

/// p99 in microseconds per round: without a rebuild, and during.
pub(crate) async fn p99(url: &str, rounds: usize) -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
    let (mut without, mut with) = (vec![], vec![]);
    for round in 0..rounds {
        let after = APART * u64::try_from(2 * round + 1)?;
        without.push(micros(&ours::measure(url, PACE, false, after).await?));
        let options = StoreOptions { url: url.to_owned(), ..StoreOptions::default() };
        let store = Store::open(&options).await?;
        let rebuilding = {
            let replay = Replay::new(store.clone());
            tokio::spawn(async move {
                loop {
                    replay.rebuild("item-info", &mut Serve, &|_, _| {}).await?;
                }
                #[expect(unreachable_code, reason = "it says how the loop fails")]
                Ok::<(), gdmarket_projections::ReplayError>(())
            })
        };
        with.push(micros(&ours::measure(url, PACE, false, after + APART).await?));
        anyhow::ensure!(!rebuilding.is_finished(), "the rebuild failed: {:?}", rebuilding.await);
        rebuilding.abort();
        drop(rebuilding.await);
        store.close().await;
    }
    Ok((without, with))
}

fn micros(cell: &Cell) -> f64 {
    let p99 = cell.latency.map_or(0, |(_, p99)| p99);
    f64::from(u32::try_from(p99).unwrap_or(u32::MAX))
}
