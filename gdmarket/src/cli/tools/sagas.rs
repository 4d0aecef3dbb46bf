//! `gdmarket sagas`: what is open in the market, what it waits for, and what keeps it from continuing.

mod advice;
mod list;
mod show;
mod table;

use super::parked::retry_keys;
use super::{with_readable_store, with_store};
use crate::config::Config;
use crate::output::{Console, Exit, Failure};
use clap::{Args, Subcommand};
use gdmarket_domain::Services;
use gdmarket_projections::{FoundSaga, ParkedKey, ParkedWork, SagaKey, Sagas};
use gdmarket_store::Store;
use list::OpenSagaArgs;

const EXAMPLES: &str = "\
Examples:
  gdmarket sagas list                          what is open, the one that waits longest first
  gdmarket sagas list --failed                 only what failed, or needs an operator
  gdmarket sagas list --service payment        only what the payment service has to do next
  gdmarket sagas list --json | jq 'select(.waitsFor == \"renter\") | .saga'
  gdmarket sagas show 7                        one rental: what was done, what is next
  gdmarket sagas show item/3                   the registration or deletion of an item
  gdmarket sagas retry 7                       have what is parked for it tried again, after a fix";

/// The arguments of `sagas`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct SagasArgs {
    #[command(subcommand)]
    command: SagasCommand,
}

/// One saga.
#[derive(Debug, Clone, Copy, Args)]
struct SagaArgs {
    /// The reservation's number, or the saga as `sagas list` names it.
    #[arg(value_name = "RESERVATION|SAGA")]
    saga: SagaKey,
}

#[derive(Debug, Clone, Subcommand)]
enum SagasCommand {
    /// List the open steps of rentals, registrations and deletions: what waits for whom.
    #[command(after_help = EXAMPLES)]
    List(OpenSagaArgs),
    /// Show one saga: what was done, what is parked, and what is next.
    #[command(after_help = EXAMPLES)]
    Show(SagaArgs),
    /// Have the running server retry everything that is parked for a saga.
    #[command(after_help = EXAMPLES)]
    Retry(SagaArgs),
}

pub(in crate::cli) fn run(
    args: &SagasArgs,
    config: &Config,
    console: Console,
) -> Result<(), Failure> {
    // The log holds the events of these services.
    let services = config.services.own;
    match &args.command {
        SagasCommand::List(args) => with_readable_store(config, console, async |store| {
            list::run(store, services, args, console).await
        }),
        SagasCommand::Show(SagaArgs { saga }) => {
            with_readable_store(config, console, async |store| {
                show::run(store, config, *saga, console).await
            })
        }
        SagasCommand::Retry(SagaArgs { saga }) => {
            with_store(config, async |store| retry(store, services, *saga, console).await)
        }
    }
}

async fn find(sagas: &Sagas, saga: SagaKey) -> Result<FoundSaga, Failure> {
    sagas.find(saga).await?.ok_or_else(|| {
        Failure::new(Exit::Failed, format!("there is no {saga}"))
            .next("check the number, and --data-dir or --database-url")
    })
}

async fn retry(
    store: Store,
    services: Services,
    saga: SagaKey,
    console: Console,
) -> Result<(), Failure> {
    let found = find(&Sagas::new(store.clone(), services), saga).await?;
    let keys: Vec<ParkedKey> = found.parked.into_iter().map(|of| of.parked).collect();
    if keys.is_empty() {
        return Err(Failure::new(Exit::Failed, format!("nothing is parked for {saga}"))
            .next(format!("see what it waits for: gdmarket sagas show {saga}")));
    }
    retry_keys(&ParkedWork::new(store), &keys, console).await
}

/// A note on the services whose logs aren't read.
fn note_unseen(sagas: &Sagas, console: Console) {
    let unseen = Services::ALL.without(sagas.seen());
    if !unseen.is_empty() {
        let seen = sagas.seen();
        console.note(&format!(
            "This log has the events of {seen} only: what {unseen} have done isn't shown."
        ));
    }
}
