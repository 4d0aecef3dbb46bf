//! The feed of another service's log, with the faults that a test gives it.

use async_trait::async_trait;
use gdmarket_projections::{Delivery, Feed, FeedError};
use gdmarket_store::{Identity, RecordedEvent, Store};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::time::Instant;
use uuid::Uuid;

/// A feed over the log of a store.
pub(crate) struct TestFeed {
    store: Store,
    random: Mutex<StdRng>,
    /// The service doesn't answer.
    pub(crate) is_gone: AtomicBool,
    /// No event after this position is given yet.
    pub(crate) up_to: AtomicI64,
    /// Every reading begins with events that were given before.
    pub(crate) repeats: AtomicBool,
    /// Every second reading lacks an event.
    pub(crate) loses: AtomicBool,
    /// The log that it claims to be.
    pub(crate) identity: Mutex<Identity>,
}

impl TestFeed {
    pub(crate) fn new(store: Store, seed: u64) -> Arc<Self> {
        let identity = Mutex::new(*store.identity());
        Arc::new(Self {
            store,
            random: Mutex::new(StdRng::seed_from_u64(seed)),
            is_gone: AtomicBool::new(false),
            up_to: AtomicI64::new(i64::MAX),
            repeats: AtomicBool::new(false),
            loses: AtomicBool::new(false),
            identity,
        })
    }

    /// Claims to be another log.
    pub(crate) fn replace(&self) {
        self.identity.lock().unwrap().log_id = Uuid::from_u128(7);
    }

    fn answers(&self) -> Result<(), FeedError> {
        if self.is_gone.load(Ordering::SeqCst) {
            return Err(FeedError::Unreachable("the service is gone".to_owned()));
        }
        Ok(())
    }

    fn below(&self, limit: u32) -> u32 {
        self.random.lock().unwrap().random_range(0..limit.max(1))
    }
}

#[async_trait]
impl Feed for TestFeed {
    fn source(&self) -> Identity {
        *self.identity.lock().unwrap()
    }

    async fn read_after(&self, position: i64, limit: u32) -> Result<Vec<Delivery>, FeedError> {
        self.answers()?;
        let repeated = if self.repeats.load(Ordering::SeqCst) { self.below(10) } else { 0 };
        let after = (position - i64::from(repeated)).max(0);
        let limit = self.below(limit.min(5)) + 1 + repeated;
        let up_to = self.up_to.load(Ordering::SeqCst);
        let all = self.store.log().read_after(0, 100_000).await?;
        let mut previous = 0;
        let chain = |event: RecordedEvent| {
            let before = std::mem::replace(&mut previous, event.position);
            Delivery { previous: before, event: Arc::new(event) }
        };
        let asked = |delivery: &Delivery| (after + 1..=up_to).contains(&delivery.event.position);
        let chained = all.into_iter().map(chain).filter(asked);
        let mut page: Vec<Delivery> = chained.take(usize::try_from(limit).unwrap()).collect();
        if self.loses.load(Ordering::SeqCst) && page.len() > 1 && self.below(2) == 0 {
            let lost = self.below(u32::try_from(page.len()).unwrap());
            page.remove(usize::try_from(lost).unwrap());
        }
        Ok(page)
    }

    async fn at(&self, position: i64) -> Result<Option<Arc<RecordedEvent>>, FeedError> {
        self.answers()?;
        Ok(self.store.log().at(position).await?.map(Arc::new))
    }

    async fn head(&self) -> Result<i64, FeedError> {
        self.answers()?;
        Ok(self.store.log().head().await?)
    }

    fn known_head(&self) -> i64 {
        *self.store.tail().head().borrow()
    }

    async fn wait_past(&self, position: i64, until: Instant) {
        if self.up_to.load(Ordering::SeqCst) > position {
            self.store.tail().wait_past(position, until).await;
        } else {
            tokio::time::sleep_until(until).await;
        }
    }
}
