//! The disk becomes full while renters pay, stays so for a while, and has room again: commands are
//! refused politely meanwhile, reading goes on, nothing acknowledged is lost, nobody is charged wrongly,
//! and all of the market is back within seconds.

use crate::charges::{assert_notices_what_is_charged_wrongly, attempts, unpaid, wrongly_charged};
use crate::kills::{at_rest, gateway_book, whole_log};
use crate::ledger::{Ledger, Seen, assert_notices_what_is_lost_or_doubled};
use crate::load::Load;
use crate::market::Market;
use crate::small_disk::SmallDisk;
use crate::views::{everything, rebuilt_views_equal};
use gdmarket_testkit::{Server, ServerOptions, TestDb, eventually, run, size};
use reqwest::Method;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const CALLERS: usize = 8;
/// How long it stays full, in seconds.
const FULL_FOR: (usize, usize) = (5, 30);
/// The longest until it is full.
const FULL_WITHIN: Duration = Duration::from_mins(2);
/// The longest anybody may wait once there is room.
const BACK_WITHIN: Duration = Duration::from_secs(5);
/// A payment that was cut off is settled after the gateway's call limit.
const RESTS_WITHIN: Duration = Duration::from_mins(2);

#[test]
fn a_disk_that_is_full_under_load_costs_nobody_anything_but_time() {
    run(async {
        let db = TestDb::sqlite();
        let data = db.folder().expect("a folder").to_owned();
        let Some(disk) = SmallDisk::on(&data, "10m", "a full disk under load") else { return };
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(Ledger::in_folder(folder.path()));
        let mut server = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket"))
            .on(&db)
            .variable("GDMARKET__PAYMENT__JITTER_MS", "3")
            .variable("GDMARKET__PAYMENT__TIMEOUT_MS", "2000")
            .start()
            .await;
        let market = Market::at(&server.url(""));
        market.register(100).await;
        let load = Load::start(&market, &ledger, CALLERS);
        eventually(FULL_WITHIN, || async {
            let answer = market.register_answer(100).await;
            if answer.status == 503 { Ok(()) } else { Err(answer) }
        })
        .await;
        disk.fill();
        println!("full after {} acknowledged commands", ledger.count(Seen::Acknowledged));
        stays_full(&market, &server).await;
        disk.empty();
        disk.grow();
        all_of_it_is_back(&market).await;

        load.stop().await;
        eventually(RESTS_WITHIN, || async {
            let (book, log) = (gateway_book(&db).await, whole_log(&db).await);
            let wrong = wrongly_charged(&book, &attempts(&log), &unpaid(&log));
            if wrong.is_empty() { Ok(()) } else { Err(wrong) }
        })
        .await;
        at_rest(&market, &db).await;
        let shown = everything(&market).await;
        let log = whole_log(&db).await;
        assert_eq!(ledger.broken_promises(&log), Vec::<String>::new());
        assert_notices_what_is_lost_or_doubled(&ledger, &log);
        let book = gateway_book(&db).await;
        assert_notices_what_is_charged_wrongly(&book, &attempts(&log), &unpaid(&log));
        assert!(!server.stderr().contains("panicked"), "{}", server.stderr());
        rebuilt_views_equal(&shown, &mut server, &db).await;
    });
}

/// Every write is refused with a time to come again, reads are answered, and the process is well.
async fn stays_full(market: &Market, server: &Server) {
    let until =
        Instant::now() + Duration::from_secs(u64::try_from(size(FULL_FOR.0, FULL_FOR.1)).unwrap());
    while Instant::now() < until {
        let answer = market.register_answer(100).await;
        assert!(matches!(answer.status, 503 | 507) && answer.retry_after, "{answer:?}");
        for path in ["/items/1", "/itemInfoes", "/reservations", "/livez"] {
            let answer = market.get(path).await;
            assert_eq!(answer.status, 200, "{answer:?}: {}", server.stderr());
        }
    }
}

/// Commands, views and the reactions of the market, each within its time: an item is registered, found in
/// its view, and reserved.
async fn all_of_it_is_back(market: &Market) {
    let room = Instant::now();
    let back = eventually(BACK_WITHIN, || async {
        let body = json!({"itemName": "Drill", "itemPrice": 1});
        let answer = market.send(Method::POST, "/items", Some(body), Some("back")).await;
        let item = match answer {
            Ok(answer) if answer.status == 201 => answer.number("itemNo"),
            other => return Err(format!("{other:?}")),
        };
        let shown = market.get(&format!("/items/{item}")).await;
        // A repeat of a 202 has the outcome once it is known.
        let wish = json!({"customerName": "Renter", "customerId": 7, "itemNo": item});
        let wish = market.send(Method::POST, "/reservations", Some(wish), Some("back-too")).await;
        match wish {
            Ok(reserved) if (shown.status, reserved.status) == (200, 201) => Ok(()),
            reserved => Err(format!("{shown:?} {reserved:?}")),
        }
    });
    // An answer that comes too late is none.
    assert!(tokio::time::timeout(BACK_WITHIN, back).await.is_ok(), "not back in time");
    println!("back after {:?}", room.elapsed());
}
