//! Neighbours at work: each caller takes items through rentals, every request under a key of its
//! own and in the ledger; an unknown outcome is sometimes asked for again, sometimes left.

use crate::ledger::{Ledger, Seen};
use crate::market::{Answer, Market};
use gdmarket_commands::http_command_id;
use gdmarket_domain::Actor;
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How long a caller keeps asking again for an unknown outcome before it gives up.
const ASKS_AGAIN_FOR: Duration = Duration::from_secs(10);

/// Some callers until told to stop.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    callers: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    pub(crate) fn start(market: &Market, ledger: &Arc<Ledger>, callers: usize) -> Self {
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
    market: Market,
    ledger: Arc<Ledger>,
    stop: Arc<AtomicBool>,
    number: usize,
}

/// One request of a rental, and which step of the command writes the event that is looked for.
struct Step<'a> {
    what: &'a str,
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

    /// Register, reserve, pay, then lend and return, or cancel; some are deleted then. What isn't known
    /// to have happened isn't built upon.
    async fn rental(&self, round: u32) -> Option<()> {
        let body = json!({"itemName": "Camera", "itemPrice": 100});
        let registered = self.ask(round, post("register", "/items".to_owned(), body, 1)).await?;
        let item = registered.number("itemNo");
        let body = json!({"customerId": 7, "customerName": "Renter", "itemNo": item});
        let reserve = post("reserve", "/reservations".to_owned(), body, 0);
        let reserved = self.ask(round, reserve).await?;
        let reservation = reserved.number("reservationNo");
        let which = json!({"reservationNo": reservation});
        if round.is_multiple_of(3) {
            // Refused: nobody has paid for it yet. Only in rounds that ask until the outcome is known: one
            // that is still under way would lend what is paid for next.
            let path = format!("/items/{item}/lend");
            self.ask(round, post("lend-unpaid", path, which.clone(), 0)).await;
        }
        let path = format!("/reservations/{reservation}/payment");
        self.ask(round, post("pay", path, Value::Null, 0)).await?;
        if round.is_multiple_of(3) {
            let path = format!("/reservations/{reservation}/cancel");
            self.ask(round, post("cancel", path, Value::Null, 0)).await?;
        } else {
            let path = format!("/items/{item}/return");
            // Refused: nobody has it yet. A repeat of this very request never brings it back.
            self.ask(round, post("return-early", path, which.clone(), 0)).await;
            for what in ["lend", "return"] {
                let path = format!("/items/{item}/{what}");
                self.ask(round, post(what, path, which.clone(), 0)).await?;
            }
        }
        if round.is_multiple_of(5) {
            self.ask(round, post("delete", format!("/items/{item}/delete"), Value::Null, 0))
                .await?;
        }
        Some(())
    }

    /// Sends one step; an unknown outcome is asked for again in two of three rounds.
    async fn ask(&self, round: u32, step: Step<'_>) -> Option<Answer> {
        let key = format!("{}-{round}-{}", self.number, step.what);
        let actor = Actor::Operator("local".to_owned());
        let id = http_command_id(&actor, "POST", &step.path, &key, step.nth);
        self.ledger.sent(&key, &id.to_string(), step.what);
        let gives_up = Instant::now() + ASKS_AGAIN_FOR;
        loop {
            let body = step.body.clone();
            let answer = self.market.send(Method::POST, &step.path, body, Some(&key)).await;
            match self.ledger.answered(&key, &answer) {
                Seen::Acknowledged => return answer.ok(),
                Seen::Refused | Seen::Declined => return None,
                Seen::Unknown if round % 3 == 1 || Instant::now() > gives_up => return None,
                Seen::Unknown => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

fn post(what: &str, path: String, body: Value, nth: u32) -> Step<'_> {
    Step { what, path, body: (!body.is_null()).then_some(body), nth }
}
