//! A market of several processes with all that is needed to verify it: the ledger of what was requested, the logs, the
//! books of the payment provider, and the checkers over them.

use crate::command_ids::command_id;
use crate::saga::SagaRequest;
use gdmarket_testkit::{
    Answer, LoadOptions, LogEvent, MarketClient, Outcome, RentalLoad, RequestLedger, SplitMarket,
    SplitMarketOptions, alarm_violations, all_resources,
    assert_detects_lost_and_duplicated_commands, assert_detects_wrong_charges, attempts,
    charge_errors, difference, eventually, hold_violations, joined, open_sagas,
    unfinished_subscriptions, unpaid,
};
use reqwest::Method;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::Instant;

const PROVIDER: &str = env!("CARGO_BIN_EXE_gdmarket-payment-provider");
/// A payment whose outcome is unknown is asked for 15 seconds after the limit of its call.
const SETTLED_WITHIN: Duration = Duration::from_mins(2);
const REBUILT_WITHIN: Duration = Duration::from_mins(1);

/// A running market with a payment provider, and what its callers know.
pub(crate) struct VerifiedMarket {
    pub(crate) processes: SplitMarket,
    pub(crate) client: MarketClient,
    pub(crate) ledger: Arc<RequestLedger>,
    _folder: TempDir,
}

impl VerifiedMarket {
    pub(crate) async fn start(options: SplitMarketOptions) -> Self {
        let options = options
            .provider(PROVIDER, &[])
            .variable("GDMARKET__SERVER__ADDRESS_SHARE_PERCENT", "100");
        let processes = options.start().await;
        let folder = tempfile::tempdir().unwrap();
        Self {
            client: MarketClient::of(&processes.addresses()),
            processes,
            ledger: Arc::new(RequestLedger::in_folder(folder.path())),
            _folder: folder,
        }
    }

    pub(crate) fn load(&self, options: LoadOptions) -> RentalLoad {
        RentalLoad::start(&self.client, &self.ledger, options)
    }

    /// The events of all logs.
    pub(crate) async fn events(&self) -> Vec<LogEvent> {
        let mut logs = vec![];
        for (_, db) in self.processes.databases() {
            logs.push(db.events().await);
        }
        joined(&logs)
    }

    /// What is open, and the subscriptions that are behind.
    pub(crate) async fn open(&self) -> Vec<String> {
        let mut open = unfinished_subscriptions(&self.processes.databases()).await;
        open.extend(open_sagas(&self.events().await));
        open
    }

    /// Starts a process again with these failpoints.
    pub(crate) async fn set_failpoints(&mut self, process: &str, failpoints: &str) {
        self.processes.set_variable(process, "FAILPOINTS", failpoints);
        self.processes.restart(process).await;
    }

    /// Sends a request under this key until its outcome is known.
    pub(crate) fn spawn_request(&self, request: SagaRequest, key: &str) -> JoinHandle<Answer> {
        let SagaRequest { path, body, nth } = request;
        self.ledger.sent(key, &command_id(&path, key, nth), &path);
        let (client, ledger, key) = (self.client.clone(), Arc::clone(&self.ledger), key.to_owned());
        tokio::spawn(async move {
            eventually(SETTLED_WITHIN, || async {
                let answer = client.send(Method::POST, &path, Some(body.clone()), Some(&key)).await;
                match ledger.answered(&key, &answer) {
                    Outcome::Unknown => Err(answer),
                    _ => Ok(answer.unwrap()),
                }
            })
            .await
        })
    }

    /// Waits until nothing is open and every subscription is at its head; returns when that was seen.
    pub(crate) async fn settle(&self) -> Instant {
        eventually(SETTLED_WITHIN, || async {
            let mut open = self.open().await;
            open.truncate(5);
            if open.is_empty() { Ok(Instant::now()) } else { Err(open) }
        })
        .await
    }

    pub(crate) fn print_outcomes(&self) {
        let count = |outcome| self.ledger.count(outcome);
        println!(
            "{} acknowledged, {} refused, {} rejected, {} declined, {} unknown",
            count(Outcome::Acknowledged),
            count(Outcome::Refused),
            count(Outcome::Rejected),
            count(Outcome::Declined),
            count(Outcome::Unknown),
        );
    }

    /// The violations of all rules, once nothing is open.
    pub(crate) async fn violations(&self) -> Vec<String> {
        let events = self.events().await;
        let books = self.processes.provider().ledger().await;
        let mut violations = self.ledger.violations(&events);
        violations.extend(hold_violations(&events));
        violations.extend(alarm_violations(&events));
        violations.extend(charge_errors(&books, &attempts(&events), &unpaid(&events)));
        violations
    }

    /// Asserts all rules, and that the checkers see what is taken away from this run's own logs and books.
    pub(crate) async fn assert_right(&self) {
        let violations = self.violations().await;
        assert!(violations.is_empty(), "{} violations: {violations:#?}", violations.len());
        let events = self.events().await;
        println!("{} events", events.len());
        assert_detects_lost_and_duplicated_commands(&self.ledger, &events);
        let books = self.processes.provider().ledger().await;
        assert_detects_wrong_charges(&books, &attempts(&events), &unpaid(&events));
    }

    /// Removes all views, checkpoints and deadlines, starts all processes again, and waits until they show the same.
    pub(crate) async fn assert_rebuilt_views_are_equal(&mut self) {
        let live = all_resources(&self.client).await;
        self.processes.rebuild_views().await;
        eventually(REBUILT_WITHIN, || async {
            difference(&live, &all_resources(&self.client).await).map_or(Ok(()), Err)
        })
        .await;
    }
}
