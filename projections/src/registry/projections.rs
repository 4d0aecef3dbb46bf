//! Starts every loop of this process, and stops them.

use super::{all_managers, all_views};
use crate::engine::feed::{Feed, LocalFeed};
use crate::engine::process_manager::{Pace, Port, Reactor};
use crate::engine::progress::{Applied, LoopKind};
use crate::engine::rebuild::ReplayError;
use crate::engine::subscription::{Blocked, Handler, Subscription, TimeSource};
use crate::inspect::parked::ParkedWork;
use crate::processes::command_port::{CommandPort, StepPort};
use crate::processes::options::Options;
use crate::processes::step::Step;
use crate::queries::Queries;
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
type Named = (LoopKind, String, Arc<dyn Handler>);

impl Projections {
    /// Has every view built that this program's version reads and that was never built, before the first
    /// query; waits for another replica that builds one.
    pub async fn prepare(store: &Store) -> Result<(), ReplayError> {
        for view in all_views() {
            view.ensure_built(store).await?;
        }
        Ok(())
    }

    /// Starts all loops, on tasks of the runtime that this is called from. A database that doesn't
    /// answer is waited for.
    pub fn start(store: Store, port: Arc<dyn CommandPort>, options: &Options) -> Self {
        let feed: Arc<dyn Feed> = Arc::new(LocalFeed(store.clone()));
        let views = all_views();
        let handlers: Vec<Named> = views
            .iter()
            .map(|view| (LoopKind::View, view.subscription(), view.handler(&store, options)))
            .chain(managers(&store, &feed, &port, options))
            .collect();
        let keys = handlers.iter().map(|(kind, name, _)| (*kind, name.clone()));
        let applied = Applied::new(keys, Arc::clone(&feed));
        let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
        #[expect(clippy::disallowed_methods, reason = "it names this run of the process only")]
        let holder = Uuid::new_v4().to_string();
        let clock: TimeSource = Arc::new(move || port.now());
        let checkpoints = Checkpoints::new(store.views().clone());
        // With one process, leases keep none out, and are ended at the next start: they are renewed rarely.
        let alone = !store.views().is_shared();
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
                clock: Arc::clone(&clock),
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

    /// A handle without loops: views don't follow and nothing reacts. For measuring writes alone.
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

    /// The progress of the loops.
    pub fn applied(&self) -> Applied {
        self.applied.clone()
    }

    /// The parked keys of all subscriptions.
    pub fn parked_work(&self) -> ParkedWork {
        ParkedWork::new(self.store.clone())
    }

    /// Has a parked key of a subscription tried again, all of them without a key; returns how many.
    pub async fn retry_parked(
        &self,
        subscription: &str,
        key: Option<&str>,
    ) -> Result<u64, StoreError> {
        ParkedKeys::new(self.store.views().clone()).request_retry(subscription, key).await
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
    let port: Arc<dyn Port<Step>> = Arc::new(StepPort(Arc::clone(port)));
    let pace = Pace { concurrency: options.concurrency, tick: options.tick };
    all_managers(options)
        .into_iter()
        .map(|manager| {
            let name = manager.name().to_owned();
            let (port, feed) = (Arc::clone(&port), Arc::clone(feed));
            let reactor = Reactor::new(manager, port, store.clone(), feed, pace);
            let handler: Arc<dyn Handler> = Arc::new(reactor);
            (LoopKind::Manager, name, handler)
        })
        .collect()
}
