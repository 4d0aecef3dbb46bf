//! The views there are: the one list that loops, builds and tools go through.

use crate::alarms::Alarms;
use crate::census::{self, Folding};
use crate::fold_check::{AnyFold, FoldOf};
use crate::item_info::ItemInfo;
use crate::options::Options;
use crate::payments::Payments;
use crate::projector::Projector;
use crate::replay::{self, Judge, Meter, ReplayError, Replayed};
use crate::reservations::Reservations;
use crate::subscription::Handler;
use crate::view::View;
use async_trait::async_trait;
use gdmarket_store::Store;
use serde_json::Value;
use std::marker::PhantomData;
use std::sync::Arc;

/// Every view of this program.
pub(crate) fn all() -> Vec<Box<dyn KnownView>> {
    vec![known::<ItemInfo>(), known::<Reservations>(), known::<Payments>(), known::<Alarms>()]
}

fn known<V: View>() -> Box<dyn KnownView> {
    Box::new(Known::<V>(PhantomData))
}

/// A view, whatever its rows are.
#[async_trait]
pub(crate) trait KnownView: Send + Sync {
    /// What it is called.
    fn name(&self) -> &'static str;
    /// Whose streams it folds.
    fn aggregate(&self) -> &'static str;
    /// The fold of one stream, without a table.
    fn folding(&self) -> Box<dyn Folding>;
    /// The check of all its rows.
    fn fold_check(&self) -> Box<dyn AnyFold>;
    /// What its loop is called.
    fn subscription(&self) -> String;
    /// What its loop does.
    fn handler(&self, store: &Store, options: &Options) -> Arc<dyn Handler>;
    /// See [`replay::ensure_built`].
    async fn ensure_built(&self, store: &Store) -> Result<(), ReplayError>;
    /// See [`replay::Replay::rebuild`].
    async fn rebuild(
        &self,
        store: &Store,
        judge: &mut dyn Judge,
        meter: Meter<'_>,
    ) -> Result<Replayed, ReplayError>;
    /// See [`replay::Replay::as_of`].
    async fn as_of(
        &self,
        store: &Store,
        position: i64,
        tell: &mut (dyn FnMut(Value) + Send),
        meter: Meter<'_>,
    ) -> Result<u64, ReplayError>;
}

struct Known<V>(PhantomData<fn() -> V>);

#[async_trait]
impl<V: View> KnownView for Known<V> {
    fn name(&self) -> &'static str {
        V::NAME
    }

    fn aggregate(&self) -> &'static str {
        V::AGGREGATE
    }

    fn folding(&self) -> Box<dyn Folding> {
        census::folding::<V>()
    }

    fn fold_check(&self) -> Box<dyn AnyFold> {
        Box::new(FoldOf::<V>::default())
    }

    fn subscription(&self) -> String {
        V::subscription()
    }

    fn handler(&self, store: &Store, options: &Options) -> Arc<dyn Handler> {
        Arc::new(Projector::<V>::new(store.clone(), options.tick))
    }

    async fn ensure_built(&self, store: &Store) -> Result<(), ReplayError> {
        replay::ensure_built::<V>(store).await
    }

    async fn rebuild(
        &self,
        store: &Store,
        judge: &mut dyn Judge,
        meter: Meter<'_>,
    ) -> Result<Replayed, ReplayError> {
        replay::rebuild::<V>(store, judge, meter).await
    }

    async fn as_of(
        &self,
        store: &Store,
        position: i64,
        tell: &mut (dyn FnMut(Value) + Send),
        meter: Meter<'_>,
    ) -> Result<u64, ReplayError> {
        replay::as_of::<V>(store, position, tell, meter).await
    }
}
