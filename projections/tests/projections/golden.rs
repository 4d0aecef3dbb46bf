//! Golden logs: an exported log per released event version, kept for ever, which every build imports and folds to the
//! same states. They are never edited; CONTRIBUTING.md says when another one is due.
//!
//! A missing file is written, and the test fails, so that a developer reviews the file and keeps it.

use crate::market::{Market, SOON, VIEWS, day, days, options, reservation};
use crate::scenario;
use cqrs_es::Aggregate;
use gdmarket_domain::upcast::{self, STEPS};
use gdmarket_domain::{
    Alarm, AlarmEvent, Hold, HoldEvent, Item, ItemCommand, ItemEvent, MarketEvent, Payment,
    PaymentCommand, PaymentEvent, Reservation, ReservationCommand, ReservationEvent, Services,
    event_names_of,
};
use gdmarket_projections::{
    CompatibilityCheck, Options, Projections, is_view, managers, unreadable,
};
use gdmarket_store::{
    ArchiveReader, Export, ExportOptions, ImportOptions, RecordedEvent, Store, StoreOptions,
    StreamId, import,
};
use gdmarket_testkit::{Engine, TestDb, on_each_engine};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Cursor;
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// All golden logs, by name.
fn logs() -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let logs = entries.filter(|path| path.extension().is_some_and(|ending| ending == "ndjson"));
    logs.map(|path| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, fs::read(&path).unwrap())
    })
    .collect()
}

/// Every type of event with its newest version.
fn known() -> BTreeMap<(&'static str, &'static str), u32> {
    let all: [(&str, &'static [&'static str]); 5] = [
        (Item::TYPE, event_names_of::<ItemEvent>()),
        (Reservation::TYPE, event_names_of::<ReservationEvent>()),
        (Payment::TYPE, event_names_of::<PaymentEvent>()),
        (Alarm::TYPE, event_names_of::<AlarmEvent>()),
        (Hold::TYPE, event_names_of::<HoldEvent>()),
    ];
    let each = all.iter().flat_map(|(kind, names)| names.iter().map(move |name| (*kind, *name)));
    each.map(|(kind, name)| ((kind, name), upcast::current_version(STEPS, name))).collect()
}

/// A line of an exported log with the kind of its event.
#[derive(Deserialize)]
struct Line {
    event: Kind,
}

#[derive(Deserialize)]
struct Kind {
    aggregate: String,
    #[serde(rename = "type")]
    event_type: String,
    version: String,
}

/// The versions of events in an exported log.
fn versions_in(log: &[u8]) -> BTreeSet<(String, String, u32)> {
    let lines = log.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"{\"event\""));
    lines
        .map(|line| {
            let Line { event } = serde_json::from_slice(line).unwrap();
            (event.aggregate, event.event_type, event.version.parse().unwrap())
        })
        .collect()
}

/// The versions of events that are in no golden log.
fn missing(logs: &BTreeMap<String, Vec<u8>>) -> Vec<(String, String, u32)> {
    let kept: BTreeSet<_> = logs.values().flat_map(|log| versions_in(log)).collect();
    let all = known().into_iter().flat_map(|((kind, name), newest)| {
        (1..=newest).map(move |version| (kind.to_owned(), name.to_owned(), version))
    });
    all.filter(|version| !kept.contains(version)).collect()
}

/// Plays the scenario and everything else that can happen.
async fn play(market: &Market) {
    let loops = market.start();
    scenario::play(market, &loops).await;
    let blocked = ItemCommand::UnblockPeriod { period: days(10, 20) };
    market.item(3, blocked).await;
    market.register(4, Some(12)).await;
    cancel_too_late(market, loops).await;
    let loops = market.start();
    market.reserve(20, 3, None).await;
    market.settle(&loops).await;
    let found = market.queries().reservation(reservation(20)).await.unwrap().unwrap();
    let pay_by = found.body.pay_by.unwrap();
    market.reservation(20, ReservationCommand::Expire { pay_by }).await;
    market.settle(&loops).await;
    market.reserve(21, 3, None).await;
    market.settle(&loops).await;
    market.start_payment(21, 21, 3).await;
    market.payment(21, PaymentCommand::RecordUnknown).await;
    market.settle(&loops).await;
    // No deadline may be left open: it would fire whenever the log is imported.
    market.payment(21, PaymentCommand::RecordApproved).await;
    market.reservation(4, ReservationCommand::Cancel).await;
    market.settle(&loops).await;
    loops.stop().await;
    refuse_a_refund(market).await;
    let short_deadlines = Options { abandon_after: std::time::Duration::ZERO, ..options() };
    let loops = market.start_with(&short_deadlines);
    market.alert(5).await;
    gdmarket_testkit::eventually(SOON, || async {
        let history = market.history().await;
        let last = history.iter().any(|event| event == "alarm/5 AlarmWithdrawn");
        if last { Ok(()) } else { Err(history) }
    })
    .await;
    market.settle(&loops).await;
    loops.stop().await;
}

