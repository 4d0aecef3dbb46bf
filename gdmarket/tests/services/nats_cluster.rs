//! Three NATS servers that keep each stream on all of them: the one that leads a stream is killed, and nothing is lost.

use crate::nats_market::{
    positions_of_stream, reaches, register, reserve, stream_is_log, until_streaming,
};
use async_nats::jetstream;
use gdmarket_testkit::{
    Engine, NatsServer, SplitMarket, SplitMarketOptions, eventually, free_port, times,
};
use std::time::Duration;
use tokio::time::Instant;

const SOON: Duration = Duration::from_mins(1);
const STREAM: &str = "GDMARKET_RESERVATION";
/// Reservations per kill.
const RESERVATIONS: usize = 6;

/// The servers of a cluster, which are named `n0`, `n1`, `n2`.
struct NatsCluster([NatsServer; 3]);

impl NatsCluster {
    async fn start() -> Self {
        let ports = [free_port(), free_port(), free_port()];
        let routes = ports.map(|port| format!("nats://127.0.0.1:{port}")).join(",");
        let member = |number: usize| {
            let (name, routes) = (format!("n{number}"), routes.clone());
            let own = format!("nats://127.0.0.1:{}", ports[number]);
            async move {
                let cluster = ["--cluster_name", "market", "--cluster", &own, "--routes", &routes];
                NatsServer::start_with(&[&["--name", name.as_str()], &cluster[..]].concat()).await
            }
        };
        let (first, second, third) = tokio::join!(member(0), member(1), member(2));
        Self([first, second, third])
    }

    fn urls(&self) -> String {
        self.0.each_ref().map(NatsServer::url).join(",")
    }

    /// The number of the server that leads the stream.
    async fn leader(&self) -> usize {
        eventually(SOON, || async {
            let client = async_nats::connect(self.0[0].url()).await.map_err(|e| e.to_string())?;
            let stream = jetstream::new(client).get_stream(STREAM).await;
            let info = stream.map_err(|error| error.to_string())?.cached_info().clone();
            let leader = info.cluster.and_then(|cluster| cluster.leader);
            let number = leader.and_then(|name| name.strip_prefix('n')?.parse::<usize>().ok());
            number.ok_or_else(|| "no leader".to_owned())
        })
        .await
    }
}

async fn start(cluster: &NatsCluster) -> SplitMarket {
    SplitMarketOptions::new(env!("CARGO_BIN_EXE_gdmarket"))
        .process("item,alarm", Engine::Sqlite)
        .process("reservation,payment", Engine::Sqlite)
        .nats(&cluster.urls())
        .variable("GDMARKET__NATS__REPLICAS", "3")
        .start()
        .await
}

#[tokio::test]
async fn nothing_is_lost_when_the_leader_of_a_stream_is_killed() {
    let mut cluster = NatsCluster::start().await;
    let market = start(&cluster).await;
    register(&market, RESERVATIONS * times(1)).await;
    until_streaming(&market).await;
    let mut items = 1..=RESERVATIONS * times(1);
    for kill in 1..=times(1) {
        let leader = cluster.leader().await;
        let began = Instant::now();
        cluster.0[leader].kill();
        for item in items.by_ref().take(RESERVATIONS) {
            reserve(&market, item).await;
            reaches(&market, item, "Reserved").await;
        }
        println!("kill {kill}: {RESERVATIONS} reservations settled after {:?}", began.elapsed());
        cluster.0[leader].restart().await;
        until_streaming(&market).await;
        println!("kill {kill}: over NATS again after {:?}", began.elapsed());
    }
    stream_is_log(&cluster.0[0], STREAM, market.db("reservation")).await;
    stream_is_log(&cluster.0[0], "GDMARKET_ITEM", market.db("item")).await;
    assert!(positions_of_stream(&cluster.0[0], STREAM).await.unwrap().len() > RESERVATIONS);
}
