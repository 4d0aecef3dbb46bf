//! Runners are killed repeatedly while the log grows, or stopped beyond their leases while another runner continues. At
//! every moment each view shows exactly the events up to its checkpoint, and in the end it equals a rebuild.

use crate::crash::child_command;
use crate::market::{Market, VIEWS, day, days, item, person, reservation};
use gdmarket_domain::{AlarmCommand, ItemCommand, MarketCommand, Money, ReservationCommand};
use gdmarket_projections::differences_from_rebuild;
use gdmarket_store::{Leases, on_db};
use gdmarket_testkit::{TestDb, eventually, on_each_engine, run, times};
use std::collections::HashMap;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use uuid::Uuid;

/// The number of kills, ten times as many on a long run.
const KILLS: usize = 10;
const EVENTS_PER_KILL: i64 = 500;
const PAUSES: usize = 2;
const EVENTS_PER_PAUSE: i64 = 500;
const WORKERS: i64 = 8;
/// Longer than the leases of these runners.
const PAST_THE_LEASE: Duration = Duration::from_millis(700);
/// The limit for the remaining work after the last kill, on a busy machine.
const ENDS_WITHIN: Duration = Duration::from_mins(10);
/// The limit of a takeover: a stopped runner may lock a row until the database ends its transaction.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(30);

/// The streams of the views, in the order of [`VIEWS`].
const KINDS: [&str; 4] = ["item", "reservation", "payment", "alarm"];

/// A process that runs all loops until it is killed.
struct Runner(Child);

impl Runner {
    fn start(db: &TestDb) -> Self {
        let mut command = child_command(db.url(), "");
        command.env("GDMARKET_CRASH_FOREVER", "1").stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.0.id().to_string()]).status();
        assert!(sent.unwrap().success(), "kill -s {name}");
    }
}

