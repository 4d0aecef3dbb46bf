//! Mixed load on a market of several processes, one of which is killed at random every one to three seconds: in the end
//! everything acknowledged is stored once, holds, alarms and money are right, nothing is open, and the views equal a
//! rebuild. `scripts/test --long` kills for two minutes.

use crate::command_ids::command_id;
use crate::verified_market::VerifiedMarket;
use gdmarket_testkit::{
    Engine, LoadOptions, Mix, Outcome, SplitMarketOptions, run, seeded_rng, size,
};
use rand::RngExt as _;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const PROGRAM: &str = env!("CARGO_BIN_EXE_gdmarket");
const CALLERS: usize = 8;
const ALL: &str = "item,reservation,payment,alarm";

/// How long the everyday and the long run kill, in seconds, and how often at least.
const SECONDS: [usize; 2] = [15, 120];
const KILLS: [usize; 2] = [5, 40];

async fn survives(name: &str, options: SplitMarketOptions) {
    let mut choices = seeded_rng(name);
    let options = options.variable("GDMARKET__PAYMENT__TIMEOUT_MS", "2000");
    let mut market = VerifiedMarket::start(options).await;
    let load = LoadOptions { callers: CALLERS, mix: Mix::Everything, command_id };
    let load = market.load(load);
    let names = market.processes.names();
    let end =
        Instant::now() + Duration::from_secs(size(SECONDS[0], SECONDS[1]).try_into().unwrap());
    let mut killed: Vec<&str> = vec![];
    let ledger = std::sync::Arc::clone(&market.ledger);
    // A slow machine takes longer to do enough.
    let is_enough = |killed: usize| {
        let count = |outcome| ledger.count(outcome);
        let has_worked = count(Outcome::Acknowledged) > 100
            && count(Outcome::Refused) > 5
            && count(Outcome::Rejected) > 5;
        Instant::now() >= end && killed >= size(KILLS[0], KILLS[1]) && has_worked
    };
    while !is_enough(killed.len()) {
        // A random time of work, not a condition to wait for.
        sleep(Duration::from_millis(choices.random_range(1_000..3_000))).await;
        let name = &names[choices.random_range(0..names.len())];
        market.processes.restart(name).await;
        killed.push(name);
    }
    let last_kill = Instant::now();
    load.stop().await;
    let settled = market.settle().await;
    println!(
        "{name}: {} kills: {killed:?}; settled {:?} after the last",
        killed.len(),
        settled - last_kill
    );
    market.print_outcomes();
    market.assert_right().await;
    market.assert_rebuilt_views_are_equal().await;
}

#[test]
fn four_services_survive_random_kills_under_load() {
    run(survives("four services", SplitMarketOptions::four_services(PROGRAM)));
}

#[test]
fn replicas_of_one_market_survive_random_kills_under_load() {
    let options = SplitMarketOptions::new(PROGRAM).replicas(ALL, Engine::Postgres, 2);
    run(survives("replicas", options));
}
