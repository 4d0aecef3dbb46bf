//! The market under load on which the steps act, and the checks after each step and at the end.

use super::secrets;
use crate::archive::gdmarket;
use crate::idle::wait_until_idle;
use crate::load::start_load;
use crate::stored_state::{provider_entries, whole_log};
use crate::views::assert_rebuilt_views_equal;
use gdmarket_testkit::{
    MarketClient, Outcome, RentalLoad, RequestLedger, Server, ServerOptions, TestDb, all_resources,
    assert_detects_lost_and_duplicated_commands, assert_detects_wrong_charges, attempts,
    charge_errors, eventually, unpaid,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

const CALLERS: usize = 4;
/// The longest until the market works again once a fault is over.
const WORKS_WITHIN: Duration = Duration::from_secs(30);
/// Acknowledged commands of the load that show that the market works.
const MIN_COMMANDS: usize = 20;
/// The longest until a fault is reported.
const REPORTED_WITHIN: Duration = Duration::from_secs(20);
/// A payment that was interrupted is settled after the gateway's call limit.
const SETTLED_WITHIN: Duration = Duration::from_mins(2);
const ENDS_WITHIN: Duration = Duration::from_secs(20);
/// The most warnings and errors of one kind in the log of a step, and of all kinds: at once, and in addition for each
/// second of the step.
const MAX_OF_ONE_KIND: (usize, usize) = (40, 1);
const MAX_OF_ALL_KINDS: (usize, usize) = (150, 3);

pub(super) struct Scenario {
    pub(super) db: TestDb,
    pub(super) server: Server,
    pub(super) market: MarketClient,
    pub(super) ledger: Arc<RequestLedger>,
    /// `None` once the load has ended.
    load: Option<RentalLoad>,
    _ledger_folder: TempDir,
    /// Bytes of the server's log from before the current step.
    log_start: usize,
    step_began: Instant,
    /// Whether the fault of the current step was reported.
    is_reported: AtomicBool,
    /// The output of the tools.
    printed: Mutex<String>,
}

impl Scenario {
    pub(super) async fn start(db: TestDb) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(RequestLedger::in_folder(folder.path()));
        let server =
            secrets::with_password(ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket")), &db)
                .variable("GDMARKET__PAYMENT__JITTER_MS", "3")
                .variable("GDMARKET__PAYMENT__TIMEOUT_MS", "2000")
                .start()
                .await;
        let market = MarketClient::at(&server.url(""));
        let load = start_load(&market, &ledger, CALLERS);
        let scenario = Self {
            db,
            server,
            market,
            ledger,
            load: Some(load),
            _ledger_folder: folder,
            log_start: 0,
            step_began: Instant::now(),
            is_reported: AtomicBool::default(),
            printed: Mutex::default(),
        };
        scenario.wait_until_it_works().await;
        scenario
    }

    /// Waits until commands are acknowledged, a registered item is shown, and a reservation is decided.
    pub(super) async fn wait_until_it_works(&self) {
        let acknowledged = self.ledger.count(Outcome::Acknowledged);
        eventually(WORKS_WITHIN, || async {
            let now = self.ledger.count(Outcome::Acknowledged);
            if now >= acknowledged + MIN_COMMANDS { Ok(()) } else { Err(now - acknowledged) }
        })
        .await;
        eventually(WORKS_WITHIN, || async {
            let registered = self.market.register_answer(100).await;
            if registered.status != 201 {
                return Err(registered);
            }
            let item = registered.number("itemNo");
            let shown = self.market.get(&format!("/items/{item}")).await;
            let reserved = self.market.reserve(item, 7).await;
            match (shown.status, reserved.status) {
                (200, 201) => Ok(()),
                (200, _) => Err(reserved),
                _ => Err(shown),
            }
        })
        .await;
    }

    /// From now on only new lines of the server's log count, and the next fault isn't reported yet.
    pub(super) fn begin_step(&mut self) {
        self.log_start = self.server.stderr().len();
        self.step_began = Instant::now();
        self.is_reported.store(false, Ordering::Relaxed);
    }

    /// The fault of this step was reported by the log, a metric or a tool.
    pub(super) fn mark_reported(&self) {
        self.is_reported.store(true, Ordering::Relaxed);
    }

    /// The fault of the step, if it is one, was reported, and the log isn't flooded.
    pub(super) fn assert_log_is_short(&self, is_fault: bool) {
        assert!(
            !is_fault || self.is_reported.load(Ordering::Relaxed),
            "nothing has reported the fault"
        );
        let log = self.step_log();
        let kinds = warnings_by_kind(&log);
        let all: usize = kinds.values().sum();
        println!("  warnings and errors: {kinds:?}");
        let seconds = usize::try_from(self.step_began.elapsed().as_secs()).unwrap();
        let allowed = |(at_once, a_second): (usize, usize)| at_once + a_second * seconds;
        let most = allowed(MAX_OF_ONE_KIND);
        assert!(kinds.values().all(|lines| *lines <= most), "{kinds:?}: {log}");
        assert!(all <= allowed(MAX_OF_ALL_KINDS), "{kinds:?}: {log}");
    }

    /// Runs one of the program's tools on the market's database.
    pub(super) fn tool(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let (code, stdout, stderr) = gdmarket(&self.db, arguments);
        self.keep_printed(&format!("{stdout}{stderr}"));
        (code, stdout, stderr)
    }

    /// Keeps printed text, to search it for secrets at the end.
    pub(super) fn keep_printed(&self, text: &str) {
        self.printed.lock().unwrap().push_str(text);
    }

    /// `check` finds the fault and reports it with this text; other faults may be found in addition.
    pub(super) fn assert_check_finds(&self, part: &str) {
        let (code, stdout, stderr) = self.tool(&["check", "--json"]);
        assert_eq!(code, Some(5), "{stdout}{stderr}");
        assert!(
            stdout.contains(part) || stderr.contains(part),
            "{part} is not in: {stdout}{stderr}"
        );
        self.mark_reported();
    }

    /// The sum of a metric over all lines that have this label.
    pub(super) async fn metric(&self, name: &str, label: &str) -> f64 {
        let answer = reqwest::get(self.server.url("/metrics")).await.expect("an answer");
        let text = answer.text().await.expect("text");
        self.keep_printed(&text);
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    /// Waits until the metric is larger than before.
    pub(super) async fn wait_for_count(&self, name: &str, label: &str, before: f64) {
        eventually(REPORTED_WITHIN, || async {
            let now = self.metric(name, label).await;
            if now > before { Ok(()) } else { Err(format!("{name} {label} is still {now}")) }
        })
        .await;
        self.mark_reported();
    }

    fn step_log(&self) -> String {
        self.server.stderr().split_off(self.log_start)
    }

    /// Waits until a line of the server's log contains all of these words.
    pub(super) async fn wait_for_log_line(&self, words: &[&str]) {
        eventually(REPORTED_WITHIN, || async {
            let log = self.step_log();
            let has_words = |line: &str| words.iter().all(|word| line.contains(word));
            if log.lines().any(has_words) {
                Ok(())
            } else {
                Err(format!("{words:?} is not in: {log}"))
            }
        })
        .await;
        self.mark_reported();
    }

    /// The process ends by itself with this code, and reports the reason in its last line.
    pub(super) async fn assert_server_ends(&mut self, code: i32, words: &[&str]) {
        let ended = self.server.wait(ENDS_WITHIN).await;
        assert_eq!(ended.code(), Some(code), "{}", self.step_log());
        let words: Vec<&str> = ["gdmarket: "].iter().chain(words).copied().collect();
        self.wait_for_log_line(&words).await;
    }

    /// Shuts the process down by a signal.
    pub(super) async fn shut_down(&mut self, signal: &str) {
        self.server.signal(signal).await;
        let ended = self.server.wait(ENDS_WITHIN).await;
        assert_eq!(ended.code(), Some(0), "{}", self.step_log());
    }

    /// Asserts that nothing was lost, duplicated, charged wrongly or shown wrongly.
    pub(super) async fn assert_consistent(mut self) {
        if let Some(load) = self.load.take() {
            load.stop().await;
        }
        eventually(SETTLED_WITHIN, || async {
            let (entries, log) = (provider_entries(&self.db).await, whole_log(&self.db).await);
            let errors = charge_errors(&entries, &attempts(&log), &unpaid(&log));
            if errors.is_empty() { Ok(()) } else { Err(errors) }
        })
        .await;
        wait_until_idle(&self.market, &self.db).await;
        let shown = all_resources(&self.market).await;
        let log = whole_log(&self.db).await;
        println!(
            "{} acknowledged, {} refused, {} unknown, {} events",
            self.ledger.count(Outcome::Acknowledged),
            self.ledger.count(Outcome::Refused),
            self.ledger.count(Outcome::Unknown),
            log.len(),
        );
        assert_eq!(self.ledger.violations(&log), Vec::<String>::new());
        assert_detects_lost_and_duplicated_commands(&self.ledger, &log);
        let entries = provider_entries(&self.db).await;
        assert_detects_wrong_charges(&entries, &attempts(&log), &unpaid(&log));
        let (code, stdout, stderr) = self.tool(&["check"]);
        assert_eq!(code, Some(0), "{stdout}{stderr}");
        secrets::assert_absent(&self.server.stderr());
        secrets::assert_absent(&self.printed.lock().unwrap());
        assert!(!self.server.stderr().contains("panicked"), "{}", self.server.stderr());
        assert_rebuilt_views_equal(&shown, &mut self.server, &self.db).await;
    }
}

/// The number of warnings and errors of a log by message, with the digits in it replaced.
fn warnings_by_kind(log: &str) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for line in log.lines() {
        let parsed: Value = serde_json::from_str(line).unwrap_or_default();
        if matches!(parsed["level"].as_str(), Some("WARN" | "ERROR")) {
            let message =
                parsed["fields"]["message"].as_str().or_else(|| parsed["message"].as_str());
            let kind = message.unwrap_or(line).replace(|c: char| c.is_ascii_digit(), "#");
            *kinds.entry(kind).or_default() += 1;
        }
    }
    kinds
}
