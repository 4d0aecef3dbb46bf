//! The gateway's ledger is in the log's database: a copy of the database has it, every server on the database reads
//! it, and the files of older programs are taken over.

use crate::idle::wait_until_idle;
use crate::stored_state::read_gateway_ledger;
use gdmarket_simulators::LedgerEntry;
use gdmarket_testkit::{
    Engine, MarketClient, Server, ServerOptions, TestDb, eventually, on_each_engine,
};
use std::fs;
use std::path::Path;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

fn options(db: &TestDb) -> ServerOptions {
    ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket")).on(db)
}

async fn end(mut server: Server) -> String {
    server.terminate().await;
    assert!(server.wait(SOON).await.success(), "{}", server.stderr());
    server.stderr()
}

/// A market with paid reservations, whose server has ended.
async fn paid_market(db: &TestDb, reservations: i64) {
    let server = options(db).start().await;
    let market = MarketClient::at(&server.url(""));
    for renter in 1..=reservations {
        let item = market.register(100).await;
        let reserved = market.reserve(item, renter).await.expect(201);
        market.pay(reserved.number("reservationNo")).await.expect(200);
    }
    wait_until_idle(&market, db).await;
    end(server).await;
}

/// Cancels a paid reservation and waits until its payments are refunded.
async fn refund(market: &MarketClient, reservation: i64) {
    // After a kill the views lag until the lease of the killed process ends.
    let cancelled = market.cancel(reservation).await;
    assert!(matches!(cancelled.status, 200 | 202), "{cancelled:?}");
    eventually(SOON, || async {
        let payments = market.get("/payments?limit=50").await.expect(200).body;
        let all = payments["_embedded"]["payments"].as_array().cloned().unwrap_or_default();
        let mut payments_of_it = all.into_iter().filter(|row| row["reservationNo"] == reservation);
        if payments_of_it.all(|row| row["status"] == "Cancelled") { Ok(()) } else { Err(payments) }
    })
    .await;
}

fn count_refunds(ledger: &[LedgerEntry]) -> usize {
    ledger.iter().filter(|entry| matches!(entry, LedgerEntry::Refund { .. })).count()
}

/// Writes the file of an older program, whose last line a kill has cut off.
fn write_legacy_file(ledger: &[LedgerEntry], file: &Path) {
    let line = |entry: &LedgerEntry| serde_json::to_string(entry).unwrap() + "\n";
    let lines: String = ledger.iter().map(line).collect();
    fs::write(file, lines + "{\"kind\":\"char").unwrap();
}

on_each_engine! {
    /// On SQLite a copy of `log.db` alone; on PostgreSQL another server with a folder of its own.
    async fn copied_log_and_second_server_can_refund(db: &TestDb) {
        paid_market(db, 1).await;
        let copy = TestDb::sqlite();
        let db = match db.engine() {
            Engine::Sqlite => {
                // The server may have left pages in the write-ahead log.
                db.log_sql("PRAGMA wal_checkpoint(TRUNCATE)").await;
                let (from, to) = (db.folder().unwrap(), copy.folder().unwrap());
                fs::copy(from.join("log.db"), to.join("log.db")).unwrap();
                &copy
            }
            Engine::Postgres => db,
        };
        let server = options(db).start().await;
        refund(&MarketClient::at(&server.url("")), 1).await;
        let ledger = read_gateway_ledger(db).await;
        assert_eq!((ledger.len(), count_refunds(&ledger)), (2, 1), "{ledger:?}");
        end(server).await;
    }

    /// The files are in the data folder and at the place that the older setting names, and are cut short.
    async fn files_of_older_programs_are_taken_over_once(db: &TestDb) {
        paid_market(db, 3).await;
        let (ledger, folder) = (read_gateway_ledger(db).await, tempfile::tempdir().unwrap());
        assert_eq!(ledger.len(), 3);
        let configured = folder.path().join("ledger");
        write_legacy_file(&ledger[..2], &configured);
        db.log_sql("DELETE FROM books WHERE key LIKE '%'").await;
        let legacy = options(db).variable("GDMARKET__PAYMENT__LEDGER", &configured.display().to_string());
        let server = legacy.clone().start().await;
        write_legacy_file(&ledger[1..], &server.data_dir().join("payments.ledger"));
        assert_eq!(read_gateway_ledger(db).await, ledger[..2]);
        refund(&MarketClient::at(&server.url("")), 1).await;
        let mut server = server;
        server.restart().await;
        let market = MarketClient::at(&server.url(""));
        refund(&market, 3).await;
        let stderr = end(server).await;
        assert!(stderr.contains("payment.ledger is no longer used"), "{stderr}");
        let after = read_gateway_ledger(db).await;
        let charges = [&ledger[..2], &after[2..3], &ledger[2..]].concat();
        assert_eq!((&after[..4], after.len()), (&charges[..], 5), "{after:?}");
        assert_eq!(count_refunds(&after), 2);
        // The files still exist: no entry is taken over a second time.
        let server = legacy.start().await;
        assert_eq!(read_gateway_ledger(db).await, after);
        end(server).await;
    }
}

/// A server that started without the file's charges could charge again or refuse refunds.
#[test]
fn unreadable_ledger_file_is_reported_and_prevents_the_start() {
    gdmarket_testkit::run(async {
        let db = TestDb::sqlite();
        paid_market(&db, 1).await;
        let file = db.folder().unwrap().join("payments.ledger");
        fs::write(&file, "no entry\n").unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_gdmarket"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(db.folder().unwrap())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{stderr}");
        assert!(stderr.contains("payments.ledger") && stderr.contains("line 1"), "{stderr}");
        fs::remove_file(&file).unwrap();
        end(options(&db).start().await).await;
    });
}
