//! GDmarket: the item view is rebuilt with the live projector's fold, written, indexed and served.

use anyhow::ensure;
use async_trait::async_trait;
use gdmarket_projections::{Difference, ItemInfo, RebuildObserver, Replay, Replayed, View as _};
use gdmarket_store::{Store, StoreOptions, on_tx};
use tokio::time::Instant;

/// Serves the rebuilt view whatever differs.
pub(crate) struct Serve;

#[async_trait]
impl RebuildObserver for Serve {
    fn differs(&mut self, _: Difference) {}

    async fn serve(&mut self, _: &Replayed) -> bool {
        true
    }
}

/// Seconds from the request to the served view. No view is served before, so nothing is compared.
pub(crate) async fn item_info(url: &str, events: u32) -> anyhow::Result<f64> {
    let options = StoreOptions { url: url.to_owned(), ..StoreOptions::default() };
    let store = Store::open(&options).await?;
    let mut tx = store.views().begin().await?;
    // No view is served yet, and none is left of an earlier round.
    let table = ItemInfo::subscription();
    let none = format!("DROP TABLE IF EXISTS view_{table}; DELETE FROM generations");
    on_tx!(&mut tx, connection => {
        sqlx::raw_sql(&none).execute(connection).await.map(drop)
    })?;
    tx.commit().await?;
    let started = Instant::now();
    let replay = Replay::new(store.clone());
    let replayed = replay.rebuild("item-info", &mut Serve, &|_, _| {}).await?;
    let took = started.elapsed().as_secs_f64();
    ensure!(replayed.events == u64::from(events), "{replayed:?} of {events} events");
    store.close().await;
    Ok(took)
}
