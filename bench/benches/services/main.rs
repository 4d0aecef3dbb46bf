//! How long an event of one service takes to its effect in another one: from the commit of a requested reservation in the
//! log of the reservation service to the commit of its hold in the log of the item service, over NATS and by polling.
//!
//! The load is an open loop of reservations of different items. Run by `cargo bench -p gdmarket-bench --bench services -- --help`.
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use anyhow::Context as _;
use clap::Parser;
use gdmarket_bench::program;
use gdmarket_store::{RecordedEvent, Store, StoreOptions};
use gdmarket_testkit::{Engine, NatsServer, SplitMarket, SplitMarketOptions, TestDb, eventually};
use reqwest::Client;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// The interval between two counts of the reservations that are due.
const TICK: Duration = Duration::from_millis(2);
/// Registrations at once, before the load.
const REGISTRATIONS: usize = 32;
/// How long the last effects may take.
const SETTLED_WITHIN: Duration = Duration::from_mins(2);

#[derive(Parser)]
#[command(about = "The time from an event in one service to its effect in another one")]
struct Args {
    /// Reservations per second.
    #[arg(long, default_value_t = 500)]
    rate: usize,
    /// Seconds of load.
    #[arg(long, default_value_t = 10)]
    seconds: usize,
    /// An argument that cargo bench passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let program = program::gdmarket()?;
    println!("| events over | events | p50 | p99 | longest |\n|---|---:|---:|---:|---:|");
    let nats = NatsServer::start().await;
    for (name, url) in [("NATS", Some(nats.url())), ("HTTP", None)] {
        let market = SplitMarketOptions::new(&program)
            .process("item,alarm", Engine::Sqlite)
            .process("reservation,payment", Engine::Sqlite);
        let market = match &url {
            Some(url) => market.nats(url),
            None => market,
        };
        let latencies = measure(market.start().await, &args).await?;
        let at = |share: usize| latencies.get(latencies.len() * share / 100).copied().unwrap_or(0);
        let longest = latencies.last().copied().unwrap_or(0);
        let [p50, p99, longest] = [at(50), at(99), longest].map(milliseconds);
        println!("| {name} | {} | {p50} | {p99} | {longest} |", latencies.len());
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a time for people")]
fn milliseconds(micros: i64) -> String {
    format!("{:.1} ms", micros as f64 / 1e3)
}

/// The times from event to effect in microseconds, ascending.
async fn measure(mut market: SplitMarket, args: &Args) -> anyhow::Result<Vec<i64>> {
    let items = args.rate * args.seconds;
    register(&market, items).await?;
    reserve(&market, args.rate, items).await?;
    eventually(SETTLED_WITHIN, || async {
        let holds = effects(market.db("item"), market.db("reservation")).await;
        match holds {
            Ok(holds) if holds.len() >= items => Ok(()),
            other => Err(other.map(|holds| holds.len())),
        }
    })
    .await;
    for name in market.names() {
        market.kill(&name).await;
    }
    effects(market.db("item"), market.db("reservation")).await
}

async fn register(market: &SplitMarket, items: usize) -> anyhow::Result<()> {
    let (client, url) = (Client::new(), market.url("item", "/items"));
    let mut writers = JoinSet::new();
    for writer in 0..REGISTRATIONS {
        let (client, url) = (client.clone(), url.clone());
        let count = items / REGISTRATIONS + usize::from(writer < items % REGISTRATIONS);
        writers.spawn(async move {
            let item = json!({"itemName": "Camera", "itemPrice": 100});
            for _ in 0..count {
                let request = client.post(&url).header("prefer", "respond-async").json(&item);
                request.send().await?.error_for_status()?;
            }
            anyhow::Ok(())
        });
    }
    writers.join_all().await.into_iter().collect()
}

/// Reserves each item once, so many per second.
async fn reserve(market: &SplitMarket, rate: usize, items: usize) -> anyhow::Result<()> {
    let (client, url) = (Client::new(), market.url("reservation", "/reservations"));
    let (mut requests, places) = (JoinSet::new(), Arc::new(Semaphore::new(512)));
    let started = tokio::time::Instant::now();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut sent = 0;
    while sent < items {
        tick.tick().await;
        let elapsed = usize::try_from(started.elapsed().as_micros())?;
        while sent < items.min(elapsed * rate / 1_000_000) {
            sent += 1;
            let place = Arc::clone(&places).acquire_owned().await?;
            let body = json!({"customerName": "Kim", "customerId": 7, "itemNo": sent});
            let request = client.post(&url).header("prefer", "respond-async").json(&body);
            requests.spawn(async move {
                let answer = request.send().await?.error_for_status();
                drop(place);
                answer.map(drop)
            });
        }
    }
    Ok(requests.join_all().await.into_iter().collect::<Result<(), _>>()?)
}

/// For each hold, the time since the request that caused it.
async fn effects(items: &TestDb, reservations: &TestDb) -> anyhow::Result<Vec<i64>> {
    let requests: HashMap<String, i64> = events(reservations, "ReservationRequested")
        .await?
        .into_iter()
        .map(|event| (event.position.to_string(), event.recorded_at))
        .collect();
    let mut times = vec![];
    for hold in events(items, "ItemHeld").await? {
        let metadata: Value = serde_json::from_str(&hold.metadata)?;
        let cause = metadata.get("causationPosition").and_then(Value::as_str);
        let requested_at = cause.and_then(|cause| requests.get(cause)).context("a hold's cause")?;
        times.push(hold.recorded_at - requested_at);
    }
    times.sort_unstable();
    Ok(times)
}

async fn events(db: &TestDb, event_type: &str) -> anyhow::Result<Vec<RecordedEvent>> {
    let store =
        Store::open(&StoreOptions { url: db.url().to_owned(), ..StoreOptions::default() }).await?;
    let mut all = store.log().read_after(0, u32::MAX).await?;
    store.close().await;
    all.retain(|event| event.event_type == event_type);
    Ok(all)
}
