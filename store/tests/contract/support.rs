//! A small aggregate and the helpers of the tests.

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use gdmarket_store::{
    Append, AppendError, Appended, Db, NamingEvent, NewEvent, NumberKind, ReceiptKind,
    RecordedEvent, Store, StoreOptions, StreamId,
};
use gdmarket_testkit::TestDb;
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, SqlitePool};
use std::time::Duration;
use uuid::Uuid;

/// The limit of every wait in these tests.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);

/// A counter with a limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counter {
    pub total: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum CounterEvent {
    Counted { by: i64 },
}

impl DomainEvent for CounterEvent {
    fn event_type(&self) -> String {
        "Counted".to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the counter is full")]
pub(crate) struct Full;

impl Aggregate for Counter {
    const TYPE: &'static str = "counter";
    type Command = i64;
    type Event = CounterEvent;
    type Error = Full;
    type Services = ();

    async fn handle(
        &mut self,
        by: Self::Command,
        _services: &Self::Services,
        sink: &EventSink<Self>,
    ) -> Result<(), Self::Error> {
        sink.write(CounterEvent::Counted { by }, self).await;
        Ok(())
    }

    fn apply(&mut self, event: Self::Event) {
        let CounterEvent::Counted { by } = event;
        self.total += by;
    }
}

pub(crate) fn options(db: &TestDb) -> StoreOptions {
    StoreOptions { url: db.url().to_owned(), ..StoreOptions::default() }
}

/// A migrated store.
pub(crate) async fn open(db: &TestDb) -> Store {
    Store::migrate_with(&options(db), &[NUMBERS]).await.unwrap();
    Store::open(&options(db)).await.unwrap()
}

pub(crate) const fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub(crate) fn stream(number: i64) -> StreamId {
    StreamId::new(Counter::TYPE, number)
}

/// The sequence of counters' numbers, which `PaymentRequested` names before a counter starts.
pub(crate) const NUMBERS: NumberKind<'static> = NumberKind {
    kind: "number",
    stream_types: &["counter"],
    named_by: Some(NamingEvent { event_type: "PaymentRequested", field: "paymentNo" }),
};

/// The statement that appends the first event of a stream, which names a number.
pub(crate) fn named(stream: i64, number: &str) -> String {
    format!(
        "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, \
         payload, metadata) VALUES ('reservation', '{stream}', 1, 'PaymentRequested', '1', \
         '{{\"PaymentRequested\": {{\"itemNo\": 9000, \"paymentNo\": {number}, \"amount\": 8000}}}}', '{{}}')"
    )
}

pub(crate) fn counted(by: i64) -> NewEvent {
    let payload = serde_json::to_string(&CounterEvent::Counted { by }).unwrap();
    NewEvent { event_type: "Counted".to_owned(), event_version: "1".to_owned(), payload }
}

/// An append of one event to a counter.
pub(crate) fn append(command: u128, number: i64, expected: i64) -> Append {
    Append {
        command_id: id(command),
        fingerprint: vec![7; 32],
        stream: stream(number),
        expected,
        events: vec![counted(1)],
        metadata: format!("{{\"command\":\"{command}\"}}"),
        kind: ReceiptKind::Done,
        personal: None,
    }
}

/// Sends these appends concurrently, so that they share one batch or a few.
pub(crate) async fn at_once(
    store: &Store,
    appends: Vec<Append>,
) -> Vec<Result<Appended, AppendError>> {
    let sending = appends.into_iter().map(|append| store.appender().append(append));
    futures::future::join_all(sending).await
}

/// All events, in order.
pub(crate) async fn whole_log(store: &Store) -> Vec<RecordedEvent> {
    let mut log: Vec<RecordedEvent> = Vec::new();
    loop {
        let after = log.last().map_or(0, |event| event.position);
        let events = store.log().read_after(after, 500).await.unwrap();
        if events.is_empty() {
            return log;
        }
        log.extend(events);
    }
}

/// The positions of these events.
pub(crate) fn positions(events: &[RecordedEvent]) -> Vec<i64> {
    events.iter().map(|event| event.position).collect()
}

/// Spawns the tasks; returns their handles.
pub(crate) fn spawn_each<T: Send + 'static, F>(
    tasks: impl IntoIterator<Item = F>,
) -> Vec<Spawned<T>>
where
    F: Future<Output = T> + Send + 'static,
{
    tasks.into_iter().map(tokio::spawn).collect()
}

pub(crate) type Spawned<T> = tokio::task::JoinHandle<T>;

/// Waits for all tasks; returns their results.
pub(crate) async fn all<T>(spawned: Vec<Spawned<T>>) -> Vec<T> {
    let joined = tokio::time::timeout(LIMIT, futures::future::join_all(spawned));
    joined.await.expect("all tasks end in time").into_iter().map(Result::unwrap).collect()
}

/// The log's database without the store.
pub(crate) async fn raw(db: &TestDb) -> Db {
    match db.folder() {
        None => Db::Postgres(PgPool::connect(db.url()).await.unwrap().into()),
        Some(folder) => {
            let url = format!("sqlite:{}", folder.join("log.db").display());
            let pool = SqlitePool::connect(&url).await.unwrap();
            Db::Sqlite { write: pool.clone().into(), read: pool.into() }
        }
    }
}
