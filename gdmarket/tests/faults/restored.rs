//! A database is restored from an older copy under running servers, or only in part while none runs:
//! it is noticed, nobody goes on silently, and an operator's word begins a new epoch.

use crate::following::Following;
use crate::kills::{at_rest, whole_log};
use crate::ledger::{Ledger, Seen};
use crate::load::Load;
use crate::market::Market;
use crate::views::{everything, rebuilt_views_equal};
use gdmarket_testkit::{Server, ServerOptions, TestDb, eventually, free_port, run};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gdmarket");
const CALLERS: usize = 8;
/// How long a server may take to notice and to end.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// One of the program's commands on this database.
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

/// What an operator types after a restore.
fn declare_restored(db: &TestDb) {
    let declared = gdmarket(db, &["migrate", "--restored", "--json"]);
    let told = String::from_utf8_lossy(&declared.stdout).into_owned();
    assert_eq!(declared.status.code(), Some(0), "{}", String::from_utf8_lossy(&declared.stderr));
    assert!(told.contains("\"epoch\":2"), "{told}");
}

async fn end(server: &mut Server) {
    server.terminate().await;
    assert_eq!(server.wait(ENDS_WITHIN).await.code(), Some(0));
}

#[test]
fn servers_on_a_database_that_was_restored_end_and_say_so() {
    run(async {
        let db = TestDb::postgres().await;
        let mut server = ServerOptions::new(PROGRAM).on(&db).start().await;
        let market = Market::at(&server.url(""));
        for _ in 0..3 {
            market.register(100).await;
        }
        end(&mut server).await;
        let (older, kept) = (db.copy().await, whole_log(&db).await);
        server.restart().await;
        let mut replica = ServerOptions::new(PROGRAM).on(&db).start().await;
        let mut follower = Following::open(&replica, "", None).await;
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(Ledger::in_folder(folder.path()));
        let loads = [&server, &replica]
            .map(|server| Load::start(&Market::at(&server.url("")), &ledger, CALLERS));
        eventually(Duration::from_mins(1), || async {
            let done = ledger.count(Seen::Acknowledged);
            if done > 100 { Ok(()) } else { Err(done) }
        })
        .await;
        db.replace_by(older).await;
        for server in [&mut server, &mut replica] {
            let ended = server.wait(ENDS_WITHIN).await;
            let told = server.stderr();
            assert_eq!(ended.code(), Some(1), "{told}");
            let last = told.lines().rev().take(2).collect::<Vec<_>>().join(" ");
            assert!(last.contains("this is not the log it was"), "{last}");
            assert!(last.contains("migrate --restored"), "{last}");
        }
        while let Ok(Some(_)) = follower.try_frame().await {}
        futures::future::join_all(loads.map(Load::stop)).await;
        assert_eq!(whole_log(&db).await, kept, "nobody wrote to the older copy");
        declare_restored(&db);
        server.restart().await;
        let market = Market::at(&server.url(""));
        assert_eq!(market.register(100).await, 4, "numbers go on after the copy's");
        // What it has seen since the copy is gone: it must not take what comes now for what follows.
        let back = Following::open(&server, "", Some(&follower.last_id)).await;
        assert!(back.hello.contains("event: reset"), "{}", back.hello);
        at_rest(&market, &db).await;
        let shown = everything(&market).await;
        rebuilt_views_equal(&shown, &mut server, &db).await;
    });
}

/// On SQLite the log may be restored without the views: appended to, it would in time reach what the
/// views have read of the lost part.
#[test]
fn a_folder_that_was_restored_in_part_is_not_served() {
    run(async {
        let db = TestDb::sqlite();
        let mut server = ServerOptions::new(PROGRAM).on(&db).start().await;
        let market = Market::at(&server.url(""));
        market.register(100).await;
        end(&mut server).await;
        let older = db.copy().await;
        server.restart().await;
        for _ in 0..5 {
            market.register(200).await;
        }
        at_rest(&market, &db).await;
        end(&mut server).await;
        let (folder, older) = (db.folder().unwrap(), older.folder().unwrap());
        for file in ["log.db", "log.db-wal", "log.db-shm"] {
            let _not_there = std::fs::remove_file(folder.join(file));
            // What the last server didn't fold into the file is in the one beside it.
            let _not_there = std::fs::copy(older.join(file), folder.join(file));
        }
        let listen = format!("127.0.0.1:{}", free_port());
        let refused = gdmarket(&db, &["serve", "--listen", &listen]);
        let told = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{told}");
        assert!(told.contains("it was restored from an older copy"), "{told}");
        assert!(told.contains("gdmarket migrate --restored"), "{told}");
        declare_restored(&db);
        server.restart().await;
        assert_eq!(market.register(300).await, 2);
        at_rest(&market, &db).await;
        let shown = everything(&market).await;
        let prices: Vec<_> = shown.iter().filter_map(|row| row["itemPrice"].as_i64()).collect();
        assert_eq!(prices, [100, 300, 100, 300], "in itemInfoes and in items");
        rebuilt_views_equal(&shown, &mut server, &db).await;
    });
}
