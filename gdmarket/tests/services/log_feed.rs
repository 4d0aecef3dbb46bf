//! Another process reads a server's log through `HttpFeed`: completely and in order, while it is written, across
//! kill -9 and restart of its owner, and never the events of another log.

use crate::shared_keys::shared_keys;
use gdmarket_commands::SystemClock;
use gdmarket_domain::{Service, Services};
use gdmarket_projections::{Delivery, Feed as _, FeedError, RecordedEvent};
use gdmarket_store::{Store, StoreOptions};
use gdmarket_testkit::{
    KeysFile, Server, ServerOptions, TestDb, eventually, on_each_engine, times,
};
use gdmarket_transport::{HttpFeed, SourceClient, SourceOptions};
use reqwest::Client;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout};

const KEY: &str = "a1";
const KILLS: usize = 5;
const SOON: Duration = Duration::from_mins(1);

fn server(file: &KeysFile) -> ServerOptions {
    ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket")).variable(KeysFile::VARIABLE, &file.path())
}

/// A client of a server that has all services, as none of them.
fn client(server: &Server, key: &str) -> SourceClient {
    let options = SourceOptions {
        own_services: Services::NONE,
        poll_interval: Duration::from_millis(100),
        ..SourceOptions::new(Services::ALL, server.url(""), Service::Item)
    };
    SourceClient::new(options, shared_keys(key), Arc::new(SystemClock)).unwrap()
}

async fn connected(server: &Server) -> HttpFeed {
    let feed = HttpFeed::new(client(server, KEY));
    feed.ready().await.unwrap();
    feed
}

/// Registers and reserves items until it is stopped; requests may fail, since the server is killed meanwhile.
async fn write(url: String, stop: Arc<AtomicBool>) {
    let client = Client::new();
    while !stop.load(Ordering::SeqCst) {
        let item = json!({"itemName": "Camera", "itemPrice": 100});
        let Ok(item) = client.post(format!("{url}/items")).json(&item).send().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let item: Value = item.json().await.unwrap_or_default();
        let body = json!({"customerName": "Kim", "customerId": 7, "itemNo": item["itemNo"]});
        drop(client.post(format!("{url}/reservations")).json(&body).send().await);
    }
}

/// Follows the log with pages of changing sizes until it is stopped and has reached the head.
async fn follow(feed: Arc<HttpFeed>, stop: Arc<AtomicBool>) -> Vec<Delivery> {
    let (mut all, mut reached, mut size) = (vec![], 0, 0);
    loop {
        size = size % 17 + 1;
        match feed.read_after(reached, size).await {
            Ok(page) if page.is_empty() => {
                if stop.load(Ordering::SeqCst) && feed.head().await.ok() == Some(reached) {
                    return all;
                }
                feed.wait_past(reached, Instant::now() + Duration::from_millis(200)).await;
            }
            Ok(page) => {
                reached = page.last().unwrap().event.position;
                all.extend(page);
            }
            Err(FeedError::Unreachable(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(other) => panic!("{other}"),
        }
    }
}

async fn whole_log(db: &TestDb) -> Vec<RecordedEvent> {
    let options = StoreOptions { url: db.url().to_owned(), ..StoreOptions::default() };
    let store = Store::open(&options).await.unwrap();
    let log = store.log().read_after(0, 1_000_000).await.unwrap();
    store.close().await;
    log
}

on_each_engine! {
    async fn log_is_read_completely_and_in_order_while_its_owner_is_killed(db: &TestDb) {
        let file = KeysFile::new(KEY);
        let mut server = server(&file).on(db).start().await;
        let feed = Arc::new(connected(&server).await);
        let (stop_writing, stop_reading) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let writing = tokio::spawn(write(server.url(""), Arc::clone(&stop_writing)));
        let reading = tokio::spawn(follow(Arc::clone(&feed), Arc::clone(&stop_reading)));
        for _ in 0..times(KILLS) {
            let before = feed.known_head();
            eventually(SOON, || async {
                let head = feed.known_head();
                if head > before + 20 { Ok(()) } else { Err(head) }
            })
            .await;
            server.restart().await;
        }
        stop_writing.store(true, Ordering::SeqCst);
        writing.await.unwrap();
        stop_reading.store(true, Ordering::SeqCst);
        let read = timeout(SOON, reading).await.unwrap().unwrap();
        server.kill().await;

        let stored = whole_log(db).await;
        println!("{} events through {} kills", stored.len(), times(KILLS));
        assert!(stored.len() > 100);
        let mut previous = 0;
        for (delivery, event) in read.iter().zip(&stored) {
            assert_eq!((&*delivery.event, delivery.previous), (event, previous));
            previous = event.position;
        }
        assert_eq!(read.len(), stored.len());
    }

    async fn source_with_another_log_is_refused_and_named(db: &TestDb) {
        let file = KeysFile::new(KEY);
        let mut first = server(&file).on(db).start().await;
        let feed = connected(&first).await;
        let other = server(&file).start().await;
        let of_other = HttpFeed::of(client(&other, KEY), feed.source());
        let refused = of_other.read_after(0, 10).await;
        let Err(FeedError::Refused(why)) = refused else { panic!("{refused:?}") };
        assert!(why.contains(&other.url("")) && why.contains("another one"), "{why}");
        let epoch = feed.source().epoch;
        first.kill().await;
        raise_epoch(db).await;
        first.restart().await;
        let refused = feed.read_after(0, 10).await;
        let Err(FeedError::Refused(why)) = refused else { panic!("{refused:?}") };
        assert!(why.contains("migrate --restored"), "{why}");
        let now = connected(&first).await;
        assert!(now.source().epoch > epoch);
    }
}

/// As an operator does after a restore.
async fn raise_epoch(db: &TestDb) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_gdmarket"));
    command.args(["migrate", "--restored"]);
    match db.folder() {
        Some(folder) => command.env("GDMARKET__SERVER__DATA_DIR", folder),
        None => command.env("GDMARKET__DATABASE__URL", db.url()),
    };
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn source_whose_keys_differ_is_refused_until_they_are_the_same() {
    let file = KeysFile::new(KEY);
    let server = server(&file).start().await;
    let identity = connected(&server).await.source();
    let feed = HttpFeed::of(client(&server, "b2"), identity);
    let refused = feed.read_after(0, 10).await;
    let Err(FeedError::Refused(why)) = refused else { panic!("{refused:?}") };
    assert!(why.contains("service-token-refused") && why.contains("keys_file"), "{why}");
    file.write(KEY, Some("b2"));
    eventually(SOON, || async { feed.read_after(0, 10).await.map(drop) }).await;
}
