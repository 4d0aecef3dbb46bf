//! What an operator, a broken machine and rude clients do to a running market, one thing after another
//! in random order while a load runs, on both engines. At the end nothing acknowledged is lost or
//! doubled, the money is right, the views equal a rebuild, `check` is content, every fault was named by the
//! log, by a metric or by `check` without flooding the log, and no secret was printed.

mod clients;
mod postgres;
mod rows;
mod scene;
mod secrets;
mod sqlite;

use crate::seeded::seeded;
use crate::small_disk::SmallDisk;
use gdmarket_testkit::{TestDb, run, times};
use rand::seq::SliceRandom as _;
use scene::Scene;
use tokio::time::Instant;

/// One thing that is done to the market. Each ends with what it did undone, by the operator or by the
/// market itself.
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
    /// The database takes no writes for a while, and cuts everybody off before and after.
    ReadOnlyPeriod,
    /// Every session is cut off.
    CutOff,
    /// A foreign transaction begins to append and goes silent.
    SilentWriter,
    /// The database gets defaults that would change what statements mean, and cuts everybody off.
    ForeignDefaults,
    /// The trigger that orders appends is disabled while the server is ended.
    TriggerDisabled,
    /// The table of numbers is set back to the beginning.
    NumbersSetBack,
    /// Objects of very many fields, and methods that nobody knows.
    FloodsOfNames,
    /// Another program writes an event that nobody can address.
    PoisonRow,
    /// A row of a view is overwritten.
    ViewRowDamaged,
    /// The table of a view is dropped.
    ViewTableDropped,
    /// Connections from one address that say nothing, or only half.
    SlowClients,
    /// Tokens and cursors that the server never gave out.
    ForgedTokens,
    /// Settings that are wrong, next to a password.
    SecretsAsked,
    /// The process is killed and started again.
    Kill,
    /// The process is ended in order and started again.
    End,
    /// The same when its terminal is closed.
    HangUp,
}

const OF_BOTH: [Step; 11] = [
    Step::FloodsOfNames,
    Step::SlowClients,
    Step::ForgedTokens,
    Step::SecretsAsked,
    Step::PoisonRow,
    Step::ViewRowDamaged,
    Step::ViewTableDropped,
    Step::NumbersSetBack,
    Step::Kill,
    Step::End,
    Step::HangUp,
];
const OF_SQLITE: [Step; 6] = [
    Step::FullDisk,
    Step::LogMoved,
    Step::ViewsRemoved,
    Step::LogOverwritten,
    Step::LeftOverWal,
    Step::ViewsDamaged,
];
const OF_POSTGRES: [Step; 5] = [
    Step::ReadOnlyPeriod,
    Step::CutOff,
    Step::SilentWriter,
    Step::ForeignDefaults,
    Step::TriggerDisabled,
];

impl Step {
    async fn act(self, scene: &mut Scene, disk: Option<&SmallDisk<'_>>) {
        match self {
            Self::FullDisk => sqlite::full_disk(scene, disk).await,
            Self::LogMoved => sqlite::log_moved(scene).await,
            Self::ViewsRemoved => sqlite::views_removed(scene).await,
            Self::LogOverwritten => sqlite::log_overwritten(scene).await,
            Self::LeftOverWal => sqlite::left_over_wal(scene).await,
            Self::ViewsDamaged => sqlite::views_damaged(scene).await,
            Self::ReadOnlyPeriod => postgres::read_only_period(scene).await,
            Self::CutOff => postgres::cut_off(scene).await,
            Self::SilentWriter => postgres::silent_writer(scene).await,
            Self::ForeignDefaults => postgres::foreign_defaults(scene).await,
            Self::TriggerDisabled => postgres::trigger_disabled(scene).await,
            Self::NumbersSetBack => rows::numbers_set_back(scene).await,
            Self::FloodsOfNames => clients::floods_of_names(scene).await,
            Self::PoisonRow => rows::poison_row(scene).await,
            Self::ViewRowDamaged => rows::view_row_damaged(scene).await,
            Self::ViewTableDropped => rows::view_table_dropped(scene).await,
            Self::SlowClients => clients::slow(scene).await,
            Self::ForgedTokens => clients::forged_tokens(scene).await,
            Self::SecretsAsked => secrets::asked(scene),
            Self::Kill => scene.server.restart().await,
            Self::End | Self::HangUp => {
                scene.end_in_order(if self == Self::End { "TERM" } else { "HUP" }).await;
                scene.server.restart().await;
            }
        }
    }

    /// Whether the market has to name it: a process that is killed can't, and an orderly end is no fault.
    const fn is_fault(self) -> bool {
        !matches!(self, Self::Kill | Self::End | Self::HangUp)
    }
}

/// All steps in random order, again and again on long runs.
async fn play(mut scene: Scene, of_the_engine: &[Step], disk: Option<&SmallDisk<'_>>) {
    let mut random = seeded("hostile operator");
    for _ in 0..times(1) {
        let mut steps = [&OF_BOTH[..], of_the_engine].concat();
        steps.shuffle(&mut random);
        for step in steps {
            let began = Instant::now();
            scene.begin_step();
            println!("{step:?} …");
            step.act(&mut scene, disk).await;
            scene.works().await;
            scene
                .assert_log_is_short(step.is_fault() && (disk.is_some() || step != Step::FullDisk));
            println!("{step:?}: {:?}", began.elapsed());
        }
    }
    scene.judge().await;
}

#[test]
fn hostile_operator_on_sqlite() {
    run(async {
        let db = TestDb::sqlite();
        let folder = db.folder().expect("a folder").to_owned();
        let disk = SmallDisk::on(&folder, "64m", "a hostile operator who fills the disk");
        play(Scene::begin(db).await, &OF_SQLITE, disk.as_ref()).await;
    });
}

#[test]
fn hostile_operator_on_postgres() {
    run(async {
        let db = TestDb::postgres().await;
        play(Scene::begin(db).await, &OF_POSTGRES, None).await;
    });
}
