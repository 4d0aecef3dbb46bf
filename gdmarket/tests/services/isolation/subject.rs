//! What a command is about: an item, and its reservation, prepared so far that the command is next.

use super::commands::is_lendable;
use crate::calls::SOON;
use gdmarket_domain::service::PersonCommand;
use gdmarket_testkit::{SplitMarket, eventually};
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// What a command is about.
#[derive(Debug, Clone, Default)]
pub(super) struct Subject {
    item_no: Option<i64>,
    reservation_no: Option<i64>,
}

/// How far the rental of a subject has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum PreparedStage {
    Nothing,
    Registered,
    Blocked,
    Reserved,
    Paid,
    Lent,
}

impl PreparedStage {
    /// The stage before a command.
    const fn before(command: PersonCommand) -> Self {
        match command {
            PersonCommand::RegisterItem => Self::Nothing,
            PersonCommand::ChangeItem
            | PersonCommand::DeleteItem
            | PersonCommand::BlockPeriod
            | PersonCommand::RequestReservation => Self::Registered,
            PersonCommand::UnblockPeriod => Self::Blocked,
            PersonCommand::PayReservation => Self::Reserved,
            PersonCommand::LendItem
            | PersonCommand::CancelReservation
            | PersonCommand::CancelPayment => Self::Paid,
            PersonCommand::ReturnItem => Self::Lent,
        }
    }
}

impl Subject {
    /// The body of a new item.
    pub(super) fn new_item() -> Value {
        json!({"itemName": "Camera", "itemPrice": 100})
    }

    /// The body of a new reservation of its item.
    pub(super) fn new_reservation(&self) -> Value {
        json!({"customerName": "Kim", "customerId": 7, "itemNo": self.item_no()})
    }

    /// The number of its item; 0, which no item has, before there is one.
    pub(super) fn item_no(&self) -> i64 {
        self.item_no.unwrap_or_default()
    }

    /// The number of its reservation; 0 before there is one.
    pub(super) fn reservation_no(&self) -> i64 {
        self.reservation_no.unwrap_or_default()
    }

    /// Takes over the numbers that a command has made.
    pub(super) fn learn(&mut self, made: &Value) {
        self.item_no = self.item_no.or_else(|| made["itemNo"].as_i64());
        self.reservation_no = self.reservation_no.or_else(|| made["reservationNo"].as_i64());
    }

    /// A new subject, prepared until this command is next.
    pub(super) async fn before(command: PersonCommand, market: &SplitMarket) -> Self {
        let stage = PreparedStage::before(command);
        let mut subject = Self::default();
        if stage >= PreparedStage::Registered {
            let item = taken(market, "item", "/items", Self::new_item()).await;
            subject.learn(&item);
        }
        let item = format!("/items/{}", subject.item_no());
        if stage == PreparedStage::Blocked {
            let block = super::commands::request(PersonCommand::BlockPeriod, &subject);
            taken(market, "item", &block.path, block.body).await;
        }
        if stage >= PreparedStage::Reserved {
            let made = taken(market, "reservation", "/reservations", subject.new_reservation());
            subject.learn(&made.await);
            subject.shows(market, "Reserved").await;
        }
        if stage >= PreparedStage::Paid {
            let path = format!("/reservations/{}/payment", subject.reservation_no());
            taken(market, "reservation", &path, json!({})).await;
            shows(market, "item", &item, is_lendable).await;
        }
        if stage >= PreparedStage::Lent {
            taken(market, "item", &format!("{item}/lend"), json!({})).await;
            subject.shows(market, "Renting").await;
        }
        subject
    }

    /// Waits until its reservation has this status.
    async fn shows(&self, market: &SplitMarket, status: &str) {
        let path = format!("/reservations/{}", self.reservation_no());
        shows(market, "reservation", &path, |found| found["status"] == status).await;
    }
}

/// The answer to a request, which is repeated under one key until it is taken: a breaker may still be open.
async fn taken(market: &SplitMarket, service: &str, path: &str, body: Value) -> Value {
    let key = format!("{:032x}", rand::random::<u128>());
    eventually(SOON, || async {
        let call = Client::new().request(Method::POST, market.url(service, path)).json(&body);
        let answer = call.header("idempotency-key", &key).send().await.unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or_default();
        if status.is_success() { Ok(body) } else { Err((status, body)) }
    })
    .await
}

/// Waits until a resource shows this.
async fn shows(market: &SplitMarket, service: &str, path: &str, is_shown: impl Fn(&Value) -> bool) {
    eventually(SOON, || async {
        let answer = Client::new().get(market.url(service, path)).send().await.unwrap();
        let found: Value = answer.json().await.unwrap_or_default();
        if is_shown(&found) { Ok(()) } else { Err(found) }
    })
    .await;
}