/// A refund that the gateway refused first and granted when it was requested again.
async fn refuse_a_refund(market: &Market) {
    let reason = "account-closed".to_owned();
    market.payment(21, PaymentCommand::Cancel).await;
    market.payment(21, PaymentCommand::RecordRefundRefused { reason }).await;
    market.payment(21, PaymentCommand::RecordCancelled).await;
}

/// Two cancellations after the lending: of the reservation, and of its payment.
async fn cancel_too_late(market: &Market, mut loops: Projections) {
    for (number, command) in
        [(10, ReservationCommand::Cancel), (11, ReservationCommand::RequestPaymentCancellation)]
    {
        market.reserve(number, 4, None).await;
        market.settle(&loops).await;
        market.pay(number, number, 4).await;
        market.settle(&loops).await;
        loops.stop().await;
        market.reservation(number, command).await;
        let reservation_no = Some(reservation(number));
        market.item(4, ItemCommand::Lend { reservation_no, today: day(2) }).await;
        loops = market.start();
        market.settle(&loops).await;
        market.item(4, ItemCommand::Return { reservation_no }).await;
        market.settle(&loops).await;
    }
    loops.stop().await;
}

async fn exported(store: &Store) -> Vec<u8> {
    let options = ExportOptions { with_personal_data: false, is_derived: is_view };
    let mut export = Export::begin(store, options).await.unwrap();
    let mut all = vec![];
    while let Some(lines) = export.next().await.unwrap() {
        all.extend(lines);
    }
    all
}

async fn imported(db: &TestDb, log: &[u8]) {
    let reader = ArchiveReader::open(Cursor::new(log.to_vec())).await.unwrap();
    let acting = managers(Services::ALL);
    let settings =
        ImportOptions { numbered: &[], acting: &acting, is_derived: is_view, division: None };
    let options = StoreOptions { url: db.url().to_owned(), ..StoreOptions::default() };
    import(&options, settings, reader, &|_| {}).await.unwrap();
}

/// The states that the log folds to: a hash per view, and per aggregate.
async fn states(db: &TestDb) -> String {
    let market = Market::open(db).await;
    let loops = market.start();
    market.settle(&loops).await;
    loops.stop().await;
    assert_eq!(market.port.sent.lock().unwrap().len(), 0, "no reaction is sent again");
    let mut states = vec![];
    for view in VIEWS {
        let rows: Vec<String> =
            market.rows(view).await.iter().map(|row| format!("{row:?}")).collect();
        let (name, _generation) = view.rsplit_once('_').unwrap();
        states.push(format!("{name} {}\n", hash(&rows.join("\n"))));
    }
    states.push(aggregate::<Item>(&market.store).await);
    states.push(aggregate::<Reservation>(&market.store).await);
    states.push(aggregate::<Payment>(&market.store).await);
    states.push(aggregate::<Alarm>(&market.store).await);
    states.push(aggregate::<Hold>(&market.store).await);
    states.concat()
}

