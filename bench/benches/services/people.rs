//! The requests of neighbours, each to the service that it is for.

use anyhow::Context as _;
use gdmarket_testkit::SplitMarket;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

/// The addresses of the services, and connections to them.
#[derive(Clone)]
pub(crate) struct People {
    client: Client,
    items: String,
    reservations: String,
}

impl People {
    pub(crate) fn of(market: &SplitMarket) -> Self {
        Self {
            client: Client::new(),
            items: market.url("item", "/items"),
            reservations: market.url("reservation", "/reservations"),
        }
    }

    /// Registers an item; returns its number.
    pub(crate) async fn register(&self) -> anyhow::Result<i64> {
        let item = json!({"itemName": "Camera", "itemPrice": 100});
        let answer = self.client.post(&self.items).json(&item).send().await?.error_for_status()?;
        let item: Value = answer.json().await?;
        item.get("itemNo").and_then(Value::as_i64).context("a number")
    }

    /// Reserves an item for these days without waiting for the decision; returns the reservation's number.
    pub(crate) async fn reserve(
        &self,
        item_no: i64,
        days: Option<[String; 2]>,
    ) -> anyhow::Result<i64> {
        let mut body = json!({"customerName": "Kim", "customerId": 7, "itemNo": item_no});
        if let (Some([from, to]), Some(fields)) = (days, body.as_object_mut()) {
            fields.insert("period".to_owned(), json!({"from": from, "to": to}));
        }
        let request = self.client.post(&self.reservations).header("Prefer", "respond-async");
        let answer = request.json(&body).send().await?.error_for_status()?;
        let reservation: Value = answer.json().await?;
        reservation.get("reservationNo").and_then(Value::as_i64).context("a number")
    }

    /// Pays a reservation; false while that can't be done yet.
    pub(crate) async fn pay(&self, reservation_no: i64) -> anyhow::Result<bool> {
        self.is_done(&format!("{}/{reservation_no}/payment", self.reservations)).await
    }

    /// Lends an item; false while that can't be done yet.
    pub(crate) async fn lend(&self, item_no: i64) -> anyhow::Result<bool> {
        self.is_done(&format!("{}/{item_no}/lend", self.items)).await
    }

    /// Takes an item back; false while that can't be done yet.
    pub(crate) async fn take_back(&self, item_no: i64) -> anyhow::Result<bool> {
        self.is_done(&format!("{}/{item_no}/return", self.items)).await
    }

    async fn is_done(&self, url: &str) -> anyhow::Result<bool> {
        let answer = self.client.post(url).json(&json!({})).send().await?;
        match answer.status() {
            StatusCode::CONFLICT => Ok(false),
            status if status.is_success() => Ok(true),
            status => anyhow::bail!("{url}: {status}: {}", answer.text().await?),
        }
    }
}
