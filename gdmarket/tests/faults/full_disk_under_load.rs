//! The disk becomes full while renters pay, stays full for a while, and has room again. Meanwhile commands are refused
//! with `Retry-After` and reads are answered; nothing acknowledged is lost, no renter is charged wrongly, and all
//! parts of the market recover within seconds.

use crate::idle::wait_until_idle;
use crate::load::start_load;
use crate::small_disk::SmallDisk;
use crate::stored_state::{provider_entries, whole_log};
use crate::views::assert_rebuilt_views_equal;
use gdmarket_testkit::{
    MarketClient, Outcome, RequestLedger, Server, ServerOptions, TestDb, all_resources,
    assert_detects_lost_and_duplicated_commands, assert_detects_wrong_charges, attempts,
    charge_errors, eventually, run, size, unpaid,
};
use reqwest::Method;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const CALLERS: usize = 8;
/// How long the disk stays full, in seconds.
const FULL_SECONDS: (usize, usize) = (5, 30);
/// The longest until the disk is full.
const FULL_WITHIN: Duration = Duration::from_mins(2);
/// The longest until all parts work, once there is room.
const RECOVERS_WITHIN: Duration = Duration::from_secs(5);
/// A payment that was interrupted is settled after the gateway's call limit.
const SETTLED_WITHIN: Duration = Duration::from_mins(2);

#[test]
fn full_disk_under_load_loses_no_command_and_no_money() {
    run(async {
        let db = TestDb::sqlite();
        let data = db.folder().expect("a folder").to_owned();
        let Some(disk) = SmallDisk::on(&data, "10m", "a full disk under load") else { return };
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(RequestLedger::in_folder(folder.path()));
        let mut server = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket"))
            .on(&db)
            .variable("GDMARKET__PAYMENT__JITTER_MS", "3")
            .variable("GDMARKET__PAYMENT__TIMEOUT_MS", "2000")
            .start()
            .await;
        let market = MarketClient::at(&server.url(""));
        market.register(100).await;
        let load = start_load(&market, &ledger, CALLERS);
        eventually(FULL_WITHIN, || async {
            let answer = market.register_answer(100).await;
            if answer.status == 503 { Ok(()) } else { Err(answer) }
        })
        .await;
        disk.fill();
        println!("full after {} acknowledged commands", ledger.count(Outcome::Acknowledged));
        commands_are_refused_and_reads_answered(&market, &server).await;
        disk.empty();
        disk.grow();
        all_parts_recover(&market).await;

        load.stop().await;
        eventually(SETTLED_WITHIN, || async {
            let (entries, log) = (provider_entries(&db).await, whole_log(&db).await);
            let errors = charge_errors(&entries, &attempts(&log), &unpaid(&log));
            if errors.is_empty() { Ok(()) } else { Err(errors) }
        })
        .await;
        wait_until_idle(&market, &db).await;
        let shown = all_resources(&market).await;
        let log = whole_log(&db).await;
        assert_eq!(ledger.violations(&log), Vec::<String>::new());
        assert_detects_lost_and_duplicated_commands(&ledger, &log);
        let entries = provider_entries(&db).await;
        assert_detects_wrong_charges(&entries, &attempts(&log), &unpaid(&log));
        assert!(!server.stderr().contains("panicked"), "{}", server.stderr());
        assert_rebuilt_views_equal(&shown, &mut server, &db).await;
    });
}

/// While the disk is full every write is refused with `Retry-After`, and reads and `/livez` are answered.
async fn commands_are_refused_and_reads_answered(market: &MarketClient, server: &Server) {
    let until = Instant::now()
        + Duration::from_secs(u64::try_from(size(FULL_SECONDS.0, FULL_SECONDS.1)).unwrap());
    while Instant::now() < until {
        let answer = market.register_answer(100).await;
        assert!(matches!(answer.status, 503 | 507) && answer.retry_after, "{answer:?}");
        for path in ["/items/1", "/itemInfoes", "/reservations", "/livez"] {
            let answer = market.get(path).await;
            assert_eq!(answer.status, 200, "{answer:?}: {}", server.stderr());
        }
    }
}

/// Waits until commands, views and process managers work: an item is registered, shown by its view, and reserved.
async fn all_parts_recover(market: &MarketClient) {
    let since = Instant::now();
    let recovery = eventually(RECOVERS_WITHIN, || async {
        let body = json!({"itemName": "Drill", "itemPrice": 1});
        let answer = market.send(Method::POST, "/items", Some(body), Some("register")).await;
        let item = match answer {
            Ok(answer) if answer.status == 201 => answer.number("itemNo"),
            other => return Err(format!("{other:?}")),
        };
        let shown = market.get(&format!("/items/{item}")).await;
        // A repetition of a request that got 202 returns the outcome once it is known.
        let request = json!({"customerName": "Renter", "customerId": 7, "itemNo": item});
        let answer =
            market.send(Method::POST, "/reservations", Some(request), Some("reserve")).await;
        match answer {
            Ok(reserved) if (shown.status, reserved.status) == (200, 201) => Ok(()),
            reserved => Err(format!("{shown:?} {reserved:?}")),
        }
    });
    // An answer that comes too late doesn't count.
    assert!(tokio::time::timeout(RECOVERS_WITHIN, recovery).await.is_ok(), "not recovered in time");
    println!("recovered after {:?}", since.elapsed());
}
