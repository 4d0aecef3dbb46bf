//! A split market with NATS: events reach the other process over their streams, and nothing is lost or done twice when
//! NATS dies, loses its streams, or when the processes that publish are killed.

use async_nats::jetstream;
use gdmarket_store::{Store, StoreOptions};
use gdmarket_testkit::{
    Engine, NatsServer, SplitMarket, SplitMarketOptions, TestDb, eventually, times,
};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
/// A reservation of each of them is made.
const ITEMS: usize = 24;
const KILLS: usize = 3;

async fn start(nats: &NatsServer, items: Engine) -> SplitMarket {
    SplitMarketOptions::new(env!("CARGO_BIN_EXE_gdmarket"))
        .process("item,alarm", items)
        .process("reservation,payment", Engine::Sqlite)
        .nats(&nats.url())
        .start()
        .await
}

async fn call(method: Method, url: String, body: &Value) -> (u16, Value) {
    let answer = Client::new().request(method, url).json(body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

fn item_body() -> Value {
    json!({"itemName": "Camera", "itemPrice": 100})
}

pub(crate) async fn register(market: &SplitMarket, items: usize) {
    for _ in 0..items {
        let url = market.url("item", "/items");
        let (status, item) = call(Method::POST, url, &item_body()).await;
        assert_eq!(status, 201, "{item}");
    }
}

/// Reserves an item; the answer may say that it isn't decided yet, but never that it can't be taken.
pub(crate) async fn reserve(market: &SplitMarket, item: usize) {
    let body = json!({"customerName": "Kim", "customerId": 7, "itemNo": item});
    let url = market.url("reservation", "/reservations");
    let (status, answer) = call(Method::POST, url, &body).await;
    assert!(matches!(status, 201 | 202), "{status} {answer}");
}

/// Waits until a reservation has this status.
pub(crate) async fn reaches(market: &SplitMarket, reservation: usize, status: &str) {
    let url = market.url("reservation", &format!("/reservations/{reservation}"));
    eventually(SOON, || async {
        let (_, found) = call(Method::GET, url.clone(), &json!({})).await;
        if found["status"] == status { Ok(()) } else { Err(found) }
    })
    .await;
}

/// The value of a metric of a service, 0 without it.
async fn metric(market: &SplitMarket, service: &str, line: &str) -> f64 {
    let text = reqwest::get(market.url(service, "/metrics")).await.unwrap().text().await.unwrap();
    let value = text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok());
    value.unwrap_or(0.0)
}

/// Waits until each process gets the other one's events over NATS.
pub(crate) async fn until_streaming(market: &SplitMarket) {
    for (service, source) in [("item", "reservation"), ("reservation", "item")] {
        let names = if source == "item" {
            ["item", "item,alarm"]
        } else {
            ["reservation", "reservation,payment"]
        };
        eventually(SOON, || async {
            for name in names {
                let line = format!("gdmarket_source_streaming{{source=\"{name}\"}}");
                if metric(market, service, &line).await > 0.5 {
                    return Ok(());
                }
            }
            Err(service)
        })
        .await;
    }
}

async fn positions_of_log(db: &TestDb) -> Vec<i64> {
    let options = StoreOptions { url: db.url().to_owned(), ..StoreOptions::default() };
    let store = Store::open(&options).await.unwrap();
    let log = store.log().read_after(0, 1_000_000).await.unwrap();
    store.close().await;
    log.iter().map(|event| event.position).collect()
}

pub(crate) async fn positions_of_stream(nats: &NatsServer, name: &str) -> Result<Vec<i64>, String> {
    let client = async_nats::connect(nats.url()).await.map_err(|error| error.to_string())?;
    let stream =
        jetstream::new(client).get_stream(name).await.map_err(|error| error.to_string())?;
    let state = stream.cached_info().state.clone();
    let mut positions = vec![];
    for sequence in state.first_sequence..=state.last_sequence {
        let message = stream.get_raw_message(sequence).await.map_err(|error| error.to_string())?;
        let position = message.headers.get("Gdmarket-Position").unwrap();
        positions.push(position.as_str().parse().unwrap());
    }
    Ok(positions)
}

/// Waits until a stream has exactly the events of a log, each once and in order.
pub(crate) async fn stream_is_log(nats: &NatsServer, name: &str, db: &TestDb) {
    eventually(SOON, || async {
        let (stream, log) = (positions_of_stream(nats, name).await, positions_of_log(db).await);
        if stream.as_ref() == Ok(&log) { Ok(()) } else { Err((stream, log)) }
    })
    .await;
}

#[tokio::test]
async fn rental_goes_through_two_processes_over_nats() {
    let nats = NatsServer::start().await;
    let market = start(&nats, Engine::Sqlite).await;
    until_streaming(&market).await;
    register(&market, 1).await;
    reserve(&market, 1).await;
    reaches(&market, 1, "Reserved").await;
    let pay = market.url("reservation", "/reservations/1/payment");
    let (status, paid) = call(Method::POST, pay, &json!({})).await;
    assert_eq!(status, 200, "{paid}");
    eventually(SOON, || async {
        match call(Method::POST, market.url("item", "/items/1/lend"), &json!({})).await {
            (200, _) => Ok(()),
            refused => Err(refused),
        }
    })
    .await;
    reaches(&market, 1, "Renting").await;
    stream_is_log(&nats, "GDMARKET_ITEM", market.db("item")).await;
    stream_is_log(&nats, "GDMARKET_RESERVATION", market.db("reservation")).await;
    for service in ["item", "reservation"] {
        assert!(metric(&market, service, "gdmarket_nats_connected").await > 0.5);
        let text =
            reqwest::get(market.url(service, "/metrics")).await.unwrap().text().await.unwrap();
        let is_over_nats = |line: &&str| {
            line.starts_with("gdmarket_source_events_total{") && line.contains("via=\"nats\"")
        };
        let line = text.lines().find(is_over_nats).unwrap();
        assert!(!line.ends_with(" 0"), "{line}");
    }
}

#[tokio::test]
async fn reserving_never_fails_while_nats_dies_and_loses_its_streams() {
    let mut nats = NatsServer::start().await;
    let market = start(&nats, Engine::Sqlite).await;
    register(&market, ITEMS * times(1)).await;
    let mut items = 1..=ITEMS * times(1);
    let part = ITEMS / KILLS / 2;
    for kill in 1..=times(KILLS) {
        nats.kill();
        for item in items.by_ref().take(part) {
            reserve(&market, item).await;
        }
        if kill % 2 == 0 {
            nats.wipe();
        }
        nats.restart().await;
        for item in items.by_ref().take(part) {
            reserve(&market, item).await;
        }
    }
    for reservation in 1..=ITEMS * times(1) {
        reaches(&market, reservation, "Reserved").await;
    }
    until_streaming(&market).await;
    stream_is_log(&nats, "GDMARKET_ITEM", market.db("item")).await;
    stream_is_log(&nats, "GDMARKET_RESERVATION", market.db("reservation")).await;
}

#[tokio::test]
async fn each_position_is_published_once_while_relays_are_killed_and_take_over() {
    let nats = NatsServer::start().await;
    let mut market = SplitMarketOptions::new(env!("CARGO_BIN_EXE_gdmarket"))
        .replicas("item,alarm", Engine::Postgres, 2)
        .process("reservation,payment", Engine::Sqlite)
        .nats(&nats.url())
        .start()
        .await;
    for kill in 0..times(2) {
        let name = if kill % 2 == 0 { "item,alarm" } else { "item,alarm#2" };
        let other = if kill % 2 == 0 { "item,alarm#2" } else { "item,alarm" };
        let url = market.server(other).url("/items");
        let writing = tokio::spawn(async move {
            for _ in 0..20 {
                let (status, item) = call(Method::POST, url.clone(), &item_body()).await;
                assert_eq!(status, 201, "{item}");
            }
        });
        market.kill(name).await;
        writing.await.unwrap();
        market.restart(name).await;
    }
    stream_is_log(&nats, "GDMARKET_ITEM", market.db("item")).await;
}