impl Drop for Runner {
    /// `kill -9`.
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Workers that let the log grow up to an allowed position.
struct Work {
    market: Arc<Market>,
    allowed: AtomicI64,
    done: AtomicBool,
}

impl Work {
    /// Registers, changes prices, reserves, is refused, cancels; never waits for reactions.
    async fn run(self: Arc<Self>, first: i64) {
        for number in (first..).step_by(usize::try_from(WORKERS).unwrap()) {
            while *self.market.store.tail().head().borrow() >= self.allowed.load(Ordering::SeqCst) {
                if self.done.load(Ordering::SeqCst) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let item_no = item(number);
            let register = ItemCommand::Register {
                item_no,
                owner_id: Some(person(number)),
                item_name: format!("Camera {number}"),
                item_price: Money::price(100).unwrap(),
            };
            self.send(MarketCommand::Alarm(item_no, AlarmCommand::RaiseRegistration { item_no }))
                .await;
            self.send(MarketCommand::Item(item_no, register)).await;
            for won in 101..=106 {
                let item_price = Some(Money::price(won).unwrap());
                let change = ItemCommand::Change { item_name: None, item_price };
                self.send(MarketCommand::Item(item_no, change)).await;
            }
            self.reserve(number, number).await;
            if number % 4 == 0 {
                self.reserve(1_000_000 + number, number).await;
            }
            if number % 3 == 0 {
                let cancel = ReservationCommand::Cancel;
                self.send(MarketCommand::Reservation(reservation(number), cancel)).await;
            }
        }
    }

    async fn reserve(&self, no: i64, item_no: i64) {
        let reserve = ReservationCommand::Reserve {
            reservation_no: reservation(no),
            item_no: item(item_no),
            renter_id: person(no),
            period: Some(days(2, 4)),
            asked_on: day(1),
        };
        self.send(MarketCommand::Reservation(reservation(no), reserve)).await;
    }

    /// Sends a command until its outcome is known.
    async fn send(&self, command: MarketCommand) {
        let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{command:?}").as_bytes());
        while self.market.port.send(&command, id, id).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Compares each view with the log as of the view's own checkpoint.
struct Watch {
    market: Arc<Market>,
    /// The events so far by kind: position, number, sequence.
    events: HashMap<String, Vec<(i64, i64, i64)>>,
    read: i64,
}

impl Watch {
    fn new(market: &Arc<Market>) -> Self {
        Self { market: Arc::clone(market), events: HashMap::new(), read: 0 }
    }

    async fn read_new_events(&mut self) {
        loop {
            let events = self.market.store.log().read_after(self.read, 10_000).await.unwrap();
            let Some(last) = events.last() else { return };
            self.read = last.position;
            for event in events {
                let of_kind = self.events.entry(event.stream.kind.to_string()).or_default();
                of_kind.push((event.position, event.stream.number, event.sequence));
            }
        }
    }

    /// The rows that are ahead of or behind the checkpoint of their view.
    async fn check(&mut self) -> Vec<String> {
        let mut wrong = vec![];
        for (view, kind) in VIEWS.iter().zip(KINDS) {
            // One statement reads one snapshot.
            let sql = format!(
                "SELECT c.position, v.no, v.sequence FROM checkpoints c \
                 LEFT JOIN view_{view} v ON 1 = 1 WHERE c.subscription = '{view}'"
            );
            let rows: Vec<(i64, Option<i64>, Option<i64>)> =
                on_db!(self.market.store.views(), pool => {
                    sqlx::query_as(&sql).fetch_all(pool).await
                })
                .unwrap();
            let Some((checkpoint, ..)) = rows.first().copied() else { continue };
            self.read_new_events().await;
            let mut expected: HashMap<i64, i64> = HashMap::new();
            let events = self.events.get(kind).into_iter().flatten();
            for (_, number, sequence) in events.take_while(|(at, ..)| *at <= checkpoint) {
                expected.insert(*number, *sequence);
            }
            for (number, sequence) in rows.iter().filter_map(|(_, no, seq)| no.zip(*seq)) {
                let due = expected.remove(&number);
                if due != Some(sequence) {
                    wrong.push(format!("{view} {number}: {sequence} at {checkpoint}, due {due:?}"));
                }
            }
            let missing = expected.into_iter();
            wrong.extend(missing.map(|(no, due)| format!("{view} {no}: absent, due {due}")));
        }
        wrong
    }

    /// Checks repeatedly until the work is done; returns the number of checks and the wrong rows.
    async fn until(mut self, done: Arc<Work>) -> (usize, Vec<String>) {
        let (mut checks, mut wrong) = (0, vec![]);
        while !done.done.load(Ordering::SeqCst) {
            wrong.extend(self.check().await);
            checks += 1;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        (checks, wrong)
    }

    async fn checkpoints(&self) -> Vec<i64> {
        let sql = "SELECT position FROM checkpoints ORDER BY subscription";
        on_db!(self.market.store.views(), pool => sqlx::query_scalar(sql).fetch_all(pool).await)
            .unwrap()
    }
}

/// Grows a log, runs `trouble` on its runners, and compares the views in the end.
async fn run_with<F: AsyncFnOnce(&Arc<Work>, &Watch)>(db: &TestDb, trouble: F) {
    let market = Arc::new(Market::open(db).await);
    let work = Arc::new(Work {
        market: Arc::clone(&market),
        allowed: AtomicI64::new(0),
        done: AtomicBool::new(false),
    });
    let workers: Vec<_> =
        (1..=WORKERS).map(|first| tokio::spawn(Arc::clone(&work).run(first))).collect();
    let watching = tokio::spawn(Watch::new(&market).until(Arc::clone(&work)));
    trouble(&work, &Watch::new(&market)).await;
    work.done.store(true, Ordering::SeqCst);
    for worker in workers {
        worker.await.unwrap();
    }
    let (checks, wrong) = watching.await.unwrap();
    let runner = Runner::start(db);
    let watch = Watch::new(&market);
    eventually(ENDS_WITHIN, || async {
        let head = market.store.log().head().await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let checkpoints = watch.checkpoints().await;
        let rests = head == market.store.log().head().await.unwrap();
        if rests && checkpoints.iter().all(|at| *at == head) {
            Ok(())
        } else {
            Err((head, checkpoints))
        }
    })
    .await;
    drop(runner);
    assert_eq!(wrong, [""; 0], "every view matches its checkpoint at every moment");
    assert!(checks > 20, "only {checks} checks");
    assert_eq!(Watch::new(&market).check().await, [""; 0]);
    market.assert_equals_rebuild().await;
}

/// The sum of the epochs of the views' leases.
async fn epochs(leases: &Leases) -> i64 {
    let all = leases.all().await.unwrap();
    all.iter().filter(|of| VIEWS.contains(&of.name.as_str())).map(|of| of.epoch).sum()
}

async fn grow(work: &Work, by: i64) {
    let head = work.market.store.log().head().await.unwrap();
    work.allowed.store(head + by, Ordering::SeqCst);
    eventually(TAKEN_OVER_WITHIN, || async {
        let now = work.market.store.log().head().await.unwrap();
        if now >= head + by { Ok(()) } else { Err((head, now)) }
    })
    .await;
}

on_each_engine! {
    async fn repeatedly_killed_runner_leaves_no_partial_batch(db: &TestDb) {
        run_with(db, async |work, watch| {
            let mut moved = 0;
            for _ in 0..times(KILLS) {
                let before = watch.checkpoints().await;
                let runner = Runner::start(db);
                grow(work, EVENTS_PER_KILL).await;
                // The kill comes at a random moment; this waits for no condition.
                let life = rand::random_range(300..1200);
                println!("killed after {life} ms");
                tokio::time::sleep(Duration::from_millis(life)).await;
                drop(runner);
                moved += usize::from(watch.checkpoints().await != before);
            }
            assert!(moved > times(KILLS) / 2, "only {moved} runners moved a checkpoint");
        })
        .await;
    }

    /// Control: a checkpoint that is moved without its rows is noticed at once, and the rows stay wrong.
    async fn checkpoint_without_its_rows_is_noticed(db: &TestDb) {
        let market = Arc::new(Market::open(db).await);
        let loops = market.start();
        market.register(1, None).await;
        market.settle(&loops).await;
        loops.stop().await;
        assert_eq!(Watch::new(&market).check().await, [""; 0]);
        market.item(1, ItemCommand::Delete).await;
        let head = market.store.log().head().await.unwrap();
        market.views_sql(&format!("UPDATE checkpoints SET position = {head}")).await;
        let wrong = Watch::new(&market).check().await;
        assert!(wrong.iter().any(|row| row.starts_with(VIEWS[0])), "{wrong:?}");
        let loops = market.start();
        market.settle(&loops).await;
        loops.stop().await;
        let differing = differences_from_rebuild(&market.store).await.unwrap();
        assert!(differing.iter().any(|row| (row.view.as_str(), row.number) == ("item-info", 1)), "{differing:?}");
    }
}

#[test]
fn runner_stopped_beyond_its_lease_writes_nothing_when_it_continues() {
    run(async {
        let db = TestDb::postgres().await;
        run_with(&db, async |work, watch| {
            let runners = [Runner::start(&db), Runner::start(&db)];
            grow(work, EVENTS_PER_PAUSE).await;
            let leases = Leases::new(work.market.store.views().clone());
            let taken = epochs(&leases).await;
            for (pause, stopped) in (0..times(PAUSES)).zip(runners.iter().cycle()) {
                // More work is allowed, so that the runner is stopped in the middle of it.
                work.allowed.fetch_add(EVENTS_PER_PAUSE, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(
                    20 * (1 + u64::try_from(pause).unwrap() % 7),
                ))
                .await;
                stopped.signal("STOP");
                tokio::time::sleep(PAST_THE_LEASE).await;
                let head = work.market.store.log().head().await.unwrap();
                eventually(TAKEN_OVER_WITHIN, || async {
                    let checkpoints = watch.checkpoints().await;
                    if checkpoints.iter().all(|at| *at >= head) {
                        Ok(())
                    } else {
                        Err((head, checkpoints))
                    }
                })
                .await;
                stopped.signal("CONT");
            }
            // At least every other pause stops the leader, whose leases are then taken over.
            let taken_over = epochs(&leases).await - taken;
            let at_least = i64::try_from(times(PAUSES) / 2).unwrap();
            assert!(taken_over >= at_least, "only {taken_over} leases were taken over");
            drop(runners);
            for view in VIEWS {
                eventually(TAKEN_OVER_WITHIN, || async {
                    let epoch = leases.take(view, "the test", Duration::ZERO).await.unwrap();
                    epoch.ok_or("a dead runner still holds the lease")
                })
                .await;
            }
        })
        .await;
    });
}
