//! GDmarket in this process: the executor, group commit, trigger, receipts and full metadata; the same
//! three commands on the same aggregate as stock. With projections on, every view and every process
//! manager follows the log on the same two cores.

use crate::port::QuietPort;
use crate::workload;
use gdmarket_bench::cell::{Cell, Meter, Pace, closed_loop_of};
use gdmarket_commands::{CommandMeta, CommandOptions, Commands, Precondition};
use gdmarket_domain::{Actor, ItemNo, MarketCommand, PersonId};
use gdmarket_projections::{Options, Projections};
use gdmarket_simulators::{
    InProcessAlarm, InProcessAlarmOptions, InProcessGateway, InProcessGatewayOptions,
};
use gdmarket_store::{Store, StoreOptions};
use std::future::Future;
use std::sync::Arc;

/// A market in this process.
pub(crate) struct Ours {
    commands: Commands,
    store: Store,
    /// The loops that follow the log.
    pub(crate) projections: Option<Projections>,
}

/// Opens a market over this database and measures its commands in a closed loop.
pub(crate) async fn measure(
    url: &str,
    pace: Pace,
    with_projections: bool,
    after_number: u64,
) -> anyhow::Result<Cell> {
    let until = tokio::time::sleep(pace.measured);
    measure_until(url, pace.concurrency, (with_projections, after_number), until).await
}

/// Like [`measure`], until the given future completes.
pub(crate) async fn measure_until(
    url: &str,
    concurrency: usize,
    (with_projections, after_number): (bool, u64),
    until: impl Future<Output = ()>,
) -> anyhow::Result<Cell> {
    let ours = Ours::open(url, with_projections).await?;
    let candidate = if with_projections { "ours, projections on" } else { "ours" };
    let commands = ours.commands();
    let cell = closed_loop_of(candidate, vec![(); concurrency], until, move |(), meter, n| {
        let commands = commands.clone();
        async move { drop(lifecycle(&commands, after_number + n, &meter).await) }
    });
    let cell = cell.await;
    ours.close().await;
    Ok(cell)
}

impl Ours {
    pub(crate) async fn open(url: &str, with_projections: bool) -> anyhow::Result<Self> {
        let options = StoreOptions { url: url.to_owned(), ..StoreOptions::default() };
        Store::migrate(&options).await?;
        let store = Store::open(&options).await?;
        let gateway = InProcessGateway::in_memory(InProcessGatewayOptions::default());
        let alarm = InProcessAlarm::new(InProcessAlarmOptions::default());
        let (gateway, alarm) = (Arc::new(gateway), Arc::new(alarm));
        let commands = Commands::new(store.clone(), gateway, alarm, CommandOptions::default())?;
        let follow = || Projections::start(store.clone(), Arc::new(QuietPort), &Options::default());
        let projections = with_projections.then(follow);
        Ok(Self { commands, store, projections })
    }

    /// The commands of this market.
    pub(crate) fn commands(&self) -> Commands {
        self.commands.clone()
    }

    pub(crate) async fn close(self) {
        if let Some(projections) = self.projections {
            projections.stop().await;
        }
        self.commands.close().await;
        self.store.close().await;
    }
}

/// Runs the commands of one item; returns the position of the last event.
pub(crate) async fn lifecycle(commands: &Commands, n: u64, meter: &Meter) -> anyhow::Result<i64> {
    let item_no = ItemNo::new(i64::try_from(n)?)?;
    let mut position = 0;
    for command in workload::lifecycle(item_no)? {
        let meta = meta(commands)?;
        let executing = commands.send(MarketCommand::Item(item_no, command), &meta);
        position = meter.command(executing).await?.position;
    }
    Ok(position)
}

/// The metadata of a real request, including a client's key and its fingerprint.
fn meta(commands: &Commands) -> anyhow::Result<CommandMeta> {
    Ok(CommandMeta {
        command_id: commands.new_id(),
        correlation_id: commands.new_id(),
        causation: None,
        actor: Actor::Owner(PersonId::new(7)?),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        fingerprint: vec![7; 32],
        precondition: Precondition::default(),
        keyed: true,
    })
}
