//! The events of a real item service, an owner that has shown a part of them, and a reservation service's view and process
//! manager that read them.

use crate::shared_keys::shared_keys;
use async_trait::async_trait;
use axum::Router;
use axum::extract::{Query, State};
use axum::routing::get;
use chrono::{DateTime, Utc};
use gdmarket_commands::{NUMBERED, SystemClock};
use gdmarket_domain::payment::StartedPayment;
use gdmarket_domain::{PaymentNo, Service, Services};
use gdmarket_projections::{
    CommandContext, CommandPort, Delivery, Feed, Feeds, Filter, Handled, Identity, LogPage,
    LogSource, Options, OutgoingCommand, PageRequest, PortError, Projections,
};
use gdmarket_store::{Store, StoreOptions};
use gdmarket_testkit::{KeysFile, ServerOptions, TestDb, eventually};
use gdmarket_transport::{HttpFeed, SourceClient, SourceOptions};
use reqwest::Client;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

const KEY: &str = "a1";
/// An address at which nothing listens.
const NOWHERE: &str = "http://127.0.0.1:1";
const SOON: Duration = Duration::from_mins(2);
/// Callers that write at once.
const WRITERS: usize = 12;

/// The events of an item and alarm service.
pub(crate) struct RecordedLog {
    pub(crate) source: Identity,
    pub(crate) events: Vec<Delivery>,
}

impl RecordedLog {
    /// The log as it was after so many events.
    pub(crate) fn first(&self, count: usize) -> Self {
        let events = self.events.iter().take(count).cloned().collect();
        Self { source: self.source, events }
    }

    pub(crate) fn head(&self) -> i64 {
        self.events.last().map_or(0, |delivery| delivery.event.position)
    }
}

/// Lets a real server write so many events.
pub(crate) async fn recorded_log(count: usize) -> RecordedLog {
    let file = KeysFile::new(KEY);
    let server = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket"))
        .variable(KeysFile::VARIABLE, &file.path())
        .variable("GDMARKET__SERVER__SERVICES", "item,alarm")
        .variable("GDMARKET__SERVICES__RESERVATION__URL", NOWHERE)
        .start()
        .await;
    let feed = HttpFeed::new(client(&server.url("")));
    feed.ready().await.unwrap();
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let url = server.url("/items");
        // An item and its new price are two events and those of its alarm.
        writers.spawn(write_items(url, count / WRITERS / 3));
    }
    writers.join_all().await;
    let (mut events, mut reached): (Vec<Delivery>, i64) = (vec![], 0);
    while events.len() < count {
        let page = feed.read_after(reached, 1_000).await.unwrap();
        let Some(last) = page.last() else { break };
        reached = last.event.position;
        events.extend(page);
    }
    RecordedLog { source: feed.source(), events }
}

async fn write_items(url: String, items: usize) {
    let client = Client::new();
    for number in 0..items {
        let item = json!({"itemName": format!("Camera {number}"), "itemPrice": 100});
        let item = client.post(&url).json(&item).send().await.unwrap();
        let item: Value = item.json().await.unwrap();
        let price = json!({"itemPrice": 100 + number});
        let path = format!("{url}/{}", item["itemNo"]);
        let answer = client.patch(path).json(&price).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }
}

/// Reads a log as the reservation service.
fn client(url: &str) -> SourceClient {
    let services = Services::of(&[Service::Item, Service::Alarm]);
    let options = SourceOptions {
        poll_interval: Duration::from_millis(100),
        ..SourceOptions::new(services, url, Service::Reservation)
    };
    SourceClient::new(options, shared_keys(KEY), Arc::new(SystemClock)).unwrap()
}

/// The owner of a log, which has shown it up to some event.
pub(crate) struct PartialOwner {
    shown: Shown,
    url: String,
    _serving: Option<AbortOnDropHandle<()>>,
}

#[derive(Clone)]
struct Shown {
    log: Arc<RecordedLog>,
    /// The number of events that exist so far.
    count: Arc<AtomicUsize>,
}

