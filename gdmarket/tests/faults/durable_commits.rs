//! Acknowledged commands are on the disk: strace shows a sync of the log between the request of each command and its
//! answer, on both engines. No kill can show that, since the page cache survives it.

use crate::database_outage::no_append_waits_for_the_disk;
use gdmarket_testkit::{MarketClient, PgCluster, ServerOptions, Syncs, TestDb, run, times};
use reqwest::Method;
use serde_json::json;
use std::path::Path;
use std::time::SystemTime;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gdmarket");
/// Commands of one caller, so that no two share a sync, and in control runs, which need fewer.
const COMMANDS: usize = 1_000;
const CONTROL_COMMANDS: usize = 200;
/// Parts of the paths of the log's files.
const SQLITE: &str = "/log.db-wal";
const POSTGRES: &str = "/pg_wal/";

/// When a command was sent, and when its answer was there, in seconds since 1970.
pub(crate) type Acknowledged = (f64, f64);

/// The time in the format that strace writes for each sync.
#[expect(clippy::disallowed_methods, reason = "compared with the times of another program")]
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Changes one item repeatedly: each change is one commit of the log, and there are no others.
async fn change_repeatedly(market: &MarketClient, count: usize) -> Vec<Acknowledged> {
    let item = format!("/items/{}", market.register(1).await);
    let mut acknowledged = Vec::with_capacity(count);
    for change in 0..count {
        let price = json!({"itemPrice": 2 + change});
        let sent = now();
        let answer = market.send(Method::PATCH, &item, Some(price), None).await;
        answer.expect("an answer").expect(200);
        acknowledged.push((sent, now()));
    }
    acknowledged
}

/// The number of commands without a sync that ended between their request and their answer.
pub(crate) fn count_unsynced(acknowledged: &[Acknowledged], syncs: &[f64]) -> usize {
    let is_synced = |(sent, answered): &&Acknowledged| {
        syncs.iter().any(|ended| sent <= ended && ended <= answered)
    };
    acknowledged.len() - acknowledged.iter().filter(is_synced).count()
}

/// The number of commands that were acknowledged without a sync.
async fn unsynced_on_sqlite(commands: usize, weakened: bool) -> usize {
    let (db, syncs) = (TestDb::sqlite(), Syncs::new());
    let mut options = ServerOptions::new(syncs.watching(Path::new(PROGRAM))).on(&db);
    if weakened {
        options = options.variable("FAILPOINTS", "sqlite.log-unsynced=return");
    }
    let server = options.start().await;
    let acknowledged = change_repeatedly(&MarketClient::at(&server.url("")), commands).await;
    let syncs = syncs.ended(SQLITE);
    println!("SQLite: {} syncs for {commands} commands", syncs.len());
    count_unsynced(&acknowledged, &syncs)
}

/// The same on a PostgreSQL server with `synchronous_commit=off`: the appender sets it on in its transactions, and the
/// commits of views don't sync.
async fn unsynced_on_postgres(commands: usize, weakened: bool) -> usize {
    let syncs = Syncs::new();
    let cluster = PgCluster::start_watched(&syncs);
    let db = TestDb::on_server(&cluster.url()).await;
    let server = ServerOptions::new(PROGRAM).on(&db).start().await;
    if weakened {
        no_append_waits_for_the_disk(&db).await;
    } else {
        db.log_sql("ALTER SYSTEM SET synchronous_commit = off").await;
        db.log_sql("SELECT pg_reload_conf()").await;
    }
    let acknowledged = change_repeatedly(&MarketClient::at(&server.url("")), commands).await;
    // Dropping the database instead would wait for a process that may be stopped.
    cluster.crash();
    let syncs = syncs.ended(POSTGRES);
    println!("PostgreSQL: {} syncs for {commands} commands", syncs.len());
    count_unsynced(&acknowledged, &syncs)
}

/// Control: with `synchronous=NORMAL` few commands have a sync.
#[test]
fn sqlite_syncs_each_command_before_its_acknowledgement() {
    run(async {
        let (unsynced, in_control) = tokio::join!(
            unsynced_on_sqlite(times(COMMANDS), false),
            unsynced_on_sqlite(CONTROL_COMMANDS, true)
        );
        assert_eq!(unsynced, 0);
        assert!(in_control > CONTROL_COMMANDS / 2, "control: {in_control} of {CONTROL_COMMANDS}");
    });
}

/// Control: with `synchronous_commit=off` few commands have a sync.
#[test]
fn postgres_syncs_each_command_before_its_acknowledgement() {
    run(async {
        let (unsynced, in_control) = tokio::join!(
            unsynced_on_postgres(times(COMMANDS), false),
            unsynced_on_postgres(CONTROL_COMMANDS, true)
        );
        assert_eq!(unsynced, 0);
        assert!(in_control > CONTROL_COMMANDS / 2, "control: {in_control} of {CONTROL_COMMANDS}");
    });
}
