//! Runners are killed again and again while the log grows, or stopped past their leases while another
//! goes on. At every moment each view shows exactly what its checkpoint says, whoever wrote it, and in
//! the end it equals a rebuild.

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

/// Ten times as many on a long run.
const KILLS: usize = 10;
const EVENTS_PER_KILL: i64 = 500;
const PAUSES: usize = 2;
const EVENTS_PER_PAUSE: i64 = 500;
const WORKERS: i64 = 8;
/// Longer than the leases of these runners.
const PAST_THE_LEASE: Duration = Duration::from_millis(700);
/// What is left to do after the last kill, on a busy machine.
const ENDS_WITHIN: Duration = Duration::from_mins(10);
/// A stopped runner may hold a row until the database ends its transaction.
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

/// Neighbours who let the log grow up to where they may.
struct Work {
    market: Arc<Market>,
    allowed: AtomicI64,
    done: AtomicBool,
}

impl Work {
    /// Registers, changes prices, reserves, is refused, cancels; never waits for what follows.
    async fn begin(self: Arc<Self>, first: i64) {
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

    /// Sent until it is known what became of it.
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
    /// Per kind the events so far: position, number, sequence.
    events: HashMap<String, Vec<(i64, i64, i64)>>,
    read: i64,
}

impl Watch {
    fn new(market: &Arc<Market>) -> Self {
        Self { market: Arc::clone(market), events: HashMap::new(), read: 0 }
    }

