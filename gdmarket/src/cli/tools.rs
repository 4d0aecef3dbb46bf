//! The operator's tools: subcommands that read or repair what is stored. They open the log alongside a running
//! server, change nothing in its schema, and end at once with 130 when shutdown is requested.

pub(super) mod check;
pub(super) mod events;
mod log_point;
pub(super) mod migrate;
pub(super) mod parked;
pub(super) mod payments;
pub(super) mod persons;
pub(super) mod replay;
pub(super) mod sagas;
pub(super) mod state;
pub(super) mod trace;
pub(super) mod views;

use crate::compose::store_options;
use crate::config::Config;
use crate::output::{Console, Exit, Failure};
use crate::runtime::runtime;
use gdmarket_domain::Actor;
use gdmarket_store::{Store, StoreError, StoreOptions};
use std::future::Future;
use tokio::signal::unix::{SignalKind, signal};

/// The name of a tool's connections in PostgreSQL's own views.
const APPLICATION_NAME: &str = "gdmarket tool";
/// Connections of a tool to the views: it queries one after the other, except in a rebuild.
const CONNECTIONS: u32 = 4;

/// The actor of a tool, as long as there are no log-ins.
fn local_operator() -> Actor {
    Actor::Operator("local".to_owned())
}

/// Opens the store, works on it, and closes it, also if the work fails. Ctrl-C and SIGTERM cancel the work: its open
/// transaction is rolled back.
fn with_store<F>(config: &Config, work: impl FnOnce(Store) -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    on_store(config, false, work)
}

/// As [`with_store`], for work that only reads: also without `views.db`, and on a read-only copy.
fn with_readable_store<F>(
    config: &Config,
    console: Console,
    work: impl FnOnce(Store) -> F,
) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    on_store(config, true, |store| {
        if let Some(missing) = store.without_views() {
            console.note(&format!("Without views and checkpoints: {}.", missing.why));
        }
        work(store)
    })
}

fn on_store<F>(config: &Config, reading: bool, work: impl FnOnce(Store) -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    let options = StoreOptions {
        read_connections: CONNECTIONS,
        application_name: APPLICATION_NAME.to_owned(),
        reading,
        ..store_options(config, false)
    };
    run_until_shutdown(async {
        let store = Store::open(&options).await.map_err(|error| not_opened(config, error))?;
        let done = match work(store.clone()).await {
            Err(failure) if failure.is_damage => Err(located(&store, failure).await),
            done => done,
        };
        store.close().await;
        done
    })
}

/// Works on a runtime of its own until the work ends, or until Ctrl-C or SIGTERM cancels it.
fn run_until_shutdown(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    runtime()?.block_on(async {
        tokio::select! {
            done = work => done,
            () = shutdown_requested() => Err(Failure::new(Exit::Interrupted, "interrupted")),
        }
    })
}

/// The failure to open a store. A tool creates no log: an empty place is mostly a wrong one.
fn not_opened(config: &Config, error: StoreError) -> Failure {
    match error {
        StoreError::NeedsMigration { schema: 0, .. } => {
            let place = config.database_place();
            Failure::new(Exit::Failed, format!("there is no log in {place}"))
                .next("name the place with --data-dir or --database-url")
        }
        other => other.into(),
    }
}

async fn shutdown_requested() {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        tracing::error!("signals can't be received");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Adds the damaged file, which the error of a statement doesn't name.
async fn located(store: &Store, failure: Failure) -> Failure {
    match store.locate(StoreError::Damaged(failure.message.clone())).await {
        StoreError::Damaged(same) if same == failure.message => failure,
        located => located.into(),
    }
}
