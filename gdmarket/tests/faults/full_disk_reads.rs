//! Reads while the disk becomes full, stays full and has room again, repeatedly: every read is answered, even through
//! connections to the files that are first opened while there is no room for a byte.

use crate::load::start_load;
use crate::small_disk::SmallDisk;
use gdmarket_testkit::{
    MarketClient, Outcome, RequestLedger, ServerOptions, TestDb, eventually, run, times,
};
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;

const CALLERS: usize = 4;
/// How often the disk becomes full.
const CYCLES: usize = 4;
/// Readers that start together in each cycle: more than the open connections to the views.
const READERS: usize = 24;
/// Rounds over all paths that are answered while the disk is full, and then while it has room.
const ROUNDS: usize = 100;
const SOON: Duration = Duration::from_mins(1);
const PATHS: [&str; 9] = [
    "/items/1",
    "/items/1/calendar",
    "/itemInfoes/1",
    "/reservations/1",
    "/reservations/1/trace",
    "/items?limit=5",
    "/reservations?limit=5",
    "/payments?limit=5",
    "/alarms?limit=5",
];

/// Readers, each with connections of its own.
struct Readers {
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicUsize>,
    failures: Arc<Mutex<Vec<String>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Readers {
    fn start(url: &str) -> Self {
        let (stop, rounds) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let failures = Arc::<Mutex<Vec<String>>>::default();
        let read = |_| {
            let market = MarketClient::at(url);
            let (stop, rounds, failures) =
                (Arc::clone(&stop), Arc::clone(&rounds), Arc::clone(&failures));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    for path in PATHS {
                        let answer = market.get(path).await;
                        if answer.status != 200 {
                            failures.lock().unwrap().push(format!("{path}: {answer:?}"));
                        }
                    }
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let tasks = (0..READERS).map(read).collect();
        Self { stop, rounds, failures, tasks }
    }

    /// Waits for some more rounds of reads.
    async fn read_rounds(&self) {
        let before = self.rounds.load(Ordering::Relaxed);
        wait_for_count(before + ROUNDS, || self.rounds.load(Ordering::Relaxed)).await;
    }

    /// Ends the readers, and returns the answers other than 200.
    async fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        std::mem::take(&mut self.failures.lock().unwrap())
    }
}

async fn wait_for_count<T: PartialOrd + Debug>(least: T, count: impl Fn() -> T) {
    eventually(SOON, || async {
        let now = count();
        if now >= least { Ok(()) } else { Err(now) }
    })
    .await;
}

#[test]
fn reads_are_answered_while_the_disk_is_full() {
    run(async {
        let db = TestDb::sqlite();
        let data = db.folder().expect("a folder").to_owned();
        let Some(disk) = SmallDisk::on(&data, "32m", "reads while the disk is full") else {
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(RequestLedger::in_folder(folder.path()));
        let server = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket"))
            .on(&db)
            .variable("GDMARKET__PAYMENT__JITTER_MS", "3")
            .start()
            .await;
        let market = MarketClient::at(&server.url(""));
        let item = market.register(100).await;
        market.reserve(item, 7).await.expect(201);
        let load = start_load(&market, &ledger, CALLERS);
        for cycle in 0..times(CYCLES) {
            let acknowledged = ledger.count(Outcome::Acknowledged);
            wait_for_count(acknowledged + 100, || ledger.count(Outcome::Acknowledged)).await;
            disk.fill();
            eventually(SOON, || async {
                let answer = market.register_answer(100).await;
                if answer.status == 503 { Ok(()) } else { Err(answer) }
            })
            .await;
            let readers = Readers::start(&server.url(""));
            readers.read_rounds().await;
            disk.empty();
            readers.read_rounds().await;
            let failures = readers.stop().await;
            assert_eq!(failures, [""; 0], "cycle {cycle}: {}", server.stderr());
        }
        load.stop().await;
        assert!(!server.stderr().contains("panicked"), "{}", server.stderr());
    });
}