    async fn read_on(&mut self) {
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

    /// Every row that is ahead of its checkpoint or behind it.
    async fn look(&mut self) -> Vec<String> {
        let mut strange = vec![];
        for (view, kind) in VIEWS.iter().zip(KINDS) {
            // One statement, so one moment.
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
            self.read_on().await;
            let mut expected: HashMap<i64, i64> = HashMap::new();
            let events = self.events.get(kind).into_iter().flatten();
            for (_, number, sequence) in events.take_while(|(at, ..)| *at <= checkpoint) {
                expected.insert(*number, *sequence);
            }
            for (number, sequence) in rows.iter().filter_map(|(_, no, seq)| no.zip(*seq)) {
                let due = expected.remove(&number);
                if due != Some(sequence) {
                    strange
                        .push(format!("{view} {number}: {sequence} at {checkpoint}, due {due:?}"));
                }
            }
            let missing = expected.into_iter();
            strange.extend(missing.map(|(no, due)| format!("{view} {no}: absent, due {due}")));
        }
        strange
    }

    /// Looks again and again; how often, and what was strange.
    async fn until(mut self, done: Arc<Work>) -> (usize, Vec<String>) {
        let (mut looks, mut strange) = (0, vec![]);
        while !done.done.load(Ordering::SeqCst) {
            strange.extend(self.look().await);
            looks += 1;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        (looks, strange)
    }

    async fn checkpoints(&self) -> Vec<i64> {
        let sql = "SELECT position FROM checkpoints ORDER BY subscription";
        on_db!(self.market.store.views(), pool => sqlx::query_scalar(sql).fetch_all(pool).await)
            .unwrap()
    }
}

/// Grows a log, lets `trouble` befall its runners, and compares in the end.
async fn through<F: AsyncFnOnce(&Arc<Work>, &Watch)>(db: &TestDb, trouble: F) {
    let market = Arc::new(Market::open(db).await);
    let work = Arc::new(Work {
        market: Arc::clone(&market),
        allowed: AtomicI64::new(0),
        done: AtomicBool::new(false),
    });
    let workers: Vec<_> =
        (1..=WORKERS).map(|first| tokio::spawn(Arc::clone(&work).begin(first))).collect();
    let watching = tokio::spawn(Watch::new(&market).until(Arc::clone(&work)));
    trouble(&work, &Watch::new(&market)).await;
    work.done.store(true, Ordering::SeqCst);
    for worker in workers {
        worker.await.unwrap();
    }
    let (looks, strange) = watching.await.unwrap();
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
    assert_eq!(strange, [""; 0], "a view shows what its checkpoint says, at every moment");
    assert!(looks > 20, "{looks} looks only");
    assert_eq!(Watch::new(&market).look().await, [""; 0]);
    market.assert_equals_rebuild().await;
}

/// How often the views' leases were taken from somebody, all together.
async fn epochs(leases: &Leases) -> i64 {
    let all = leases.all().await.unwrap();
    all.iter().filter(|of| VIEWS.contains(&of.name.as_str())).map(|of| of.epoch).sum()
}

async fn grown(work: &Work, by: i64) {
    let head = work.market.store.log().head().await.unwrap();
    work.allowed.store(head + by, Ordering::SeqCst);
    eventually(TAKEN_OVER_WITHIN, || async {
        let now = work.market.store.log().head().await.unwrap();
        if now >= head + by { Ok(()) } else { Err((head, now)) }
    })
    .await;
}

on_each_engine! {
    async fn a_runner_killed_again_and_again_leaves_nothing_half(db: &TestDb) {
        through(db, async |work, watch| {
            let mut moved = 0;
            for _ in 0..times(KILLS) {
                let before = watch.checkpoints().await;
                let runner = Runner::start(db);
                grown(work, EVENTS_PER_KILL).await;
                // A random moment of its work, not a condition.
                let life = rand::random_range(300..1200);
                println!("killed after {life} ms");
                tokio::time::sleep(Duration::from_millis(life)).await;
                drop(runner);
                moved += usize::from(watch.checkpoints().await != before);
            }
            assert!(moved > times(KILLS) / 2, "{moved} lives got something done");
        })
        .await;
    }

    /// Control: a checkpoint that is moved without its rows is seen at once, and never made good.
    async fn control_a_checkpoint_without_its_rows_is_seen(db: &TestDb) {
        let market = Arc::new(Market::open(db).await);
        let loops = market.start();
        market.register(1, None).await;
        market.settle(&loops).await;
        loops.stop().await;
        assert_eq!(Watch::new(&market).look().await, [""; 0]);
        market.item(1, ItemCommand::Delete).await;
        let head = market.store.log().head().await.unwrap();
        market.views_sql(&format!("UPDATE checkpoints SET position = {head}")).await;
        let strange = Watch::new(&market).look().await;
        assert!(strange.iter().any(|told| told.starts_with(VIEWS[0])), "{strange:?}");
        let loops = market.start();
        market.settle(&loops).await;
        loops.stop().await;
        let differing = differences_from_rebuild(&market.store).await.unwrap();
        assert!(differing.iter().any(|told| (told.view.as_str(), told.number) == ("item-info", 1)), "{differing:?}");
    }
}

#[test]
fn a_runner_stopped_past_its_lease_writes_nothing_when_it_goes_on() {
    run(async {
        let db = TestDb::postgres().await;
        through(&db, async |work, watch| {
            let runners = [Runner::start(&db), Runner::start(&db)];
            grown(work, EVENTS_PER_PAUSE).await;
            let leases = Leases::new(work.market.store.views().clone());
            let taken = epochs(&leases).await;
            for (pause, stopped) in (0..times(PAUSES)).zip(runners.iter().cycle()) {
                // Under work, so that it is stopped in the middle of something.
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
            // Every other time at the latest it was the one at work that was stopped, and overtaken.
            let overtaken = epochs(&leases).await - taken;
            let at_least = i64::try_from(times(PAUSES) / 2).unwrap();
            assert!(overtaken >= at_least, "{overtaken} leases changed hands");
            drop(runners);
            for view in VIEWS {
                eventually(TAKEN_OVER_WITHIN, || async {
                    let epoch = leases.take(view, "the test", Duration::ZERO).await.unwrap();
                    epoch.ok_or("it is left to a dead one")
                })
                .await;
            }
        })
        .await;
    });
}
