//! Ours: the executor, group commit, trigger, receipts and full metadata; the same three commands on
//! the same aggregate as stock. With projections on, every view follows and the managers look at
//! each event, on the same two cores.

use crate::cell::{Cell, Pace, closed_loop};
use crate::port::QuietPort;
use crate::stock::fresh_database;
use crate::workload;
use gdmarket_commands::{
    CommandMeta, CommandOptions, Commands, InProcessAlarm, InProcessAlarmOptions, InProcessGateway,
    InProcessGatewayOptions,
};
use gdmarket_domain::{Actor, Item, ItemNo, PersonId};
use gdmarket_projections::{Options, Projections};
use gdmarket_store::{Store, StoreOptions};
use gdmarket_testkit::PgCluster;
use std::sync::Arc;

/// Ours on PostgreSQL.
pub(crate) async fn postgres(
    cluster: &PgCluster,
    pace: Pace,
    with_projections: bool,
) -> anyhow::Result<Cell> {
    let url = fresh_database(cluster, "bench_ours", "").await?;
    measure(url, pace, with_projections).await
}

/// Ours on SQLite, `synchronous=FULL` as always.
pub(crate) async fn sqlite(pace: Pace, with_projections: bool) -> anyhow::Result<Cell> {
    let folder = tempfile::tempdir()?;
    measure(format!("sqlite:{}", folder.path().display()), pace, with_projections).await
}

async fn measure(url: String, pace: Pace, with_projections: bool) -> anyhow::Result<Cell> {
    let options = StoreOptions { url, ..StoreOptions::default() };
    Store::migrate(&options).await?;
    let store = Store::open(&options).await?;
    let gateway = InProcessGateway::open(InProcessGatewayOptions::default())?;
    let alarm = InProcessAlarm::new(InProcessAlarmOptions::default());
    let commands = Commands::new(
        store.clone(),
        Arc::new(gateway),
        Arc::new(alarm),
        CommandOptions::default(),
    )?;
    let projections = with_projections
        .then(|| Projections::start(store.clone(), Arc::new(QuietPort), &Options::default()));
    let candidate = if with_projections { "ours, projections on" } else { "ours" };
    let running = commands.clone();
    let cell = closed_loop(candidate, pace, move |meter, n| {
        let commands = running.clone();
        async move {
            let Ok(number) = i64::try_from(n) else { return };
            let Ok(lifecycle) =
                ItemNo::new(number).map_err(Into::into).and_then(workload::lifecycle)
            else {
                return;
            };
            for command in lifecycle {
                let Ok(meta) = meta(&commands) else { return };
                if !meter.command(commands.execute::<Item>(number, command, &meta)).await {
                    return;
                }
            }
        }
    })
    .await;
    if let Some(projections) = projections {
        projections.stop().await;
    }
    commands.close().await;
    store.close().await;
    Ok(cell)
}

/// Everything a command of a real request carries, a client's key and its fingerprint included.
fn meta(commands: &Commands) -> anyhow::Result<CommandMeta> {
    Ok(CommandMeta {
        command_id: commands.new_id(),
        correlation_id: commands.new_id(),
        causation: None,
        actor: Actor::Owner(PersonId::new(7)?),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        fingerprint: vec![7; 32],
        expected_version: None,
        keyed: true,
    })
}
