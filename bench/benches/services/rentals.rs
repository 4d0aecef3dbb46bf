//! Whole rentals in a closed loop: each neighbour reserves an item of its own, pays, takes it and brings it back.

use crate::people::People;
use gdmarket_bench::cell::{Meter, closed_loop_of};
use gdmarket_testkit::SplitMarket;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Between two attempts of a step that another service has to allow first. It is the same in every mode.
const PAUSE: Duration = Duration::from_millis(2);

/// Rentals per second.
pub(crate) async fn per_second(
    market: &SplitMarket,
    neighbours: usize,
    measured: Duration,
) -> anyhow::Result<f64> {
    let people = People::of(market);
    let mut callers = Vec::with_capacity(neighbours);
    for _ in 0..neighbours {
        callers.push((people.clone(), people.register().await?));
    }
    let renting = |(people, item_no): (People, i64), meter: Arc<Meter>, _| async move {
        if let Err(error) = meter.command(rental(&people, item_no)).await {
            eprintln!("item {item_no}: {error:#}");
        }
    };
    let cell = closed_loop_of("rentals", callers, sleep(measured), renting).await;
    anyhow::ensure!(cell.errors == 0, "{} rentals failed", cell.errors);
    Ok(cell.per_second)
}

async fn rental(people: &People, item_no: i64) -> anyhow::Result<()> {
    let reservation_no = people.reserve(item_no, None).await?;
    while !people.pay(reservation_no).await? {
        sleep(PAUSE).await;
    }
    while !people.lend(item_no).await? {
        sleep(PAUSE).await;
    }
    while !people.take_back(item_no).await? {
        sleep(PAUSE).await;
    }
    Ok(())
}
