//! The market under load that things are done to, and what is asked of it in between and at the end.

use super::secrets;
use crate::archive::gdmarket;
use crate::charges::{assert_notices_what_is_charged_wrongly, attempts, unpaid, wrongly_charged};
use crate::kills::{at_rest, gateway_book, whole_log};
use crate::ledger::{Ledger, Seen, assert_notices_what_is_lost_or_doubled};
use crate::load::Load;
use crate::market::Market;
use crate::views::{everything, rebuilt_views_equal};
use gdmarket_testkit::{Server, ServerOptions, TestDb, eventually};
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
/// What it has to do to count as working.
const SOME_WORK: usize = 20;
/// A fault is named by then.
const NAMED_WITHIN: Duration = Duration::from_secs(20);
/// A payment that was cut off is settled after the gateway's call limit.
const RESTS_WITHIN: Duration = Duration::from_mins(2);
const ENDS_WITHIN: Duration = Duration::from_secs(20);
/// Warnings and errors of one kind that a step may leave in the log, and of all kinds: at once, and more for each
/// second that it takes.
const OF_ONE_KIND: (usize, usize) = (40, 1);
const OF_ALL_KINDS: (usize, usize) = (150, 3);

pub(super) struct Scene {
    pub(super) db: TestDb,
    pub(super) server: Server,
    pub(super) market: Market,
    pub(super) ledger: Arc<Ledger>,
    /// `None` once the market is judged.
    load: Option<Load>,
    _books: TempDir,
    written_before: usize,
    step_began: Instant,
    /// Whether the fault of the current step was named.
    is_named: AtomicBool,
    /// What the tools have printed.
    printed: Mutex<String>,
}

