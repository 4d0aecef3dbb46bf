//! `gdmarket dev`: the market as four services on this machine, from one command. It starts every part as a process,
//! restarts a part that dies, and ends all of them when it ends itself.

mod account;
mod chosen_parts;
mod folder;
mod gateway;
mod keeper;
mod launch;
mod market;
mod nats;
mod part;
mod payment_provider;
mod ports;
mod postgres;
mod programs;
mod readiness;
mod report;
mod restart_delay;
mod services;
mod signals;
mod supervisor;

use crate::output::{Console, Exit, Failure};
use crate::runtime::runtime;
use chosen_parts::ChosenParts;
use clap::Args;
use folder::DevFolder;
use keeper::Keeper;
use market::DevMarket;
use ports::DevPorts;
use programs::DevPrograms;
use report::DevReport;
use signals::ShutdownSignals;
use std::path::PathBuf;
use std::time::Duration;
use supervisor::{PartReport, Supervisor};
use tokio::sync::mpsc;

const EXAMPLES: &str = "\
Examples:
  gdmarket dev                                on http://127.0.0.1:8088, data in ./gdmarket-dev
  gdmarket dev --first-port 9081 --gateway-port 9088 --dir /var/tmp/market
  gdmarket dev --json | jq -r 'select(.part == \"item\").pid'
  gdmarket demo --url http://127.0.0.1:8088   a whole rental over the four services
  gdmarket --config gdmarket-dev/item.toml events tail

It runs PostgreSQL, NATS and nginx if they are installed, and says what is left out without them.
From the first port on: item, reservation, payment, alarm, payment provider, NATS, PostgreSQL.
Ctrl-C ends all of it; the next start continues with the same data.";

/// How many reports of parts wait to be printed.
const REPORTS: usize = 64;
/// Signals that follow the first one sooner belong to it: some senders send it to the process and to its group.
const FIRST_SIGNAL_LASTS: Duration = Duration::from_millis(300);

/// The arguments of `gdmarket dev`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DevArgs {
    /// The first of the seven ports for services and servers.
    #[arg(long, default_value_t = 8081, value_name = "PORT")]
    first_port: u16,
    /// The port of the gateway, which has the routes of all services.
    #[arg(long, default_value_t = 8088, value_name = "PORT")]
    gateway_port: u16,
    /// Keep data, logs and settings in this folder.
    #[arg(long, default_value = "./gdmarket-dev", value_name = "FOLDER")]
    dir: PathBuf,
    /// End the process group of this process once its stdin ends.
    #[arg(long, hide = true)]
    keeper: bool,
}

pub(crate) fn run(args: &DevArgs, console: Console) -> Result<(), Failure> {
    if args.keeper {
        return keeper::run();
    }
    runtime()?.block_on(run_market(args, console))
}

async fn run_market(args: &DevArgs, console: Console) -> Result<(), Failure> {
    let mut signals = ShutdownSignals::receive()?;
    let ports = DevPorts::new(args.first_port, args.gateway_port)?;
    let own = std::env::current_exe()
        .map_err(|error| Failure::new(Exit::Failed, format!("this program's file: {error}")))?;
    let (folder, lock) = DevFolder::open(&args.dir)?;
    ports.require_free()?;
    let chosen = ChosenParts::choose(DevPrograms::find(&own), &folder)?;
    let keeper = Keeper::start(&own, lock)?;
    let (reports, received) = mpsc::channel(REPORTS);
    let supervisor = Supervisor { group: keeper.group(), reports };
    let market = DevMarket { own, folder, ports, chosen, supervisor, running: vec![] };
    serve(market, keeper, received, &mut signals, console).await
}

async fn serve(
    mut market: DevMarket,
    mut keeper: Keeper,
    mut received: mpsc::Receiver<PartReport>,
    signals: &mut ShutdownSignals,
    console: Console,
) -> Result<(), Failure> {
    let report = DevReport::new(console);
    report.starts(&market);
    let started = tokio::select! {
        started = market.start() => started,
        () = signals.next() => Err(Failure::new(Exit::Interrupted, "ended before all parts ran")),
    };
    let is_started = started.is_ok();
    let mut outcome = started;
    if is_started {
        report.runs(&market);
        outcome = tokio::select! {
            () = report.print_all(&mut received) => Ok(()),
            () = signals.next() => Ok(()),
            _ = keeper.ended() => Err(Failure::new(Exit::Failed, "the keeper of the parts was ended")),
        };
        report.ends();
    }
    // A part that waits for a place of its report could not end.
    drop(received);
    let is_forced = {
        let ending = market.end();
        tokio::pin!(ending);
        tokio::select! {
            () = &mut ending => false,
            () = signals.next_after(FIRST_SIGNAL_LASTS) => {
                keeper.kill_parts();
                // Their ends are still collected, so that no process of them is left.
                ending.await;
                true
            }
        }
    };
    if is_forced {
        return Err(Failure::new(Exit::Interrupted, "ended at once"));
    }
    if is_started {
        keeper.finish().await;
    } else {
        keeper.end_parts().await;
    }
    outcome
}
