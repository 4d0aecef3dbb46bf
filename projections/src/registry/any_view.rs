//! A view as a trait object, independent of the type of its rows.

use crate::engine::feed::{Feed, Feeds};
use crate::engine::projector::{Projector, ProjectorParts};
use crate::engine::rebuild::{
    self, AsOf, BeginJoined, RebuildObserver, RebuildProgress, ReplayError, Replayed,
};
use crate::engine::subscription::Handler;
use crate::engine::view::{Join, View};
use crate::inspect::compatibility_check::{StreamFold, stream_fold};
use crate::inspect::fold_check::{AnyFold, FoldOf};
use async_trait::async_trait;
use gdmarket_store::Store;
use serde_json::Value;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// A view as a trait object.
pub(super) fn view<V: View>() -> Box<dyn AnyView> {
    Box::new(ViewOf::<V>(PhantomData))
}

/// The parts that the handler of a view's loop is made of.
pub(super) struct HandlerParts<'a> {
    pub(super) store: &'a Store,
    /// The logs that the view may be fed by.
    pub(super) feeds: &'a Feeds,
    /// The log that the loop reads.
    pub(super) feed: &'a Arc<dyn Feed>,
    /// How often to check for retries.
    pub(super) tick: Duration,
}

/// A view as a trait object, independent of the type of its rows.
#[async_trait]
pub(super) trait AnyView: Send + Sync {
    /// The view's name.
    fn name(&self) -> &'static str;
    /// The aggregate whose streams it folds.
    fn aggregate(&self) -> &'static str;
    /// The fold of one stream, without a table.
    fn stream_fold(&self) -> Box<dyn StreamFold>;
    /// The check of all its rows.
    fn fold_check(&self) -> Box<dyn AnyFold>;
    /// The name of its subscription.
    fn subscription(&self) -> String;
    /// The handler of its loop at one log.
    fn handler(&self, parts: HandlerParts<'_>) -> Arc<dyn Handler>;
    /// The fields of another view that are shown with its rows.
    fn join(&self) -> Option<Join>;
    /// The function that begins its build, for showing its fields with another view's rows.
    fn begin_joined(&self) -> BeginJoined;
    /// See [`rebuild::ensure_built`].
    async fn ensure_built(&self, store: &Store, feeds: &Feeds) -> Result<(), ReplayError>;
    /// See [`rebuild::rebuild`].
    async fn rebuild(
        &self,
        store: &Store,
        feeds: &Feeds,
        observer: &mut dyn RebuildObserver,
        progress: RebuildProgress<'_>,
    ) -> Result<Replayed, ReplayError>;
    /// See [`rebuild::as_of`].
    async fn as_of(
        &self,
        store: &Store,
        as_of: AsOf,
        show: &mut (dyn FnMut(Value) + Send),
        progress: RebuildProgress<'_>,
    ) -> Result<u64, ReplayError>;
}

struct ViewOf<V>(PhantomData<fn() -> V>);

#[async_trait]
impl<V: View> AnyView for ViewOf<V> {
    fn name(&self) -> &'static str {
        V::NAME
    }

    fn aggregate(&self) -> &'static str {
        V::AGGREGATE
    }

    fn stream_fold(&self) -> Box<dyn StreamFold> {
        stream_fold::<V>()
    }

    fn fold_check(&self) -> Box<dyn AnyFold> {
        Box::new(FoldOf::<V>::default())
    }

    fn subscription(&self) -> String {
        V::subscription()
    }

    fn handler(&self, parts: HandlerParts<'_>) -> Arc<dyn Handler> {
        let HandlerParts { store, feeds, feed, tick } = parts;
        Arc::new(Projector::<V>::new(ProjectorParts {
            store: store.clone(),
            feeds: feeds.clone(),
            feed: Arc::clone(feed),
            tick,
            ensure_built: rebuild::ensure_served::<V>,
        }))
    }

    fn join(&self) -> Option<Join> {
        V::JOIN
    }

    fn begin_joined(&self) -> BeginJoined {
        rebuild::begin_joined::<V>
    }

    async fn ensure_built(&self, store: &Store, feeds: &Feeds) -> Result<(), ReplayError> {
        rebuild::ensure_built::<V>(store, feeds).await
    }

    async fn rebuild(
        &self,
        store: &Store,
        feeds: &Feeds,
        observer: &mut dyn RebuildObserver,
        progress: RebuildProgress<'_>,
    ) -> Result<Replayed, ReplayError> {
        rebuild::rebuild::<V>(store, feeds, observer, progress).await
    }

    async fn as_of(
        &self,
        store: &Store,
        as_of: AsOf,
        show: &mut (dyn FnMut(Value) + Send),
        progress: RebuildProgress<'_>,
    ) -> Result<u64, ReplayError> {
        rebuild::as_of::<V>(store, as_of, show, progress).await
    }
}