impl PartialOwner {
    pub(crate) async fn start(log: Arc<RecordedLog>) -> Self {
        let shown = Shown { log, count: Arc::default() };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().route("/internal/log", get(page)).with_state(shown.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { shown, url, _serving: Some(AbortOnDropHandle::new(serving)) }
    }

    /// One that doesn't answer.
    pub(crate) fn away(log: Arc<RecordedLog>) -> Self {
        let shown = Shown { log, count: Arc::default() };
        Self { shown, url: NOWHERE.to_owned(), _serving: None }
    }

    pub(crate) fn log(&self) -> &RecordedLog {
        &self.shown.log
    }

    pub(crate) fn client(&self) -> SourceClient {
        client(&self.url)
    }

    /// Lets the log have all events up to this one.
    pub(crate) fn reveal(&self, event: usize) {
        self.shown.count.fetch_max(event + 1, Ordering::SeqCst);
    }
}

async fn page(State(shown): State<Shown>, Query(query): Query<HashMap<String, i64>>) -> String {
    let events = &shown.log.events[..shown.count.load(Ordering::SeqCst)];
    let after = |delivery: &&Delivery| delivery.event.position > query["after"];
    let limit = usize::try_from(query["limit"]).unwrap();
    let page = LogPage {
        source: shown.log.source,
        services: Services::of(&[Service::Item, Service::Alarm]),
        head: events.last().map_or(0, |delivery| delivery.event.position),
        deliveries: events.iter().filter(after).take(limit).cloned().collect(),
        is_cut: false,
    };
    page.to_ndjson()
}

/// What became of a log.
#[derive(Debug, PartialEq)]
pub(crate) struct Consumed {
    pub(crate) rows: Vec<String>,
}

/// The loops of a reservation service that read an item service's log.
pub(crate) struct LogConsumer {
    store: Store,
    projections: Projections,
    _db: TestDb,
}

impl LogConsumer {
    pub(crate) async fn start(feed: Arc<dyn Feed>) -> Self {
        let db = TestDb::sqlite();
        let options = StoreOptions { url: db.url().to_owned(), ..StoreOptions::default() };
        Store::migrate_with(&options, &NUMBERED).await.unwrap();
        let store = Store::open(&options).await.unwrap();
        let services = Services::of(&[Service::Reservation]);
        let of_items = BTreeSet::from(["item", "hold", "alarm"]);
        let source = LogSource { name: Some("item"), feed, aggregates: Some(of_items) };
        let feeds = Feeds::new(&store, Some(BTreeSet::from(["reservation"])), [source]);
        Projections::prepare_with_feeds(&store, &feeds, services).await.unwrap();
        let options = Options { services, ..Options::default() };
        let port = Arc::new(QuietPort);
        let projections = Projections::start_with_feeds(store.clone(), feeds, port, &options);
        Self { store, projections, _db: db }
    }

    /// Waits until all loops have read up to a position.
    pub(crate) async fn until_read(&self, position: i64) {
        eventually(SOON, || async {
            let mut progress = self.projections.applied().progress();
            progress.retain(|name, _| name.ends_with("@item"));
            let is_there = progress.values().all(|of| of.position >= position);
            if is_there && progress.len() >= 2 { Ok(()) } else { Err(progress) }
        })
        .await;
    }

    /// Waits until all loops have read up to the head, and returns what they made of it.
    pub(crate) async fn finish(self, head: i64) -> Consumed {
        self.until_read(head).await;
        let (queries, filter, mut rows) = (self.projections.queries(), Filter::default(), vec![]);
        let mut next = Some(0);
        while let Some(after) = next {
            let page = queries.items(&filter, PageRequest { after, limit: 500 }).await.unwrap();
            rows.extend(page.rows.iter().map(|row| format!("{row:?}")));
            next = page.next;
        }
        self.projections.stop().await;
        self.store.close().await;
        Consumed { rows }
    }
}

/// Answers every command with success.
struct QuietPort;

#[async_trait]
impl CommandPort for QuietPort {
    async fn execute(&self, _: OutgoingCommand) -> Result<Handled, PortError> {
        Ok(Handled::Done)
    }

    async fn settle_payment(
        &self,
        _: PaymentNo,
        _: Option<StartedPayment>,
        _: CommandContext,
    ) -> Result<Handled, PortError> {
        Ok(Handled::Done)
    }

    async fn refund_payment(&self, _: PaymentNo, _: CommandContext) -> Result<Handled, PortError> {
        Ok(Handled::Done)
    }

    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }
}
