//! Replays the views of one store, by name.

use super::any_view::AnyView;
use super::{all_views, views_of};
use crate::engine::feed::Feeds;
use crate::engine::rebuild::{
    AsOf, Difference, Differences, RebuildObserver, RebuildProgress, ReplayError, Replayed, kebab,
};
use gdmarket_domain::Services;
use gdmarket_store::Store;
use serde_json::Value;

/// Replays the views of one store.
#[derive(Debug, Clone)]
pub struct Replay {
    store: Store,
    feeds: Feeds,
}

impl Replay {
    /// Replays on this store; other processes may serve from it.
    pub fn new(store: Store) -> Self {
        let feeds = Feeds::of_own_log(&store);
        Self { store, feeds }
    }

    /// As [`Replay::new`], with the logs of other services that views are fed by.
    pub const fn with_feeds(store: Store, feeds: Feeds) -> Self {
        Self { store, feeds }
    }

    /// The names of the views that a process of these services keeps, as people type them.
    pub fn views(services: Services) -> Vec<String> {
        views_of(services).iter().map(|view| kebab(view.name())).collect()
    }

    /// The name of a view as people type it: `item-info` for `item_info` and `item_info_v4`.
    pub fn called(name: &str) -> Option<String> {
        find(name).ok().map(|view| kebab(view.name()))
    }

    /// The subscription of this program's version of a view: `item_info_v4`.
    pub fn subscription(name: &str) -> Option<String> {
        find(name).ok().map(|view| view.subscription())
    }

    /// Rebuilds a view, compares it with the served one, and serves it if the observer decides so.
    pub async fn rebuild(
        &self,
        view: &str,
        observer: &mut dyn RebuildObserver,
        progress: RebuildProgress<'_>,
    ) -> Result<Replayed, ReplayError> {
        find(view)?.rebuild(&self.store, &self.feeds, observer, progress).await
    }

    /// Shows the rows of a view as of a position, in the order of their numbers; returns the number of folded
    /// events.
    pub async fn as_of(
        &self,
        view: &str,
        position: i64,
        show: &mut (dyn FnMut(Value) + Send),
        progress: RebuildProgress<'_>,
    ) -> Result<u64, ReplayError> {
        let view = find(view)?;
        let join = match view.join() {
            Some(join) => Some((join, find(join.view)?.begin_joined())),
            None => None,
        };
        let feeds = self.feeds.clone();
        view.as_of(&self.store, AsOf { feeds, position, join }, show, progress).await
    }
}

fn find(name: &str) -> Result<Box<dyn AnyView>, ReplayError> {
    let is_meant = |known: &str| kebab(known) == kebab(name);
    let found = all_views()
        .into_iter()
        .find(|view| is_meant(view.name()) || is_meant(&view.subscription()));
    found.ok_or_else(|| {
        ReplayError::UnknownView(name.to_owned(), Replay::views(Services::ALL).join(", "))
    })
}

/// Finds the rows of every view that differ from a rebuild, for tests and checks.
pub async fn differences_from_rebuild(store: &Store) -> Result<Vec<Difference>, ReplayError> {
    differences_with_feeds(store, &Feeds::of_own_log(store)).await
}

/// As [`differences_from_rebuild`], with the logs of other services that views are fed by.
pub async fn differences_with_feeds(
    store: &Store,
    feeds: &Feeds,
) -> Result<Vec<Difference>, ReplayError> {
    let mut all = Differences::default();
    for view in all_views() {
        view.rebuild(store, feeds, &mut all, &|_, _| {}).await?;
    }
    Ok(all.0)
}