/// The states of all aggregates of a type.
async fn aggregate<A>(store: &Store) -> String
where
    A: Aggregate<Event: TryFromMarket> + Serialize,
{
    let mut states: BTreeMap<i64, A> = BTreeMap::new();
    for event in store.log().read_after(0, 100_000).await.unwrap() {
        if event.stream.kind == A::TYPE {
            let (kind, version) = (&event.event_type, &event.event_version);
            let read = MarketEvent::decode(A::TYPE, kind, version, &event.payload).unwrap();
            let own = <A::Event as TryFromMarket>::own(read).unwrap();
            states.entry(event.stream.number).or_default().apply(own);
        }
    }
    format!("{} {}\n", A::TYPE, hash(&serde_json::to_string(&states).unwrap()))
}

/// Selects the events of one aggregate.
trait TryFromMarket: Sized {
    fn own(event: MarketEvent) -> Option<Self>;
}

macro_rules! own {
    ($($event:ident $variant:ident),+) => { $(
        impl TryFromMarket for $event {
            fn own(event: MarketEvent) -> Option<Self> {
                if let MarketEvent::$variant(event) = event { Some(event) } else { None }
            }
        }
    )+ };
}

own!(ItemEvent Item, ReservationEvent Reservation, PaymentEvent Payment, AlarmEvent Alarm, HoldEvent Hold);

fn hash(text: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(text).into();
    digest.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

#[test]
fn every_version_of_every_event_is_in_a_golden_log() {
    let missing = missing(&logs());
    assert!(
        missing.is_empty(),
        "{missing:?} is in no golden log: never rename or delete one; run \
         `scripts/test golden_log_holds_every_event` to write another one"
    );
}

#[test]
fn golden_log_holds_every_event_of_its_time() {
    let logs = logs();
    if missing(&logs).is_empty() {
        return;
    }
    let file = folder().join(format!("v{}.ndjson", logs.len() + 1));
    gdmarket_testkit::run(async {
        let db = TestDb::sqlite();
        let market = Market::open(&db).await;
        play(&market).await;
        let log = exported(&market.store).await;
        assert!(!log.split(|b| *b == b'\n').any(|line| line.starts_with(b"{\"deadline\"")));
        fs::create_dir_all(folder()).unwrap();
        fs::write(&file, log).unwrap();
    });
    panic!("{} was missing and is written now: review and keep it", file.display());
}

on_each_engine! {
    /// Events of every released version are readable and keep their meaning.
    async fn golden_logs_fold_to_the_same_states(db: &TestDb) {
        for (name, log) in logs() {
            let db = match db.engine() {
                Engine::Sqlite => TestDb::sqlite(),
                Engine::Postgres => TestDb::postgres().await,
            };
            imported(&db, &log).await;
            let states = states(&db).await;
            let file = folder().join(format!("{name}.states"));
            let Ok(kept) = fs::read_to_string(&file) else {
                fs::write(&file, &states).unwrap();
                panic!("{} was missing and is written now: review and keep it", file.display());
            };
            assert_eq!(
                states, kept,
                "{name} folds to other states than before. A view whose rows or fold are meant to \
                 change needs a new version; then delete {} and run this again",
                file.display()
            );
        }
    }

    /// The compatibility check of `gdmarket check` finds no fault in a golden log, and finds events that are broken on purpose.
    async fn golden_logs_pass_the_compatibility_check(db: &TestDb) {
        let (_, log) = logs().pop_first().unwrap();
        imported(db, &log).await;
        let market = Market::open_url(db.url(), false).await;
        let events = market.store.log().read_after(0, 100_000).await.unwrap();
        let mut checks: BTreeMap<StreamId, CompatibilityCheck> = BTreeMap::new();
        for event in &events {
            assert_eq!(unreadable(event), None);
            let check = checks
                .entry(event.stream.clone())
                .or_insert_with(|| CompatibilityCheck::of(&event.stream.kind));
            assert_eq!(check.take(event), []);
        }
        let newer = RecordedEvent { event_version: "99".to_owned(), ..events[0].clone() };
        assert!(unreadable(&newer).unwrap().contains("newer"), "{:?}", unreadable(&newer));
        let broken = RecordedEvent { payload: "{}".to_owned(), ..events[0].clone() };
        assert!(unreadable(&broken).is_some());
        let mut check = CompatibilityCheck::of(&broken.stream.kind);
        assert_eq!(check.take(&broken).len(), 1);
        assert_eq!(check.take(&broken), [], "a stream that failed once is not checked again");
    }
}
