//! The market under load that things are done to, and what is asked of it in between and at the end.

use crate::archive::gdmarket;
use crate::charges::{assert_notices_what_is_charged_wrongly, attempts, unpaid, wrongly_charged};
use crate::kills::{at_rest, gateway_book, whole_log};
use crate::ledger::{Ledger, Seen, assert_notices_what_is_lost_or_doubled};
use crate::load::Load;
use crate::market::Market;
use crate::views::{everything, rebuilt_views_equal};
use gdmarket_testkit::{Server, ServerOptions, TestDb, eventually};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

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

pub(super) struct Scene {
    pub(super) db: TestDb,
    pub(super) server: Server,
    pub(super) market: Market,
    pub(super) ledger: Arc<Ledger>,
    load: Load,
    _books: TempDir,
    written_before: usize,
}

impl Scene {
    pub(super) async fn begin(db: TestDb) -> Self {
        let books = tempfile::tempdir().unwrap();
        let ledger = Arc::new(Ledger::in_folder(books.path()));
        let server = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket"))
            .on(&db)
            .variable("GDMARKET__PAYMENT__JITTER_MS", "3")
            .variable("GDMARKET__PAYMENT__TIMEOUT_MS", "2000")
            .start()
            .await;
        let market = Market::at(&server.url(""));
        let load = Load::start(&market, &ledger, CALLERS);
        let scene = Self { db, server, market, ledger, load, _books: books, written_before: 0 };
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

    /// From now on only what the server writes anew counts.
    pub(super) fn forget_what_was_written(&mut self) {
        self.written_before = self.server.stderr().len();
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
        self.load.stop().await;
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
        let (code, out, written) = gdmarket(&self.db, &["check"]);
        assert_eq!(code, Some(0), "{out}{written}");
        assert!(!self.server.stderr().contains("panicked"), "{}", self.server.stderr());
        rebuilt_views_equal(&shown, &mut self.server, &self.db).await;
    }
}
