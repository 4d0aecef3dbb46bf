//! One caller of a load: it sends requests and notes them.

use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use reqwest::Method;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::LoadOptions;
use super::session::Session;
use crate::market_client::{Answer, MarketClient};
use crate::request_ledger::{Outcome, RequestLedger};

/// How long a caller repeats a request whose outcome is unknown.
const REPEATS_FOR: Duration = Duration::from_secs(10);
/// How long a caller waits until another service has done its part.
const WAITS_FOR: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);
/// Between two requests that wait for another service.
const LONG_PAUSE: Duration = Duration::from_millis(100);

/// One caller.
pub(super) struct Caller {
    market: MarketClient,
    pub(super) ledger: Arc<RequestLedger>,
    pub(super) options: LoadOptions,
    number: usize,
    pub(super) choices: StdRng,
    pub(super) session: Session,
}

/// One request of a rental, and the number of the command's step whose event is looked for.
#[derive(Debug, Clone)]
pub(super) struct Step<'a> {
    pub(super) name: &'a str,
    pub(super) path: String,
    pub(super) body: Option<Value>,
    pub(super) nth: u32,
}

impl<'a> Step<'a> {
    pub(super) fn post(name: &'a str, path: String) -> Self {
        Self { name, path, body: None, nth: 0 }
    }

    pub(super) fn with(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }
}

impl Caller {
    pub(super) fn new(
        market: &MarketClient,
        ledger: &Arc<RequestLedger>,
        options: LoadOptions,
        number: usize,
        seed: u64,
    ) -> Self {
        let own = u64::try_from(number).expect("a small number");
        Self {
            market: market.clone(),
            ledger: Arc::clone(ledger),
            options,
            number,
            choices: StdRng::seed_from_u64(seed.wrapping_add(own)),
            session: Session::default(),
        }
    }

    /// Sends one step; a request with an unknown outcome is repeated in two of three rounds.
    pub(super) async fn execute(&mut self, round: u32, step: Step<'_>) -> Option<Answer> {
        match self.outcome(round, &step, step.name).await {
            (Outcome::Acknowledged, answer) => answer,
            _ => None,
        }
    }

    /// Sends one step again, each time under a new key, as long as it is refused.
    pub(super) async fn execute_once_possible(
        &mut self,
        round: u32,
        step: Step<'_>,
    ) -> Option<Answer> {
        let deadline = Instant::now() + WAITS_FOR;
        for attempt in 0_u32.. {
            let name = format!("{}-{attempt}", step.name);
            match self.outcome(round, &step, &name).await {
                (Outcome::Acknowledged, answer) => return answer,
                (Outcome::Unknown, _) => return None,
                _ if Instant::now() > deadline => return None,
                _ => sleep(LONG_PAUSE).await,
            }
        }
        None
    }

    async fn outcome(
        &mut self,
        round: u32,
        step: &Step<'_>,
        name: &str,
    ) -> (Outcome, Option<Answer>) {
        let key = format!("{}-{round}-{name}", self.number);
        let id = (self.options.command_id)(&step.path, &key, step.nth);
        self.ledger.sent(&key, &id, name);
        let deadline = Instant::now() + REPEATS_FOR;
        loop {
            let body = step.body.clone();
            let answer = self.market.send(Method::POST, &step.path, body, Some(&key)).await;
            match self.ledger.answered(&key, &answer) {
                Outcome::Unknown if round % 3 == 1 || Instant::now() > deadline => {
                    return (Outcome::Unknown, None);
                }
                Outcome::Unknown => sleep(PAUSE).await,
                outcome => return (outcome, answer.ok()),
            }
        }
    }

    /// Reads a resource as of a write, if the service answers.
    pub(super) async fn read(&mut self, path: &str, written: &Answer) {
        let Some(stream) = Session::stream(path) else { return };
        if let Some(version) = written.version {
            self.session.wrote(&stream, version);
        }
        let as_of = written.at.as_ref().map(|at| format!("?at_least={at}")).unwrap_or_default();
        let answer = self.market.send(Method::GET, &format!("{path}{as_of}"), None, None).await;
        if let Ok(Answer { status: 200, version: Some(version), .. }) = answer {
            self.ledger.shown(&stream, version);
            if let Err(fault) = self.session.read(&stream, version) {
                self.ledger.fault(fault);
            }
        }
    }
}
