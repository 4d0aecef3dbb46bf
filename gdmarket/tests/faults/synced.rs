//! What is acknowledged is on the disk: strace sees a sync of the log between every command's sending
//! and its answer, on both engines. No kill can show that, since the page cache survives it.

use crate::database_away::no_append_waits_for_the_disk;
use crate::market::Market;
use gdmarket_testkit::{PgCluster, ServerOptions, Syncs, TestDb, run, times};
use reqwest::Method;
use serde_json::json;
use std::path::Path;
use std::time::SystemTime;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gdmarket");
/// By one caller, so that none shares another's sync; and in control runs, which show it with fewer.
const COMMANDS: usize = 1_000;
const IN_CONTROLS: usize = 200;
/// The log's files on SQLite, and on PostgreSQL.
const SQLITE: &str = "/log.db-wal";
const POSTGRES: &str = "/pg_wal/";

/// When a command was sent, and when its answer was there, in seconds since 1970.
type Acknowledged = (f64, f64);

/// As strace writes it beside each sync.
#[expect(clippy::disallowed_methods, reason = "compared with the times of another program")]
fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Changes one item again and again: each change is one commit of the log, and nothing else is.
async fn changes(market: &Market, count: usize) -> Vec<Acknowledged> {
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

/// The commands without a sync that ended between their sending and their answer.
fn unsynced(acknowledged: &[Acknowledged], syncs: &[f64]) -> usize {
    let is_synced = |(sent, answered): &&Acknowledged| {
        syncs.iter().any(|ended| sent <= ended && ended <= answered)
    };
    acknowledged.len() - acknowledged.iter().filter(is_synced).count()
}

/// How many commands were acknowledged without a sync.
async fn unsynced_on_sqlite(commands: usize, weakened: bool) -> usize {
    let (db, syncs) = (TestDb::sqlite(), Syncs::new());
    let mut options = ServerOptions::new(syncs.watching(Path::new(PROGRAM))).on(&db);
    if weakened {
        options = options.variable("FAILPOINTS", "sqlite.log-unsynced=return");
    }
    let server = options.start().await;
    let acknowledged = changes(&Market::at(&server.url("")), commands).await;
    let syncs = syncs.ended(SQLITE);
    println!("SQLite: {} syncs for {commands} commands", syncs.len());
    unsynced(&acknowledged, &syncs)
}

/// The server is set up to let nobody wait for the disk: appends see to it themselves, and no commit of
/// a view is taken for theirs.
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
    let acknowledged = changes(&Market::at(&server.url("")), commands).await;
    // Otherwise the database would be dropped, which waits for a process that may stand still.
    cluster.crash();
    let syncs = syncs.ended(POSTGRES);
    println!("PostgreSQL: {} syncs for {commands} commands", syncs.len());
    unsynced(&acknowledged, &syncs)
}

/// Control: with `synchronous=NORMAL` hardly any command has a sync of its own.
#[test]
fn no_command_is_acknowledged_before_sqlite_has_synced_it() {
    run(async {
        let (unsynced, in_control) = tokio::join!(
            unsynced_on_sqlite(times(COMMANDS), false),
            unsynced_on_sqlite(IN_CONTROLS, true)
        );
        assert_eq!(unsynced, 0);
        assert!(in_control > IN_CONTROLS / 2, "control: {in_control} of {IN_CONTROLS}");
    });
}

/// Control: with `synchronous_commit=off` hardly any has.
#[test]
fn no_command_is_acknowledged_before_postgres_has_synced_it() {
    run(async {
        let (unsynced, in_control) = tokio::join!(
            unsynced_on_postgres(times(COMMANDS), false),
            unsynced_on_postgres(IN_CONTROLS, true)
        );
        assert_eq!(unsynced, 0);
        assert!(in_control > IN_CONTROLS / 2, "control: {in_control} of {IN_CONTROLS}");
    });
}
