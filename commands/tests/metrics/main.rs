//! How many streams a command reads, by the program's own metrics. Metrics belong to a whole process, so
//! this binary has one test only.
#![expect(clippy::unwrap_used, reason = "a test's helper that can't do its work fails its test")]

mod counters;
#[path = "../commands/fakes.rs"]
#[expect(dead_code, reason = "the other tests use the rest")]
mod fakes;
#[path = "../commands/market.rs"]
#[expect(dead_code, reason = "the other tests use the rest")]
mod market;

use counters::Counters;
use gdmarket_testkit::TestDb;
use market::{Market, item_no, new_reservation, operator};

const CACHE: &str = "gdmarket_aggregate_cache_total";

#[test]
fn command_that_starts_a_stream_reads_nothing() {
    gdmarket_testkit::run(async {
        let counters = Counters::start();
        reads_nothing(&counters, &TestDb::sqlite()).await;
        reads_nothing(&counters, &TestDb::postgres().await).await;
    });
}

async fn reads_nothing(counters: &Counters, db: &TestDb) {
    let now = || ["miss", "assumed-new"].map(|result| counters.count(CACHE, ("result", result)));
    let [read, assumed_new] = now();
    let market = Market::open(db).await;
    for _ in 0..3 {
        let no = market.register().await;
        market.commands.reserve(new_reservation(no), &operator()).await.unwrap();
    }
    // Alarm, item and reservation of each.
    assert_eq!(now(), [read, assumed_new + 9]);
    assert_eq!(market.log().await.len(), 9);
    // A process with an empty cache reads a stream before it appends to it.
    let other = market.in_another_process(db).await;
    other.reprice(item_no(1), 200, operator()).await.unwrap();
    assert_eq!(now()[0], read + 1);
    market.close().await;
    other.close().await;
}
