//! Load on the market: each caller takes items through rentals. Every request has a key of its own and is in the
//! ledger; a request with an unknown outcome is repeated in some rounds and abandoned in others.

use crate::ledger::{Ledger, Outcome};
use crate::market_client::{Answer, MarketClient};
use gdmarket_commands::{KeyedRequest, http_command_id, step_command_id};
use gdmarket_domain::Actor;
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How long a caller repeats a request whose outcome is unknown.
const REPEATS_FOR: Duration = Duration::from_secs(10);

/// Callers that work until [`Load::stop`].
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    callers: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    pub(crate) fn start(market: &MarketClient, ledger: &Arc<Ledger>, callers: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let callers = (0..callers)
            .map(|number| {
                let caller = Caller {
                    market: market.clone(),
                    ledger: Arc::clone(ledger),
                    stop: Arc::clone(&stop),
                    number,
                };
                tokio::spawn(caller.work())
            })
            .collect();
        Self { stop, callers }
    }

    pub(crate) async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for caller in self.callers {
            caller.await.unwrap();
        }
    }
}

struct Caller {
    market: MarketClient,
    ledger: Arc<Ledger>,
    stop: Arc<AtomicBool>,
    number: usize,
}

/// One request of a rental, and the number of the command's step whose event is looked for.
struct Step<'a> {
    name: &'a str,
    path: String,
    body: Option<Value>,
    nth: u32,
}

impl Caller {
    async fn work(self) {
        for round in 0_u32.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            self.rental(round).await;
        }
    }

    /// Registers, reserves and pays, then lends and returns, or cancels; some items are deleted at the end. A
    /// rental ends early when the outcome of a step that the next one needs is unknown.
    async fn rental(&self, round: u32) -> Option<()> {
        let body = json!({"itemName": "Camera", "itemPrice": 100});
        let registered =
            self.execute(round, post("register", "/items".to_owned(), body, 1)).await?;
        let item = registered.number("itemNo");
        let body = json!({"customerId": 7, "customerName": "Renter", "itemNo": item});
        let reserve = post("reserve", "/reservations".to_owned(), body, 0);
        let reserved = self.execute(round, reserve).await?;
        let reservation = reserved.number("reservationNo");
        let body = json!({"reservationNo": reservation});
        if round.is_multiple_of(3) {
            // Refused: the reservation isn't paid yet. Only in rounds that repeat until the outcome is known: a
            // request that is still in flight would lend the item once it is paid.
            let path = format!("/items/{item}/lend");
            self.execute(round, post("lend-unpaid", path, body.clone(), 0)).await;
        }
        let path = format!("/reservations/{reservation}/payment");
        self.execute(round, post("pay", path, Value::Null, 0)).await?;
        if round.is_multiple_of(3) {
            let path = format!("/reservations/{reservation}/cancel");
            self.execute(round, post("cancel", path, Value::Null, 0)).await?;
        } else {
            let path = format!("/items/{item}/return");
            // Refused: the item isn't lent yet. A repeat of this request never returns it.
            self.execute(round, post("return-early", path, body.clone(), 0)).await;
            for name in ["lend", "return"] {
                let path = format!("/items/{item}/{name}");
                self.execute(round, post(name, path, body.clone(), 0)).await?;
            }
        }
        if round.is_multiple_of(5) {
            self.execute(round, post("delete", format!("/items/{item}/delete"), Value::Null, 0))
                .await?;
        }
        Some(())
    }

    /// Sends one step; a request with an unknown outcome is repeated in two of three rounds.
    async fn execute(&self, round: u32, step: Step<'_>) -> Option<Answer> {
        let key = format!("{}-{round}-{}", self.number, step.name);
        let actor = &Actor::Operator("local".to_owned());
        let request = KeyedRequest { actor, method: "POST", route: &step.path, key: &key };
        let id = step_command_id(http_command_id(&request), step.nth);
        self.ledger.sent(&key, &id.to_string(), step.name);
        let deadline = Instant::now() + REPEATS_FOR;
        loop {
            let body = step.body.clone();
            let answer = self.market.send(Method::POST, &step.path, body, Some(&key)).await;
            match self.ledger.answered(&key, &answer) {
                Outcome::Acknowledged => return answer.ok(),
                Outcome::Refused | Outcome::Declined => return None,
                Outcome::Unknown if round % 3 == 1 || Instant::now() > deadline => return None,
                Outcome::Unknown => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

fn post(name: &str, path: String, body: Value, nth: u32) -> Step<'_> {
    Step { name, path, body: (!body.is_null()).then_some(body), nth }
}
