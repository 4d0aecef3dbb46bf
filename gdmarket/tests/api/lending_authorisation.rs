//! Lending right after a payment is not refused as `not-paid` while the authorisation is in flight from one
//! aggregate to the other.

use crate::app::App;
use gdmarket_commands::{CommandMeta, CommandOptions, Commands, Precondition};
use gdmarket_domain::{Actor, ItemCommand, ItemNo, MarketCommand, ReservationNo};
use gdmarket_simulators::{
    InProcessAlarm, InProcessAlarmOptions, InProcessGateway, InProcessGatewayOptions,
};
use gdmarket_store::{Leases, Store, StoreOptions};
use gdmarket_testkit::{TestDb, eventually};
use std::sync::Arc;
use std::time::Duration;

/// The lease of the item's process manager is taken, so no reaction happens. The test authorises the lending
/// itself, after a first attempt to lend was refused.
#[test]
fn lending_waits_for_an_authorisation_in_flight() {
    gdmarket_testkit::run(async {
        let db = TestDb::postgres().await;
        let app = App::on(&db, &[]).await;
        let item = app.camera().await;
        let no = app.reserved(item, 1).await;
        app.stop().await;
        let options = StoreOptions { url: db.url().to_owned(), ..StoreOptions::default() };
        let store = Store::open(&options).await.expect("the store");
        let leases = Leases::new(store.views().clone());
        let epoch = leases.take("holding", "another holder", Duration::from_hours(1)).await;
        assert!(epoch.expect("the leases").is_some(), "the lease is free");
        let app = App::on(&db, &[]).await;
        app.pay(no).await;
        let lend = format!("/items/{item}/lend");
        app.post(&lend, serde_json::json!({})).refused(409, "not-paid").await;
        let commands = commands(&store);
        let before = refused_commands(&app).await;
        let authorised = async {
            eventually(Duration::from_secs(10), || async {
                if refused_commands(&app).await > before { Ok(()) } else { Err(before) }
            })
            .await;
            authorise(&commands, item, no).await;
        };
        let (answer, ()) = tokio::join!(app.post(&lend, serde_json::json!({})).send(), authorised);
        assert_eq!(answer.status, 200, "{}", answer.text);
        app.stop().await;
        store.close().await;
    });
}

/// The number of refused commands to items.
async fn refused_commands(app: &App) -> u64 {
    let metrics = app.get("/metrics").expect(200).await.text;
    let counted = metrics.lines().find(|line| {
        line.starts_with("gdmarket_commands_total")
            && line.contains(r#"aggregate="item""#)
            && line.contains(r#"outcome="refused""#)
    });
    let count = counted.and_then(|line| line.rsplit(' ').next());
    count.map_or(0, |count| count.parse().expect("a number"))
}

/// Made before the request, since the request waits for 250 ms only.
fn commands(store: &Store) -> Commands {
    let gateway = InProcessGateway::in_memory(InProcessGatewayOptions::default());
    let alarm = InProcessAlarm::new(InProcessAlarmOptions::default());
    let options = CommandOptions::default();
    Commands::new(store.clone(), Arc::new(gateway), Arc::new(alarm), options).expect("the commands")
}

/// Sends the item's reaction to a payment.
#[expect(clippy::disallowed_methods, reason = "a command of the test's own")]
async fn authorise(commands: &Commands, item: i64, reservation: i64) {
    let command_id = uuid::Uuid::now_v7();
    let meta = CommandMeta {
        command_id,
        correlation_id: command_id,
        causation: None,
        actor: Actor::Process("test"),
        traceparent: None,
        fingerprint: Vec::new(),
        precondition: Precondition::default(),
        keyed: false,
    };
    let reservation_no = ReservationNo::new(reservation).expect("a number");
    let item_no = ItemNo::new(item).expect("a number");
    let command = ItemCommand::AuthorizeLending { reservation_no };
    commands.send(MarketCommand::Item(item_no, command), &meta).await.expect("authorised");
}
