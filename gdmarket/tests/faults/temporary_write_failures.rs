//! The database accepts no writes for a while: files may not grow, or sessions are read-only. Afterwards all parts of
//! the market work again by themselves, including those that follow the log.

use gdmarket_testkit::{MarketClient, Server, ServerOptions, TestDb, eventually, run};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gdmarket");
const SOON: Duration = Duration::from_secs(30);

/// Waits until commands are accepted, views follow the log, and process managers react.
async fn works(market: &MarketClient) {
    let item = eventually(SOON, || async {
        let answer = market.register_answer(100).await;
        if answer.status == 201 { Ok(answer.number("itemNo")) } else { Err(answer) }
    })
    .await;
    eventually(SOON, || async {
        let shown = market.get(&format!("/items/{item}")).await;
        if shown.status == 200 { Ok(()) } else { Err(shown) }
    })
    .await;
    eventually(SOON, || async {
        let answer = market.reserve(item, 7).await;
        match (answer.status, answer.code()) {
            (201, _) | (409, "item-taken") => Ok(()),
            _ => Err(answer),
        }
    })
    .await;
}

/// Waits until commands are refused with a time to retry.
async fn commands_are_refused(market: &MarketClient) {
    eventually(SOON, || async {
        let answer = market.register_answer(100).await;
        if (answer.status, answer.retry_after) == (503, true) { Ok(()) } else { Err(answer) }
    })
    .await;
}

/// A script that starts the program with SIGXFSZ ignored: writing beyond the limit is an error then, and doesn't
/// kill the process.
fn with_ignored_signal(folder: &Path) -> std::path::PathBuf {
    let script = folder.join("gdmarket");
    fs::write(&script, format!("#!/bin/sh\ntrap '' XFSZ\nexec {PROGRAM} \"$@\"\n")).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    script
}

/// Limits the size of the files that the server writes.
fn limit_file_size(server: &Server, bytes: &str) {
    let pid = server.pid().unwrap().to_string();
    let limited =
        Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={bytes}:")]).status();
    assert!(limited.is_ok_and(|status| status.success()), "prlimit");
}

#[test]
fn all_parts_recover_once_files_may_grow() {
    run(async {
        let (db, folder) = (TestDb::sqlite(), tempfile::tempdir().unwrap());
        let server = ServerOptions::new(with_ignored_signal(folder.path())).on(&db).start().await;
        let market = MarketClient::at(&server.url(""));
        for _ in 0..2 {
            for _ in 0..20 {
                market.register(100).await;
            }
            let data = fs::read_dir(db.folder().unwrap()).unwrap().flatten();
            let largest = data.filter_map(|entry| entry.metadata().ok()).map(|found| found.len());
            limit_file_size(&server, &(largest.max().unwrap() + 100_000).to_string());
            commands_are_refused(&market).await;
            // The views reach the limit, too.
            eventually(SOON, || async {
                let stderr = server.stderr();
                let is_blocked = stderr.contains("a loop is blocked");
                if is_blocked { Ok(()) } else { Err(market.register_answer(100).await) }
            })
            .await;
            limit_file_size(&server, "unlimited");
            works(&market).await;
        }
    });
}

#[test]
fn all_parts_recover_once_sessions_may_write() {
    run(async {
        let db = TestDb::postgres().await;
        let server = ServerOptions::new(PROGRAM).on(&db).start().await;
        let market = MarketClient::at(&server.url(""));
        works(&market).await;
        let (_, name) = db.url().rsplit_once('/').unwrap();
        let writes = "SET TRANSACTION READ WRITE";
        let set = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
        let reset = format!("{writes}; ALTER DATABASE {name} RESET default_transaction_read_only");
        for _ in 0..2 {
            db.log_sql(&set).await;
            assert!(db.cut_off("gdmarket").await > 0);
            // All pools get read-only sessions: those of commands, of views and of process managers.
            commands_are_refused(&market).await;
            let market = &market;
            let reads = (0..20).map(|_| async move { market.get("/itemInfoes").await });
            futures::future::join_all(reads).await;
            db.log_sql(&reset).await;
            works(market).await;
        }
    });
}
