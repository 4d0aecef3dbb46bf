//! Stock cqrs-es: its replay into its own view repository, as its documentation shows.

use cqrs_es::persist::{GenericQuery, QueryReplay};
use cqrs_es::{EventEnvelope, View};
use gdmarket_bench::database;
use gdmarket_domain::{Item, ItemEvent};
use postgres_es::{PostgresEventRepository, PostgresViewRepository};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;
use std::sync::Arc;
use tokio::time::Instant;

/// The view's table as postgres-es requires it.
const TABLE: &str = "DROP TABLE IF EXISTS item_view; CREATE TABLE item_view (view_id text NOT NULL, \
     version bigint CHECK (version >= 0) NOT NULL, payload json NOT NULL, PRIMARY KEY (view_id))";

/// The row of an item, with about the same content as GDmarket's.
#[derive(Debug, Default, Serialize, Deserialize)]
struct ItemView {
    item: Item,
    events: u64,
}

impl View<Item> for ItemView {
    fn update(&mut self, event: &EventEnvelope<Item>) {
        let event: ItemEvent = event.payload.clone();
        cqrs_es::Aggregate::apply(&mut self.item, event);
        self.events += 1;
    }
}

/// Events per second.
pub(crate) async fn rate(url: &str, events: u32) -> anyhow::Result<f64> {
    let admin = database::connect(url).await?;
    sqlx::raw_sql(TABLE).execute(&admin).await?;
    admin.close().await;
    let pool = PgPoolOptions::new().max_connections(10).connect(url).await?;
    let views = PostgresViewRepository::<ItemView, Item>::new("item_view", pool.clone());
    let query = GenericQuery::new(Arc::new(views));
    let replay = QueryReplay::new(PostgresEventRepository::new(pool.clone()), query);
    let started = Instant::now();
    replay.replay_all().await?;
    let took = started.elapsed().as_secs_f64();
    let taken: i64 = sqlx::query_scalar(
        "SELECT coalesce(sum((payload->>'events')::bigint), 0)::bigint FROM item_view",
    )
    .fetch_one(&pool)
    .await?;
    pool.close().await;
    anyhow::ensure!(taken == i64::from(events), "stock applied {taken} of {events} events");
    Ok(f64::from(events) / took)
}
