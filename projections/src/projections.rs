//! Starts every loop of this process, and stops them.

use crate::applied::{Applied, Kind};
use crate::command_port::CommandPort;
use crate::feed::{Feed, LocalFeed};
use crate::options::Options;
use crate::queries::Queries;
use crate::reactor::Reactor;
use crate::replay::ReplayError;
use crate::subscription::{Blocked, Handler, Subscription};
use crate::{subscriptions, views};
use gdmarket_store::{Checkpoints, Leases, ParkedKeys, Store, StoreError};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// The loops of this process: a view's or a process manager's each.
#[derive(Debug)]
pub struct Projections {
    store: Store,
    applied: Applied,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

/// A loop before it runs.
type Named = (Kind, String, Arc<dyn Handler>);

impl Projections {
    /// Has every view built that this program's version reads and nobody has built yet, before anyone
    /// asks; another replica that is at it is waited for.
    pub async fn prepare(store: &Store) -> Result<(), ReplayError> {
        for view in views::all() {
            view.ensure_built(store).await?;
        }
        Ok(())
    }

    /// Starts all loops, on tasks of the runtime that this is called from. A database that doesn't
    /// answer is waited for.
    #[expect(clippy::needless_pass_by_value, reason = "the loops share it from now on")]
    pub fn start(store: Store, port: Arc<dyn CommandPort>, options: &Options) -> Self {
        let feed: Arc<dyn Feed> = Arc::new(LocalFeed(store.clone()));
        let views = views::all();
        let handlers: Vec<Named> = views
            .iter()
            .map(|view| (Kind::View, view.subscription(), view.handler(&store, options)))
            .chain(managers(&store, &feed, &port, options))
            .collect();
        let keys = handlers.iter().map(|(kind, name, _)| (*kind, name.clone()));
        let applied = Applied::new(keys, Arc::clone(&feed));
        let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
        #[expect(clippy::disallowed_methods, reason = "it names this run of the process only")]
        let holder = Uuid::new_v4().to_string();
        let checkpoints = Checkpoints::new(store.views().clone());
        // Alone, leases matter to nobody, and are ended at the next start: renewed rarely.
        let alone = !store.views().is_postgres();
        let lease_ttl = if alone { options.lease_ttl * 20 } else { options.lease_ttl };
        for (kind, name, handler) in handlers {
            let subscription = Subscription {
                key: (kind, name),
                handler,
                feed: Arc::clone(&feed),
                checkpoints: checkpoints.clone(),
                leases: Leases::new(store.views().clone()),
                holder: holder.clone(),
                applied: applied.clone(),
                port: Arc::clone(&port),
                batch: options.batch.max(1),
                lease_ttl,
                tick: options.tick,
                alone,
                blocked: Blocked::default(),
            };
            tasks.spawn(subscription.run(stopping.clone()));
        }
        tasks.spawn(applied.clone().poll(checkpoints, stopping.clone()));
        tasks.close();
        Self { store, applied, tasks, stopping }
    }

    /// A handle without loops: views stand still and nobody reacts. For measuring writes alone.
    pub fn idle(store: Store) -> Self {
        let feed: Arc<dyn Feed> = Arc::new(LocalFeed(store.clone()));
        let applied = Applied::new([], feed);
        let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
        tasks.close();
        Self { store, applied, tasks, stopping }
    }

    /// Answers from the views.
    pub fn queries(&self) -> Queries {
        Queries::new(self.store.clone())
    }

    /// Where the loops stand.
    pub fn applied(&self) -> Applied {
        self.applied.clone()
    }

    /// Has a parked key of a subscription tried again, all of them without a key; says how many.
    pub async fn retry_parked(
        &self,
        subscription: &str,
        key: Option<&str>,
    ) -> Result<u64, StoreError> {
        ParkedKeys::new(self.store.views().clone()).ask(subscription, key).await
    }

    /// Ends the loops, each after the batch it is at.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.wait().await;
    }
}

fn managers(
    store: &Store,
    feed: &Arc<dyn Feed>,
    port: &Arc<dyn CommandPort>,
    options: &Options,
) -> Vec<Named> {
    subscriptions::tables(options)
        .into_iter()
        .map(|table| {
            let name = table.name().to_owned();
            let (feed, port) = (Arc::clone(feed), Arc::clone(port));
            let reactor = Reactor::new(table, store.clone(), feed, port, options);
            let handler: Arc<dyn Handler> = Arc::new(reactor);
            (Kind::Manager, name, handler)
        })
        .collect()
}
