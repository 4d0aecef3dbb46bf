//! Aggregates as the log has them, the recent ones in memory. One caller at a time per stream and process has a
//! state; a cached state never changes, and only a successful append leaves one.

mod by_type;
mod loaded;

use crate::error::StoreError;
use crate::log::appender::Appender;
use crate::log::event::{RecordedEvent, StreamId};
use crate::log::stream_loader::StreamLoader;
pub(crate) use by_type::AggregateStores;
use cqrs_es::{Aggregate, DomainEvent};
pub use loaded::Loaded;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, UnitWeighter};
use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use tokio::sync::Mutex;

/// How an event of `A` is read from its row.
pub type DecodeEvent<A> = fn(&RecordedEvent) -> Result<<A as Aggregate>::Event, StoreError>;

/// A state that a successful append left.
struct Cached<A> {
    state: Arc<A>,
    version: i64,
    /// The appender's generation at that time: after a lost connection no older state is relied on.
    generation: u64,
}

/// A stream's place in the cache; its mutex is the stream's lock.
type Slot<A> = Arc<Mutex<Option<Cached<A>>>>;

/// The places of the recent streams.
type Slots<A> = Cache<i64, Slot<A>, UnitWeighter, DefaultHashBuilder, StaysWhileInUse>;

/// A stream that a caller has locked, or waits for, keeps its place: a second place would be a second lock.
#[derive(Clone)]
struct StaysWhileInUse;

impl<A> Lifecycle<i64, Slot<A>> for StaysWhileInUse {
    type RequestState = ();

    fn is_pinned(&self, _number: &i64, slot: &Slot<A>) -> bool {
        Arc::strong_count(slot) > 1
    }
}

/// All aggregates of one type.
pub struct AggregateStore<A: Aggregate>(Arc<Inner<A>>);

struct Inner<A: Aggregate> {
    slots: Slots<A>,
    loader: StreamLoader,
    appender: Appender,
    decode: DecodeEvent<A>,
    hits: metrics::Counter,
    misses: metrics::Counter,
    assumed_new: metrics::Counter,
}

impl<A: Aggregate> Clone for AggregateStore<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: Aggregate> fmt::Debug for AggregateStore<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AggregateStore").field("type", &A::TYPE).finish_non_exhaustive()
    }
}

impl<A: Aggregate + Clone + 'static> AggregateStore<A> {
    fn new(entries: u64, loader: StreamLoader, appender: Appender, decode: DecodeEvent<A>) -> Self {
        let name = "gdmarket_aggregate_cache_total";
        Self(Arc::new(Inner {
            slots: slots(entries),
            loader,
            appender,
            decode,
            hits: metrics::counter!(name, "aggregate" => A::TYPE, "result" => "hit"),
            misses: metrics::counter!(name, "aggregate" => A::TYPE, "result" => "miss"),
            assumed_new: metrics::counter!(name, "aggregate" => A::TYPE, "result" => "assumed-new"),
        }))
    }

    /// Locks the stream and reads its state: from memory, else from the log. It is unlocked when the [`Loaded`] is
    /// dropped or has appended.
    pub async fn lock(&self, number: i64) -> Result<Loaded<A>, StoreError> {
        let mut loaded = self.lock_assuming_new(number).await;
        if loaded.is_assumed_new() {
            loaded.refresh().await?;
        }
        Ok(loaded)
    }

    /// As [`AggregateStore::lock`], but a stream that isn't in memory is assumed new and not read. For a command that
    /// begins a stream: its append is refused if the stream exists.
    pub async fn lock_assuming_new(&self, number: i64) -> Loaded<A> {
        let made =
            self.0.slots.get_or_insert_with(&number, || Ok::<_, Infallible>(Slot::default()));
        let Ok(slot) = made;
        Loaded::assumed_new(self.clone(), number, slot.lock_owned().await)
    }

    /// Folds the stream's events after `version` onto `state`.
    async fn fold(
        &self,
        number: i64,
        state: &mut Arc<A>,
        mut version: i64,
    ) -> Result<i64, StoreError> {
        let stream = StreamId { kind: Cow::Borrowed(A::TYPE), number };
        for event in &self.0.loader.read((stream, version)).await? {
            if let Some(reason) = event.damage_reason() {
                return Err(StoreError::Corrupt(format!("{event}: {reason}")));
            }
            if event.sequence != version + 1 {
                return Err(StoreError::Corrupt(format!("{event} comes after {version}")));
            }
            Arc::make_mut(state).apply((self.0.decode)(event)?);
            version = event.sequence;
        }
        Ok(version)
    }
}

fn slots<A>(entries: u64) -> Slots<A> {
    let expected = usize::try_from(entries).unwrap_or(usize::MAX);
    Cache::with(expected, entries, UnitWeighter, DefaultHashBuilder::default(), StaysWhileInUse)
}

/// Reads events whose wire format never changed: the version of the row must be the program's.
pub(crate) fn decode_as_is<A: Aggregate>(event: &RecordedEvent) -> Result<A::Event, StoreError> {
    let version = |text: &str| text.parse::<f64>().ok();
    match serde_json::from_str::<A::Event>(&event.payload) {
        Ok(decoded) if decoded.event_version() == event.event_version => Ok(decoded),
        Ok(decoded) if version(&event.event_version) > version(&decoded.event_version()) => {
            Err(StoreError::Newer)
        }
        Ok(_) => Err(StoreError::Corrupt(format!("{event}: an old version"))),
        Err(error) => Err(StoreError::Corrupt(format!("{event}: {error}"))),
    }
}
