//! A database is restored from an older copy under running servers, or only in part while none runs: the servers
//! notice and end, and an operator starts a new epoch.

use crate::event_stream_client::EventStreamClient;
use crate::idle::wait_until_idle;
use crate::load::start_load;
use crate::stored_state::whole_log;
use crate::views::assert_rebuilt_views_equal;
use gdmarket_testkit::{
    MarketClient, Outcome, RentalLoad, RequestLedger, Server, ServerOptions, TestDb, all_resources,
    eventually, free_port, run,
};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gdmarket");
const CALLERS: usize = 8;
/// The longest until a server has noticed and ended.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// Runs one of the program's tools on this database.
fn gdmarket(db: &TestDb, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(arguments).current_dir(folder.path());
    match db.folder() {
        Some(data) => command.arg("--data-dir").arg(data),
        None => command.args(["--database-url", db.url()]),
    };
    command.output().unwrap()
}

/// Declares the database restored, as an operator does.
fn declare_restored(db: &TestDb) {
    let declared = gdmarket(db, &["migrate", "--restored", "--json"]);
    let stdout = String::from_utf8_lossy(&declared.stdout).into_owned();
    assert_eq!(declared.status.code(), Some(0), "{}", String::from_utf8_lossy(&declared.stderr));
    assert!(stdout.contains("\"epoch\":2"), "{stdout}");
}

async fn end(server: &mut Server) {
    server.terminate().await;
    assert_eq!(server.wait(ENDS_WITHIN).await.code(), Some(0));
}

#[test]
fn servers_on_a_restored_database_end_and_report_it() {
    run(async {
        let db = TestDb::postgres().await;
        let mut server = ServerOptions::new(PROGRAM).on(&db).start().await;
        let market = MarketClient::at(&server.url(""));
        for _ in 0..3 {
            market.register(100).await;
        }
        end(&mut server).await;
        let (older, kept) = (db.copy().await, whole_log(&db).await);
        server.restart().await;
        let mut replica = ServerOptions::new(PROGRAM).on(&db).start().await;
        let mut follower = EventStreamClient::open(&replica, "", None).await;
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(RequestLedger::in_folder(folder.path()));
        let loads = [&server, &replica]
            .map(|server| start_load(&MarketClient::at(&server.url("")), &ledger, CALLERS));
        eventually(Duration::from_mins(1), || async {
            let done = ledger.count(Outcome::Acknowledged);
            if done > 100 { Ok(()) } else { Err(done) }
        })
        .await;
        db.replace_by(older).await;
        for server in [&mut server, &mut replica] {
            let ended = server.wait(ENDS_WITHIN).await;
            let stderr = server.stderr();
            assert_eq!(ended.code(), Some(1), "{stderr}");
            let last = stderr.lines().rev().take(2).collect::<Vec<_>>().join(" ");
            assert!(last.contains("this is not the log it was"), "{last}");
            assert!(last.contains("migrate --restored"), "{last}");
        }
        while let Ok(Some(_)) = follower.try_frame().await {}
        futures::future::join_all(loads.map(RentalLoad::stop)).await;
        assert_eq!(whole_log(&db).await, kept, "no server wrote to the older copy");
        declare_restored(&db);
        server.restart().await;
        let market = MarketClient::at(&server.url(""));
        assert_eq!(market.register(100).await, 4, "numbers continue after those of the copy");
        // The events after the copy that the follower has received are gone: the new events don't continue them.
        let resumed = EventStreamClient::open(&server, "", Some(&follower.last_id)).await;
        assert!(resumed.hello.contains("event: reset"), "{}", resumed.hello);
        wait_until_idle(&market, &db).await;
        let shown = all_resources(&market).await;
        assert_rebuilt_views_equal(&shown, &mut server, &db).await;
    });
}

/// On SQLite the log may be restored without the views. After some appends its head would reach the checkpoints of
/// the views, which have read the lost events.
#[test]
fn partly_restored_folder_is_not_served() {
    run(async {
        let db = TestDb::sqlite();
        let mut server = ServerOptions::new(PROGRAM).on(&db).start().await;
        let market = MarketClient::at(&server.url(""));
        market.register(100).await;
        end(&mut server).await;
        let older = db.copy().await;
        server.restart().await;
        for _ in 0..5 {
            market.register(200).await;
        }
        wait_until_idle(&market, &db).await;
        end(&mut server).await;
        let (folder, older) = (db.folder().unwrap(), older.folder().unwrap());
        for file in ["log.db", "log.db-wal", "log.db-shm"] {
            let _not_there = std::fs::remove_file(folder.join(file));
            // Pages that the last server didn't checkpoint are in the write-ahead log.
            let _not_there = std::fs::copy(older.join(file), folder.join(file));
        }
        let listen = format!("127.0.0.1:{}", free_port());
        let refused = gdmarket(&db, &["serve", "--listen", &listen]);
        let stderr = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("it was restored from an older copy"), "{stderr}");
        assert!(stderr.contains("gdmarket migrate --restored"), "{stderr}");
        declare_restored(&db);
        server.restart().await;
        assert_eq!(market.register(300).await, 2);
        wait_until_idle(&market, &db).await;
        let shown = all_resources(&market).await;
        let prices: Vec<_> = shown.iter().filter_map(|row| row["itemPrice"].as_i64()).collect();
        assert_eq!(prices, [100, 300, 100, 300], "in itemInfoes and in items");
        assert_rebuilt_views_equal(&shown, &mut server, &db).await;
    });
}
