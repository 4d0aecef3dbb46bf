//! Starts and stops the loops of this process.

use super::{manager_named, views_of};
use crate::engine::feed::{Feed, LocalFeed};
use crate::engine::process_manager::{Port, Reactor, ReactorParts};
use crate::engine::progress::{Applied, LoopKey, LoopKind};
use crate::engine::rebuild::ReplayError;
use crate::engine::subscription::{Blocked, Handler, Subscription, TimeSource};
use crate::inspect::parked::ParkedWork;
use crate::processes::command_port::{CommandPort, StepPort};
use crate::processes::options::Options;
use crate::processes::step::Step;
use crate::queries::Queries;
use gdmarket_domain::{ManagerName, Services};
use gdmarket_store::{Checkpoints, Leases, Store};
use std::sync::Arc;
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
type NamedHandler = (LoopKey, Arc<dyn Handler>);

impl Projections {
    /// Builds every view that a process of these services reads and that was never built, before the first
    /// query; waits for another replica that builds one.
    pub async fn prepare(store: &Store, services: Services) -> Result<(), ReplayError> {
        for view in views_of(services) {
            view.ensure_built(store).await?;
        }
        Ok(())
    }

    /// Starts the loops of the process's services, on tasks of the current runtime. They wait for a database that doesn't answer.
    pub fn start(store: Store, port: Arc<dyn CommandPort>, options: &Options) -> Self {
        let feed: Arc<dyn Feed> = Arc::new(LocalFeed(store.clone()));
        let views = views_of(options.services);
        let handlers: Vec<NamedHandler> = views
            .iter()
            .map(|view| {
                let key = LoopKey { kind: LoopKind::View, name: view.subscription() };
                (key, view.handler(&store, options))
            })
            .chain(managers(&store, &feed, &port, options))
            .collect();
        let keys = handlers.iter().map(|(key, _)| key.clone());
        let applied = Applied::new(keys, Arc::clone(&feed));
        let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
        #[expect(clippy::disallowed_methods, reason = "it names this run of the process only")]
        let holder = Uuid::new_v4().to_string();
        let clock: TimeSource = Arc::new(move || port.now());
        let checkpoints = Checkpoints::new(store.views().clone());
        // With one process, leases exclude no other and are ended at the next start: they are renewed rarely.
        let alone = !store.views().is_shared();
        let lease_ttl = if alone { options.lease_ttl * 20 } else { options.lease_ttl };
        for (key, handler) in handlers {
            let subscription = Subscription {
                key,
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

    /// A handle without loops, for measuring writes alone: views don't follow and nothing reacts.
    pub fn idle(store: Store) -> Self {
        let feed: Arc<dyn Feed> = Arc::new(LocalFeed(store.clone()));
        let applied = Applied::new([], feed);
        let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
        tasks.close();
        Self { store, applied, tasks, stopping }
    }

    /// The queries of the views.
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

    /// Stops the loops, each after the batch in flight.
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
) -> Vec<NamedHandler> {
    let port: Arc<dyn Port<Step>> = Arc::new(StepPort(Arc::clone(port)));
    let parking = parking_manager(options.services);
    let own = options.services.managers();
    own.map(|name| {
        let manager = manager_named(name, options);
        let key = LoopKey { kind: LoopKind::Manager, name: manager.name().to_owned() };
        let reactor = Reactor::new(ReactorParts {
            manager,
            port: Arc::clone(&port),
            store: store.clone(),
            feed: Arc::clone(feed),
            concurrency: options.concurrency,
            tick: options.tick,
            parks_unknown: Some(name) == parking,
        });
        let handler: Arc<dyn Handler> = Arc::new(reactor);
        (key, handler)
    })
    .collect()
}
