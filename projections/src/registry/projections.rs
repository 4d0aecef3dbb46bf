//! Starts and stops the loops of this process.

use super::any_view::HandlerParts;
use super::{manager_named, views_of};
use crate::engine::feed::{Feed, Feeds, LocalFeed, LogSource};
use crate::engine::process_manager::{Port, Reactor, ReactorParts};
use crate::engine::progress::{Applied, LoopKey, LoopKind};
use crate::engine::rebuild::ReplayError;
use crate::engine::relay::{Relay, RelayTarget};
use crate::engine::subscription::{Blocked, Handler, Subscription, TimeSource};
use crate::inspect::parked::ParkedWork;
use crate::processes::command_port::{CommandPort, StepPort};
use crate::processes::options::Options;
use crate::processes::step::Step;
use crate::queries::Queries;
use gdmarket_domain::{ManagerName, Services};
use gdmarket_store::{Checkpoints, Leases, Store};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// The loops of this process: one per view and per process manager.
#[derive(Debug)]
pub struct Projections {
    store: Store,
    applied: Applied,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

/// The manager that also parks the rows of the log whose aggregate this program doesn't know: one per process, so that
/// each row is parked once.
fn parking_manager(services: Services) -> Option<ManagerName> {
    // It reads nearly every aggregate anyway.
    let first_choice = ManagerName::ReservationProcess;
    let mut own = services.managers();
    own.find(|name| *name == first_choice).or_else(|| services.managers().next())
}

/// A loop before it runs.
struct NewLoop {
    key: LoopKey,
    feed: Arc<dyn Feed>,
    handler: Arc<dyn Handler>,
}

impl Projections {
    /// Builds every view that a process of these services reads and that was never built, before the first
    /// query; waits for another replica that builds one.
    pub async fn prepare(store: &Store, services: Services) -> Result<(), ReplayError> {
        Self::prepare_with_feeds(store, &Feeds::of_own_log(store), services).await
    }

    /// As [`Projections::prepare`], with the logs of other services. Those are not read here but by the loops.
    pub async fn prepare_with_feeds(
        store: &Store,
        feeds: &Feeds,
        services: Services,
    ) -> Result<(), ReplayError> {
        for view in views_of(services) {
            view.ensure_built(store, feeds).await?;
        }
        Ok(())
    }

    /// Starts the loops of the process's services, on tasks of the current runtime. They wait for a database that doesn't answer.
    pub fn start(store: Store, port: Arc<dyn CommandPort>, options: &Options) -> Self {
        let feeds = Feeds::of_own_log(&store);
        Self::start_with_feeds(store, feeds, port, options)
    }

    /// As [`Projections::start`], with the logs of other services: every view and process manager has a loop for each
    /// log that has streams that it reads.
    pub fn start_with_feeds(
        store: Store,
        feeds: Feeds,
        port: Arc<dyn CommandPort>,
        options: &Options,
    ) -> Self {
        let loops: Vec<NewLoop> = views(&store, &feeds, options)
            .into_iter()
            .chain(managers(&store, &feeds, &port, options))
            .collect();
        let applied = Applied::new(loops.iter().map(|new| new.key.clone()), feeds);
        let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
        let holder = new_holder();
        let clock: TimeSource = Arc::new(move || port.now());
        let checkpoints = Checkpoints::new(store.views().clone());
        let alone = !store.views().is_shared();
        let lease_ttl = lease_ttl(alone, options);
        for NewLoop { key, feed, handler } in loops {
            let subscription = Subscription {
                key,
                handler,
                feed,
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

    /// Also copies the own log to a broker. One process of the service does, under a lease.
    pub fn relay_to(
        &self,
        target: Arc<dyn RelayTarget>,
        port: Arc<dyn CommandPort>,
        options: &Options,
    ) {
        let store = self.store.clone();
        let alone = !store.views().is_shared();
        let relay = Relay {
            feed: Arc::new(LocalFeed(store.clone())),
            target,
            leases: Leases::new(store.views().clone()),
            store,
            holder: new_holder(),
            lease_ttl: lease_ttl(alone, options),
            clock: Arc::new(move || port.now()),
            alone,
            blocked: Blocked::default(),
        };
        self.tasks.spawn(relay.run(self.stopping.clone()));
    }

    /// A handle without loops, for measuring writes alone: views don't follow and nothing reacts.
    pub fn idle(store: Store) -> Self {
        let applied = Applied::new([], Feeds::of_own_log(&store));
        let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
        tasks.close();
        Self { store, applied, tasks, stopping }
    }

    /// The queries of the views.
    pub fn queries(&self) -> Queries {
        Queries::with_feeds(self.store.clone(), self.applied.feeds().clone())
    }

    /// The progress of the loops.
    pub fn applied(&self) -> Applied {
        self.applied.clone()
    }

    /// The parked keys of all subscriptions.
    pub fn parked_work(&self) -> ParkedWork {
        ParkedWork::new(self.store.clone())
    }

    /// Stops the loops, each after the batch in flight.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.wait().await;
    }
}

/// The name of this run of the process, as the holder of leases.
#[expect(clippy::disallowed_methods, reason = "it names this run of the process only")]
fn new_holder() -> String {
    Uuid::new_v4().to_string()
}

/// With one process, leases exclude no other and are ended at the next start: they are renewed rarely.
fn lease_ttl(alone: bool, options: &Options) -> Duration {
    if alone { options.lease_ttl * 20 } else { options.lease_ttl }
}

fn views(store: &Store, feeds: &Feeds, options: &Options) -> Vec<NewLoop> {
    let mut loops = vec![];
    for view in views_of(options.services) {
        for LogSource { name, feed, .. } in feeds.with(&[view.aggregate()]) {
            let key = LoopKey::new(LoopKind::View, &view.subscription(), name);
            let handler =
                view.handler(HandlerParts { store, feeds, feed: &feed, tick: options.tick });
            loops.push(NewLoop { key, feed, handler });
        }
    }
    loops
}

fn managers(
    store: &Store,
    feeds: &Feeds,
    port: &Arc<dyn CommandPort>,
    options: &Options,
) -> Vec<NewLoop> {
    let port: Arc<dyn Port<Step>> = Arc::new(StepPort(Arc::clone(port)));
    let mut loops = vec![];
    let parking = parking_manager(options.services);
    for manager_name in options.services.managers() {
        let manager = manager_named(manager_name, options);
        let parks_unknown = Some(manager_name) == parking;
        let sources = if parks_unknown {
            feeds.own_and_with(manager.sources())
        } else {
            feeds.with(manager.sources())
        };
        let key = |source| LoopKey::new(LoopKind::Manager, manager.name(), source);
        let names: Vec<String> = sources.iter().map(|source| key(source.name).name).collect();
        for LogSource { name, feed, .. } in sources {
            let key = key(name);
            let reactor = Reactor::new(ReactorParts {
                manager: Arc::clone(&manager),
                port: Arc::clone(&port),
                store: store.clone(),
                subscription: key.name.clone(),
                siblings: names.iter().filter(|other| **other != key.name).cloned().collect(),
                feed: Arc::clone(&feed),
                concurrency: options.concurrency,
                tick: options.tick,
                // Rows of another log are parked by its own service.
                parks_unknown: parks_unknown && name.is_none(),
            });
            loops.push(NewLoop { key, feed, handler: Arc::new(reactor) });
        }
    }
    loops
}
