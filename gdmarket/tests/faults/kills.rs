//! Kills the server with `kill -9` at random moments under load: acknowledged commands are in the log once, and
//! the views are right.

use crate::idle::wait_until_idle;
use crate::load::start_load;
use crate::stored_state::{provider_entries, whole_log};
use crate::views::assert_rebuilt_views_equal;
use gdmarket_testkit::{
    Engine, MarketClient, Outcome, RequestLedger, ServerOptions, all_resources,
    assert_detects_lost_and_duplicated_commands, assert_detects_wrong_charges, attempts,
    charge_errors, eventually, on_each_engine, times, unpaid,
};
use std::sync::Arc;
use std::time::Duration;

const KILLS: usize = 20;
const CALLERS: usize = 16;
/// A payment that a kill interrupted is settled after the gateway's call limit.
const SETTLED_WITHIN: Duration = Duration::from_mins(2);

on_each_engine! {
    async fn acknowledged_command_survives_sigkill(db: &TestDb) {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(RequestLedger::in_folder(folder.path()));
        let mut server = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket"))
            .on(db)
            .variable("GDMARKET__PAYMENT__JITTER_MS", "3")
            .variable("GDMARKET__PAYMENT__TIMEOUT_MS", "2000")
            .start()
            .await;
        let market = MarketClient::at(&server.url(""));
        let kills = times(KILLS);
        let load = start_load(&market, &ledger, CALLERS);
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
            let (entries, log) = (provider_entries(db).await, whole_log(db).await);
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
        let entries = provider_entries(db).await;
        let (attempts, unpaid) = (attempts(&log), unpaid(&log));
        assert_eq!(charge_errors(&entries, &attempts, &unpaid), [""; 0]);
        assert_detects_wrong_charges(&entries, &attempts, &unpaid);
        assert!(ledger.count(Outcome::Acknowledged) > 100, "the load has worked");
        assert!(ledger.count(Outcome::Refused) > 10, "some commands were refused");
        assert_rebuilt_views_equal(&shown, &mut server, db).await;
    }
}
