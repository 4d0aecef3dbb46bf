//! The gateway's books are in the log's database: a copy of it has them, every server on it knows them,
//! and what older programs kept in files is taken over.

use crate::kills::{at_rest, gateway_book};
use crate::market::Market;
use gdmarket_simulators::LedgerEntry;
use gdmarket_testkit::{Engine, Server, ServerOptions, TestDb, eventually, on_each_engine};
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

/// A market in which so many reservations are paid, and nobody serves it.
async fn paid(db: &TestDb, reservations: i64) {
    let server = options(db).start().await;
    let market = Market::at(&server.url(""));
    for renter in 1..=reservations {
        let item = market.register(100).await;
        let reserved = market.reserve(item, renter).await.expect(201);
        market.pay(reserved.number("reservationNo")).await.expect(200);
    }
    at_rest(&market, db).await;
    end(server).await;
}

/// Cancels a paid reservation and waits until the money is back.
async fn refunded(market: &Market, reservation: i64) {
    // After a kill the views may lag behind the lease of the dead.
    let cancelled = market.cancel(reservation).await;
    assert!(matches!(cancelled.status, 200 | 202), "{cancelled:?}");
    eventually(SOON, || async {
        let payments = market.get("/payments?limit=50").await.expect(200).body;
        let all = payments["_embedded"]["payments"].as_array().cloned().unwrap_or_default();
        let mut mine = all.into_iter().filter(|row| row["reservationNo"] == reservation);
        if mine.all(|row| row["status"] == "Cancelled") { Ok(()) } else { Err(payments) }
    })
    .await;
}

fn refunds(book: &[LedgerEntry]) -> usize {
    book.iter().filter(|entry| matches!(entry, LedgerEntry::Refund { .. })).count()
}

/// What an older program has written into its file, the last line cut off by a kill.
fn as_a_file(book: &[LedgerEntry], file: &Path) {
    let line = |entry: &LedgerEntry| serde_json::to_string(entry).unwrap() + "\n";
    let lines: String = book.iter().map(line).collect();
    fs::write(file, lines + "{\"kind\":\"char").unwrap();
}

on_each_engine! {
    /// A copy of `log.db` alone on SQLite; another server with a folder of its own on PostgreSQL.
    async fn a_copy_of_the_log_and_a_second_server_can_refund(db: &TestDb) {
        paid(db, 1).await;
        let copy = TestDb::sqlite();
        let db = match db.engine() {
            Engine::Sqlite => {
                // Whatever the server left in the write-ahead log.
                db.log_sql("PRAGMA wal_checkpoint(TRUNCATE)").await;
                let (from, to) = (db.folder().unwrap(), copy.folder().unwrap());
                fs::copy(from.join("log.db"), to.join("log.db")).unwrap();
                &copy
            }
            Engine::Postgres => db,
        };
        let server = options(db).start().await;
        refunded(&Market::at(&server.url("")), 1).await;
        let book = gateway_book(db).await;
        assert_eq!((book.len(), refunds(&book)), (2, 1), "{book:?}");
        end(server).await;
    }

    /// In the data folder, and where the setting of older programs names it; cut short or not.
    async fn what_older_programs_kept_in_files_is_taken_over_once(db: &TestDb) {
        paid(db, 3).await;
        let (book, folder) = (gateway_book(db).await, tempfile::tempdir().unwrap());
        assert_eq!(book.len(), 3);
        let named = folder.path().join("ledger");
        as_a_file(&book[..2], &named);
        db.log_sql("DELETE FROM books WHERE key LIKE '%'").await;
        let old = options(db).variable("GDMARKET__PAYMENT__LEDGER", &named.display().to_string());
        let server = old.clone().start().await;
        as_a_file(&book[1..], &server.data_dir().join("payments.ledger"));
        assert_eq!(gateway_book(db).await, book[..2]);
        refunded(&Market::at(&server.url("")), 1).await;
        let mut server = server;
        server.restart().await;
        let market = Market::at(&server.url(""));
        refunded(&market, 3).await;
        let told = end(server).await;
        assert!(told.contains("payment.ledger is no longer used"), "{told}");
        let after = gateway_book(db).await;
        let charges = [&book[..2], &after[2..3], &book[2..]].concat();
        assert_eq!((&after[..4], after.len()), (&charges[..], 5), "{after:?}");
        assert_eq!(refunds(&after), 2);
        // The files are still there: nothing of them comes a second time.
        let server = old.start().await;
        assert_eq!(gateway_book(db).await, after);
        end(server).await;
    }
}

/// Charges that can't be read are no reason to begin without them.
#[test]
fn a_file_that_cannot_be_read_is_named_and_nothing_is_served() {
    gdmarket_testkit::run(async {
        let db = TestDb::sqlite();
        paid(&db, 1).await;
        let file = db.folder().unwrap().join("payments.ledger");
        fs::write(&file, "no entry\n").unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_gdmarket"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(db.folder().unwrap())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{told}");
        assert!(told.contains("payments.ledger") && told.contains("line 1"), "{told}");
        fs::remove_file(&file).unwrap();
        end(options(&db).start().await).await;
    });
}
