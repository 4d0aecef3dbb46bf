//! Faults that operators, broken machines and hostile clients cause, one after another in random order on a running
//! market under load, on both engines. At the end nothing acknowledged is lost or duplicated, the money is right, the
//! views equal a rebuild, `check` finds nothing, each fault was reported by the log, by a metric or by `check` without
//! flooding the log, and no secret was printed.

mod clients;
mod postgres;
mod rows;
mod scenario;
mod secrets;
mod sqlite;

use crate::small_disk::SmallDisk;
use gdmarket_testkit::{TestDb, run, seeded_rng, times};
use rand::seq::SliceRandom as _;
use scenario::Scenario;
use tokio::time::Instant;

/// One action on the market. Each is undone at its end, by the operator or by the market itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The disk is full for a while.
    FullDisk,
    /// The log's file is moved away.
    LogMoved,
    /// The views' files are removed.
    ViewsRemoved,
    /// An older copy is written over the log.
    LogOverwritten,
    /// An older copy of the log comes next to a newer write-ahead log.
    LeftOverWal,
    /// Pages of the views' file are overwritten.
    ViewsDamaged,
    /// The database accepts no writes for a while, and ends all sessions before.
    ReadOnlyPeriod,
    /// The database ends all sessions.
    SessionsEnded,
    /// A foreign transaction starts to append and stays idle.
    IdleTransaction,
    /// The database gets defaults that would change the meaning of statements, and ends all sessions.
    ForeignDefaults,
    /// The trigger that orders appends is disabled while the server is ended.
    TriggerDisabled,
    /// The table of numbers is set back to the beginning.
    NumbersSetBack,
    /// Objects with very many fields, and unknown methods.
    NameFlood,
    /// Another program writes an event of a stream that can't be addressed.
    PoisonRow,
    /// A row of a view is overwritten.
    ViewRowDamaged,
    /// The table of a view is dropped.
    ViewTableDropped,
    /// Connections from one address that send nothing, or an incomplete request.
    SlowClients,
    /// Tokens and cursors that the server never issued.
    ForgedTokens,
    /// Wrong settings next to a password.
    SecretInSettings,
    /// The process is killed and started again.
    Kill,
    /// The process is shut down and started again.
    Shutdown,
    /// The same because its terminal is closed.
    HangUp,
}

const BOTH_ENGINES: [Step; 11] = [
    Step::NameFlood,
    Step::SlowClients,
    Step::ForgedTokens,
    Step::SecretInSettings,
    Step::PoisonRow,
    Step::ViewRowDamaged,
    Step::ViewTableDropped,
    Step::NumbersSetBack,
    Step::Kill,
    Step::Shutdown,
    Step::HangUp,
];
const SQLITE_ONLY: [Step; 6] = [
    Step::FullDisk,
    Step::LogMoved,
    Step::ViewsRemoved,
    Step::LogOverwritten,
    Step::LeftOverWal,
    Step::ViewsDamaged,
];
const POSTGRES_ONLY: [Step; 5] = [
    Step::ReadOnlyPeriod,
    Step::SessionsEnded,
    Step::IdleTransaction,
    Step::ForeignDefaults,
    Step::TriggerDisabled,
];

impl Step {
    async fn run(self, scenario: &mut Scenario, disk: Option<&SmallDisk<'_>>) {
        match self {
            Self::FullDisk => sqlite::full_disk(scenario, disk).await,
            Self::LogMoved => sqlite::log_moved(scenario).await,
            Self::ViewsRemoved => sqlite::views_removed(scenario).await,
            Self::LogOverwritten => sqlite::log_overwritten(scenario).await,
            Self::LeftOverWal => sqlite::left_over_wal(scenario).await,
            Self::ViewsDamaged => sqlite::views_damaged(scenario).await,
            Self::ReadOnlyPeriod => postgres::read_only_period(scenario).await,
            Self::SessionsEnded => postgres::sessions_ended(scenario).await,
            Self::IdleTransaction => postgres::idle_transaction(scenario).await,
            Self::ForeignDefaults => postgres::foreign_defaults(scenario).await,
            Self::TriggerDisabled => postgres::trigger_disabled(scenario).await,
            Self::NumbersSetBack => rows::numbers_set_back(scenario).await,
            Self::NameFlood => clients::name_flood(scenario).await,
            Self::PoisonRow => rows::poison_row(scenario).await,
            Self::ViewRowDamaged => rows::view_row_damaged(scenario).await,
            Self::ViewTableDropped => rows::view_table_dropped(scenario).await,
            Self::SlowClients => clients::slow(scenario).await,
            Self::ForgedTokens => clients::forged_tokens(scenario).await,
            Self::SecretInSettings => secrets::in_settings(scenario),
            Self::Kill => scenario.server.restart().await,
            Self::Shutdown | Self::HangUp => {
                scenario.shut_down(if self == Self::Shutdown { "TERM" } else { "HUP" }).await;
                scenario.server.restart().await;
            }
        }
    }

    /// Whether the market must report it: a killed process can't, and a shutdown is no fault.
    const fn is_fault(self) -> bool {
        !matches!(self, Self::Kill | Self::Shutdown | Self::HangUp)
    }
}

/// Runs all steps in random order, repeatedly on long runs.
async fn run_steps(mut scenario: Scenario, engine_steps: &[Step], disk: Option<&SmallDisk<'_>>) {
    let mut random = seeded_rng("hostile operator");
    for _ in 0..times(1) {
        let mut steps = [&BOTH_ENGINES[..], engine_steps].concat();
        steps.shuffle(&mut random);
        for step in steps {
            let began = Instant::now();
            scenario.begin_step();
            println!("{step:?} …");
            step.run(&mut scenario, disk).await;
            scenario.wait_until_it_works().await;
            scenario
                .assert_log_is_short(step.is_fault() && (disk.is_some() || step != Step::FullDisk));
            println!("{step:?}: {:?}", began.elapsed());
        }
    }
    scenario.assert_consistent().await;
}

#[test]
fn market_on_sqlite_survives_a_hostile_operator() {
    run(async {
        let db = TestDb::sqlite();
        let folder = db.folder().expect("a folder").to_owned();
        let disk = SmallDisk::on(&folder, "64m", "a hostile operator who fills the disk");
        run_steps(Scenario::start(db).await, &SQLITE_ONLY, disk.as_ref()).await;
    });
}

#[test]
fn market_on_postgres_survives_a_hostile_operator() {
    run(async {
        let db = TestDb::postgres().await;
        run_steps(Scenario::start(db).await, &POSTGRES_ONLY, None).await;
    });
}
