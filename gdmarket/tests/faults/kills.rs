//! `kill -9` at random under load: what was promised is in the log, once, and the views are right.

use crate::charges::{assert_notices_what_is_charged_wrongly, attempts, unpaid, wrongly_charged};
use crate::ledger::{Ledger, Seen, assert_notices_what_is_lost_or_doubled};
use crate::load::Load;
use crate::market::Market;
use crate::views::{everything, rebuilt_views_equal};
use gdmarket_simulators::{LedgerEntry, read_ledger};
use gdmarket_store::{RecordedEvent, Store, StoreOptions};
use gdmarket_testkit::{Engine, ServerOptions, TestDb, eventually, on_each_engine, times};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const KILLS: usize = 20;
const CALLERS: usize = 16;
/// A payment cut off by a kill is settled after the gateway's call limit.
const RESTS_WITHIN: Duration = Duration::from_mins(2);

on_each_engine! {
    async fn what_was_acknowledged_survives_kill_minus_nine(db: &TestDb) {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(Ledger::in_folder(folder.path()));
        let mut server = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket"))
            .on(db)
            .variable("GDMARKET__PAYMENT__JITTER_MS", "3")
            .variable("GDMARKET__PAYMENT__TIMEOUT_MS", "2000")
            .start()
            .await;
        let market = Market::at(&server.url(""));
        let kills = times(KILLS);
        let load = Load::start(&market, &ledger, CALLERS);
        // On PostgreSQL whoever died keeps its leases for three seconds: some lives are shorter.
        let longest = if db.engine() == Engine::Sqlite { 600 } else { 5000 };
        let mut lives = vec![];
        for _ in 0..kills {
            // A random moment of work, not a condition.
            let life = rand::random_range(200..200 + longest);
            lives.push(life);
            tokio::time::sleep(Duration::from_millis(life)).await;
            server.restart().await;
        }
        load.stop().await;
        println!("killed after {lives:?} ms");

        eventually(RESTS_WITHIN, || async {
            let (book, log) = (gateway_book(db).await, whole_log(db).await);
            let wrong = wrongly_charged(&book, &attempts(&log), &unpaid(&log));
            if wrong.is_empty() { Ok(()) } else { Err(wrong) }
        })
        .await;
        at_rest(&market, db).await;
        let shown = everything(&market).await;
        let log = whole_log(db).await;
        println!(
            "{kills} kills: {} acknowledged, {} refused, {} unknown, {} events",
            ledger.count(Seen::Acknowledged),
            ledger.count(Seen::Refused),
            ledger.count(Seen::Unknown),
            log.len(),
        );
        assert_eq!(ledger.broken_promises(&log), Vec::<String>::new());
        assert_notices_what_is_lost_or_doubled(&ledger, &log);
        let book = gateway_book(db).await;
        let (attempts, unpaid) = (attempts(&log), unpaid(&log));
        assert_eq!(wrongly_charged(&book, &attempts, &unpaid), [""; 0]);
        assert_notices_what_is_charged_wrongly(&book, &attempts, &unpaid);
        assert!(ledger.count(Seen::Acknowledged) > 100, "the load did some work");
        assert!(ledger.count(Seen::Refused) > 10, "some of it was refused");
        rebuilt_views_equal(&shown, &mut server, db).await;
    }
}

/// Waits until nothing is under way: no reservation requested, no payment pending (also one that a
/// reservation asked for and that never began), and the log's head the same at two looks half a second
/// apart.
pub(crate) async fn at_rest(market: &Market, db: &TestDb) {
    let gives_up = Instant::now() + RESTS_WITHIN;
    let mut last = -1;
    loop {
        let head = whole_log(db).await.last().map_or(0, |event| event.position);
        let open = market.get("/payments?status=Pending&limit=5").await.expect(200).body;
        let asked = market.get("/reservations?status=Requested&limit=5").await.expect(200).body;
        let waiting = [&open["_embedded"]["payments"], &asked["_embedded"]["reservations"]];
        let rests = waiting.iter().all(|rows| rows.as_array().is_some_and(Vec::is_empty));
        if rests && head == last && !everything(market).await.iter().any(waits_for_a_payment) {
            return;
        }
        assert!(Instant::now() < gives_up, "still under way: {waiting:?}");
        last = head;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Everything that the gateway has done, in order.
pub(crate) async fn gateway_book(db: &TestDb) -> Vec<LedgerEntry> {
    let options = StoreOptions { url: db.url().to_owned(), ..StoreOptions::default() };
    let store = Store::open(&options).await.unwrap();
    let book = read_ledger(store.books()).await.unwrap();
    store.close().await;
    book
}

/// Every event, in order.
pub(crate) async fn whole_log(db: &TestDb) -> Vec<RecordedEvent> {
    let options = StoreOptions { url: db.url().to_owned(), ..StoreOptions::default() };
    let store = Store::open(&options).await.unwrap();
    let mut log: Vec<RecordedEvent> = Vec::new();
    loop {
        let after = log.last().map_or(0, |event| event.position);
        let batch = store.log().read_after(after, 1000).await.unwrap();
        if batch.is_empty() {
            store.close().await;
            return log;
        }
        log.extend(batch);
    }
}

fn waits_for_a_payment(row: &Value) -> bool {
    let actions = row["actions"].as_array().into_iter().flatten();
    actions.into_iter().any(|action| action["reason"] == "payment-pending")
}
