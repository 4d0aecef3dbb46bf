//! Kills the server with `kill -9` at random moments under load: acknowledged commands are in the log once, and
//! the views are right.

use crate::charges::{assert_detects_wrong_charges, attempts, charge_errors, unpaid};
use crate::idle::wait_until_idle;
use crate::ledger::{Ledger, Outcome, assert_detects_lost_and_duplicated_commands};
use crate::load::Load;
use crate::market_client::MarketClient;
use crate::stored_state::{read_gateway_ledger, whole_log};
use crate::views::{all_resources, assert_rebuilt_views_equal};
use gdmarket_testkit::{Engine, ServerOptions, eventually, on_each_engine, times};
use std::sync::Arc;
use std::time::Duration;

const KILLS: usize = 20;
const CALLERS: usize = 16;
/// A payment that a kill interrupted is settled after the gateway's call limit.
const SETTLED_WITHIN: Duration = Duration::from_mins(2);

on_each_engine! {
    async fn acknowledged_command_survives_sigkill(db: &TestDb) {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(Ledger::in_folder(folder.path()));
        let mut server = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket"))
            .on(db)
            .variable("GDMARKET__PAYMENT__JITTER_MS", "3")
            .variable("GDMARKET__PAYMENT__TIMEOUT_MS", "2000")
            .start()
            .await;
        let market = MarketClient::at(&server.url(""));
        let kills = times(KILLS);
        let load = Load::start(&market, &ledger, CALLERS);
        // On PostgreSQL the leases of a killed process last three seconds; some runs are shorter than that.
        let longest_ms = if db.engine() == Engine::Sqlite { 600 } else { 5000 };
        let mut runs_ms = vec![];
        for _ in 0..kills {
            // A random time of work, not a condition to wait for.
            let run_ms = rand::random_range(200..200 + longest_ms);
            runs_ms.push(run_ms);
            tokio::time::sleep(Duration::from_millis(run_ms)).await;
            server.restart().await;
        }
        load.stop().await;
        println!("killed after {runs_ms:?} ms");

        eventually(SETTLED_WITHIN, || async {
            let (entries, log) = (read_gateway_ledger(db).await, whole_log(db).await);
            let errors = charge_errors(&entries, &attempts(&log), &unpaid(&log));
            if errors.is_empty() { Ok(()) } else { Err(errors) }
        })
        .await;
        wait_until_idle(&market, db).await;
        let shown = all_resources(&market).await;
        let log = whole_log(db).await;
        println!(
            "{kills} kills: {} acknowledged, {} refused, {} unknown, {} events",
            ledger.count(Outcome::Acknowledged),
            ledger.count(Outcome::Refused),
            ledger.count(Outcome::Unknown),
            log.len(),
        );
        assert_eq!(ledger.violations(&log), Vec::<String>::new());
        assert_detects_lost_and_duplicated_commands(&ledger, &log);
        let entries = read_gateway_ledger(db).await;
        let (attempts, unpaid) = (attempts(&log), unpaid(&log));
        assert_eq!(charge_errors(&entries, &attempts, &unpaid), [""; 0]);
        assert_detects_wrong_charges(&entries, &attempts, &unpaid);
        assert!(ledger.count(Outcome::Acknowledged) > 100, "the load has worked");
        assert!(ledger.count(Outcome::Refused) > 10, "some commands were refused");
        assert_rebuilt_views_equal(&shown, &mut server, db).await;
    }
}