impl Scene {
    pub(super) async fn begin(db: TestDb) -> Self {
        let books = tempfile::tempdir().unwrap();
        let ledger = Arc::new(Ledger::in_folder(books.path()));
        let server =
            secrets::with_password(ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket")), &db)
                .variable("GDMARKET__PAYMENT__JITTER_MS", "3")
                .variable("GDMARKET__PAYMENT__TIMEOUT_MS", "2000")
                .start()
                .await;
        let market = Market::at(&server.url(""));
        let load = Load::start(&market, &ledger, CALLERS);
        let scene = Self {
            db,
            server,
            market,
            ledger,
            load: Some(load),
            _books: books,
            written_before: 0,
            step_began: Instant::now(),
            is_named: AtomicBool::default(),
            printed: Mutex::default(),
        };
        scene.works().await;
        scene
    }

    /// Commands are acknowledged, what is registered is shown, and a reservation is decided on.
    pub(super) async fn works(&self) {
        let acknowledged = self.ledger.count(Seen::Acknowledged);
        eventually(WORKS_WITHIN, || async {
            let now = self.ledger.count(Seen::Acknowledged);
            if now >= acknowledged + SOME_WORK { Ok(()) } else { Err(now - acknowledged) }
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

    /// From now on only what the server writes anew counts, and the next fault isn't named yet.
    pub(super) fn begin_step(&mut self) {
        self.written_before = self.server.stderr().len();
        self.step_began = Instant::now();
        self.is_named.store(false, Ordering::Relaxed);
    }

    /// The fault of this step was named, by the log, a metric or a tool.
    pub(super) fn named(&self) {
        self.is_named.store(true, Ordering::Relaxed);
    }

    /// The step has named its fault, if it is one, and hasn't flooded the log.
    pub(super) fn assert_log_is_short(&self, is_fault: bool) {
        assert!(!is_fault || self.is_named.load(Ordering::Relaxed), "nothing has named the fault");
        let written = self.written();
        let kinds = troubles(&written);
        let all: usize = kinds.values().sum();
        println!("  warnings and errors: {kinds:?}");
        let seconds = usize::try_from(self.step_began.elapsed().as_secs()).unwrap();
        let within = |(at_once, a_second): (usize, usize)| at_once + a_second * seconds;
        let most = within(OF_ONE_KIND);
        assert!(kinds.values().all(|lines| *lines <= most), "{kinds:?}: {written}");
        assert!(all <= within(OF_ALL_KINDS), "{kinds:?}: {written}");
    }

    /// Runs one of the program's tools on the market's database.
    pub(super) fn tool(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let (code, out, written) = gdmarket(&self.db, arguments);
        self.keep_printed(&format!("{out}{written}"));
        (code, out, written)
    }

    /// Keeps what was printed, to look for secrets at the end.
    pub(super) fn keep_printed(&self, text: &str) {
        self.printed.lock().unwrap().push_str(text);
    }

    /// `check` finds the fault and names it so; at rest it would find others, too.
    pub(super) fn is_found_by_check(&self, part: &str) {
        let (code, out, written) = self.tool(&["check", "--json"]);
        assert_eq!(code, Some(5), "{out}{written}");
        assert!(out.contains(part) || written.contains(part), "{part} is not in: {out}{written}");
        self.named();
    }

    /// The sum of a metric over all lines that have this label.
    pub(super) async fn metric(&self, name: &str, label: &str) -> f64 {
        let answer = reqwest::get(self.server.url("/metrics")).await.expect("an answer");
        let text = answer.text().await.expect("text");
        self.keep_printed(&text);
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    /// The metric grows beyond what it was.
    pub(super) async fn is_counted(&self, name: &str, label: &str, before: f64) {
        eventually(NAMED_WITHIN, || async {
            let now = self.metric(name, label).await;
            if now > before { Ok(()) } else { Err(format!("{name} {label} is still {now}")) }
        })
        .await;
        self.named();
    }

    fn written(&self) -> String {
        self.server.stderr().split_off(self.written_before)
    }

    /// The server's log names the fault with all of these words in one line.
    pub(super) async fn is_named(&self, words: &[&str]) {
        eventually(NAMED_WITHIN, || async {
            let written = self.written();
            let is_named = |line: &str| words.iter().all(|word| line.contains(word));
            if written.lines().any(is_named) {
                Ok(())
            } else {
                Err(format!("{words:?} is not in: {written}"))
            }
        })
        .await;
        self.named();
    }

    /// The process ends without being asked, with this code, and names why in its last words.
    pub(super) async fn ends_by_itself(&mut self, code: i32, words: &[&str]) {
        let ended = self.server.wait(ENDS_WITHIN).await;
        assert_eq!(ended.code(), Some(code), "{}", self.written());
        let words: Vec<&str> = ["gdmarket: "].iter().chain(words).copied().collect();
        self.is_named(&words).await;
    }

    /// The process ends by a signal, in order.
    pub(super) async fn end_in_order(&mut self, signal: &str) {
        self.server.signal(signal).await;
        let ended = self.server.wait(ENDS_WITHIN).await;
        assert_eq!(ended.code(), Some(0), "{}", self.written());
    }

    /// Nothing was lost, doubled, charged wrongly or shown wrongly.
    pub(super) async fn judge(mut self) {
        if let Some(load) = self.load.take() {
            load.stop().await;
        }
        eventually(RESTS_WITHIN, || async {
            let (book, log) = (gateway_book(&self.db).await, whole_log(&self.db).await);
            let wrong = wrongly_charged(&book, &attempts(&log), &unpaid(&log));
            if wrong.is_empty() { Ok(()) } else { Err(wrong) }
        })
        .await;
        at_rest(&self.market, &self.db).await;
        let shown = everything(&self.market).await;
        let log = whole_log(&self.db).await;
        println!(
            "{} acknowledged, {} refused, {} unknown, {} events",
            self.ledger.count(Seen::Acknowledged),
            self.ledger.count(Seen::Refused),
            self.ledger.count(Seen::Unknown),
            log.len(),
        );
        assert_eq!(self.ledger.broken_promises(&log), Vec::<String>::new());
        assert_notices_what_is_lost_or_doubled(&self.ledger, &log);
        let book = gateway_book(&self.db).await;
        assert_notices_what_is_charged_wrongly(&book, &attempts(&log), &unpaid(&log));
        let (code, out, written) = self.tool(&["check"]);
        assert_eq!(code, Some(0), "{out}{written}");
        secrets::assert_absent(&self.server.stderr());
        secrets::assert_absent(&self.printed.lock().unwrap());
        assert!(!self.server.stderr().contains("panicked"), "{}", self.server.stderr());
        rebuilt_views_equal(&shown, &mut self.server, &self.db).await;
    }
}

/// The warnings and errors of a log by their message, without the numbers in it.
fn troubles(log: &str) -> BTreeMap<String, usize> {
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
