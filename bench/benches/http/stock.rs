//! Stock cqrs-es + postgres-es behind axum, as their documentation shows: load, decide, store, answer. It
//! has no idempotency keys, allocates no numbers and has no views. One candidate writes the item alone,
//! the other both events of a GDmarket registration, each by a command of its own aggregate.

use crate::listen;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use gdmarket_domain::{Alarm, AlarmCommand, Item, ItemCommand, ItemNo, Money, PersonId};
use postgres_es::{PostgresCqrs, postgres_cqrs};
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// The item alone.
pub(crate) const ONE: &str = "stock, item alone";
/// The alarm and then the item.
pub(crate) const BOTH: &str = "stock, alarm and item";

/// The pool size with the best rate in the in-process benchmark.
const CONNECTIONS: u32 = 10;

struct Stock {
    items: PostgresCqrs<Item>,
    alarms: Option<PostgresCqrs<Alarm>>,
    last: AtomicI64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewItem {
    item_name: String,
    item_price: i64,
    owner_id: i64,
}

/// Serves until it is killed.
pub(crate) async fn serve(url: &str, both: bool) -> anyhow::Result<()> {
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).connect(url).await?;
    let stock = Stock {
        items: postgres_cqrs(pool.clone(), vec![], ()),
        alarms: both.then(|| postgres_cqrs(pool, vec![], ())),
        last: AtomicI64::new(0),
    };
    let router = Router::new().route("/items", post(register)).with_state(Arc::new(stock));
    Ok(axum::serve(listen().await?, router).await?)
}

async fn register(
    State(stock): State<Arc<Stock>>,
    Json(item): Json<NewItem>,
) -> Result<(StatusCode, Json<Value>), StatusCode> {
    let number = stock.last.fetch_add(1, Ordering::Relaxed) + 1;
    stock.register(number, item).await.map_err(|error| {
        eprintln!("{error}");
        StatusCode::INTERNAL_SERVER_ERROR
    })
}

impl Stock {
    async fn register(
        &self,
        number: i64,
        item: NewItem,
    ) -> anyhow::Result<(StatusCode, Json<Value>)> {
        let item_no = ItemNo::new(number)?;
        let id = number.to_string();
        if let Some(alarms) = &self.alarms {
            alarms.execute(&id, AlarmCommand::RaiseRegistration { item_no }).await?;
        }
        let command = ItemCommand::Register {
            item_no,
            owner_id: Some(PersonId::new(item.owner_id)?),
            item_name: item.item_name.clone(),
            item_price: Money::price(item.item_price)?,
        };
        self.items.execute(&id, command).await?;
        let body = json!({
            "itemNo": number, "itemName": item.item_name, "itemPrice": item.item_price,
            "ownerId": item.owner_id,
        });
        Ok((StatusCode::CREATED, Json(body)))
    }
}
