//! One outage: a service is down for a while, every command is sent meanwhile, and the service returns.

use super::commands::{Effect, effects, request};
use super::observation::{CommandAnswer, Observation};
use super::subject::Subject;
use super::table;
use crate::calls::SOON;
use futures::future::join_all;
use gdmarket_domain::Service;
use gdmarket_domain::service::{Isolation, PersonCommand};
use gdmarket_testkit::{SplitMarket, eventually, size};
use reqwest::{Client, header};
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How long a client waits for an answer.
const CLIENT_WAIT: Duration = Duration::from_secs(30);
/// How long a long run sends commands while a service is down.
const LONG_OUTAGE: Duration = Duration::from_secs(20);
/// Within this time after the service's return all is done, on a machine that does nothing else.
const SETTLED_WITHIN: Duration = Duration::from_secs(10);

/// How a service fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// `kill -9`: its connections end, and no new one comes about.
    Killed,
    /// SIGSTOP: its connections stay open, new ones come about, and nothing is answered.
    Hanging,
}

/// An outage of one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outage {
    pub(super) down: Service,
    pub(super) failure: Failure,
}

/// A command on its way.
struct SentCommand {
    command: PersonCommand,
    subject: Subject,
    /// The id of its trace, by which its events are found in every log.
    trace_id: u128,
    answer: CommandAnswer,
}

impl Outage {
    /// Sends every command while the service is down; returns what was seen of each.
    #[expect(clippy::print_stdout, reason = "the times of a run")]
    pub(super) async fn observe(self, market: &mut SplitMarket) -> Vec<Observation> {
        let began = Instant::now();
        let mut prepared = vec![];
        for _ in 0..size(1, 20) {
            let each = self.commands().map(|command| Subject::before(command, market));
            prepared.push(join_all(each).await);
        }
        self.begin(market).await;
        let mut sent = self.send_all(market, prepared).await;
        if self.failure == Failure::Killed {
            self.is_forecast(market).await;
        }
        let done_without = self.done_without(market, &mut sent).await;
        let mut seen = vec![];
        for (each, is_done_without) in sent.iter().zip(done_without) {
            seen.push(Observation {
                command: each.command,
                outage: self,
                answer: each.answer.clone(),
                written: written(market, each.trace_id).await,
                is_done_without,
                is_done_at_last: false,
            });
        }
        self.end(market).await;
        let returned = Instant::now();
        for (each, observation) in sent.iter().zip(&mut seen) {
            observation.is_done_at_last = self.is_done_at_last(market, each, returned).await;
        }
        let (all, settled) = (began.elapsed(), returned.elapsed());
        println!("{self:?}: {} commands in {all:?}, done {settled:?} after the return", seen.len());
        seen
    }

    /// The commands that are sent. A process that hangs takes a request without an answer, and may do it when it
    /// continues: what its own commands meet is unknown to their callers, who repeat them under a key.
    fn commands(self) -> impl Iterator<Item = PersonCommand> {
        let is_sent = move |command: &PersonCommand| {
            self.failure == Failure::Killed || command.service() != self.down
        };
        PersonCommand::ALL.into_iter().filter(is_sent)
    }

    async fn begin(self, market: &mut SplitMarket) {
        match self.failure {
            Failure::Killed => market.kill(self.down.name()).await,
            Failure::Hanging => market.stop(self.down.name()).await,
        }
    }

    /// Ends the outage, and waits until each service knows it.
    async fn end(self, market: &mut SplitMarket) {
        match self.failure {
            Failure::Killed => market.restart(self.down.name()).await,
            Failure::Hanging => market.resume(self.down.name()).await,
        }
    }

    /// Sends all commands, on a long run spread over the time of the outage.
    async fn send_all(self, market: &SplitMarket, prepared: Vec<Vec<Subject>>) -> Vec<SentCommand> {
        let client = Client::builder().timeout(CLIENT_WAIT).build().unwrap();
        let (client, began) = (&client, Instant::now());
        let rounds = u32::try_from(prepared.len()).unwrap();
        let sending = prepared.into_iter().zip(0..).flat_map(|(subjects, round)| {
            let at = began + LONG_OUTAGE * round / rounds;
            self.commands().zip(subjects).map(move |(command, subject)| async move {
                sleep_until(at).await;
                send(client, market, command, subject).await
            })
        });
        join_all(sending).await
    }

    /// Whether each command is done while the service is down. The table only says how long it is worth waiting: what it
    /// calls unaffected is waited for, and then everything is looked at.
    async fn done_without(self, market: &SplitMarket, sent: &mut [SentCommand]) -> Vec<bool> {
        let deadline = Instant::now() + SOON;
        loop {
            let done = join_all(sent.iter().map(|each| self.is_done(market, each))).await;
            let is_late = |(each, is_done): (&SentCommand, &bool)| {
                let is_taken = matches!(each.answer, CommandAnswer::Taken(_));
                let is_expected = table(each.command, self.down) == Isolation::Unaffected;
                is_taken && is_expected && !is_done
            };
            if !sent.iter().zip(&done).any(is_late) || Instant::now() > deadline {
                return done;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Whether all that a command leads to is shown by services that are not down.
    async fn is_done(self, market: &SplitMarket, sent: &SentCommand) -> bool {
        for effect in effects(sent.command, &sent.subject) {
            if effect.service == self.down || !is_shown(market, &effect).await {
                return false;
            }
        }
        true
    }

    /// Waits until all that a command leads to is done; a command that was not taken leads to nothing.
    async fn is_done_at_last(
        self,
        market: &SplitMarket,
        sent: &SentCommand,
        returned: Instant,
    ) -> bool {
        if !matches!(sent.answer, CommandAnswer::Taken(_)) {
            return false;
        }
        // Everyday tests share their machine with others.
        let is_long = size(0, 1) == 1;
        let within = if is_long { SETTLED_WITHIN } else { SOON };
        let left = (returned + within).saturating_duration_since(Instant::now());
        eventually(left.max(Duration::from_millis(500)), || async {
            for effect in effects(sent.command, &sent.subject) {
                if !is_shown(market, &effect).await {
                    let SentCommand { command, subject, answer, .. } = sent;
                    return Err((self, *command, subject.clone(), answer.clone(), effect.path));
                }
            }
            Ok(true)
        })
        .await
    }

    /// Waits until each service that runs says of its commands what the table says of them.
    async fn is_forecast(self, market: &SplitMarket) {
        for command in PersonCommand::ALL.into_iter().filter(|each| each.service() != self.down) {
            let expected = match table(command, self.down) {
                Isolation::Unaffected => "works",
                Isolation::Accepted => "accepted",
                Isolation::Refused => "refused",
            };
            eventually(SOON, || async {
                let url = market.url(command.service().name(), "/capabilities");
                let known = reqwest::get(url).await.unwrap().json::<Value>().await.unwrap();
                let said = &known["commands"][command.operation()];
                if said["now"] == expected { Ok(()) } else { Err((self, said.clone())) }
            })
            .await;
        }
    }
}

async fn send(
    client: &Client,
    market: &SplitMarket,
    command: PersonCommand,
    mut subject: Subject,
) -> SentCommand {
    let trace_id: u128 = rand::random();
    let person = request(command, &subject);
    let url = market.url(command.service().name(), &person.path);
    let traceparent = format!("00-{trace_id:032x}-{:016x}-01", 1);
    let call = client.request(person.method, url).header("traceparent", traceparent);
    let answer = match call.json(&person.body).send().await {
        Err(error) if error.is_connect() => CommandAnswer::NoConnection,
        Err(error) => CommandAnswer::NoAnswer(error.to_string()),
        Ok(answer) => {
            let (status, headers) = (answer.status(), answer.headers());
            let has_retry_after = headers.contains_key(header::RETRY_AFTER);
            let body = answer.text().await.unwrap_or_default();
            if status.is_success() {
                subject.learn(&serde_json::from_str(&body).unwrap_or_default());
                CommandAnswer::Taken(status.as_u16())
            } else {
                CommandAnswer::NotTaken { status: status.as_u16(), has_retry_after, body }
            }
        }
    };
    SentCommand { command, subject, trace_id, answer }
}

/// Whether a service shows an effect.
async fn is_shown(market: &SplitMarket, effect: &Effect) -> bool {
    let url = market.url(effect.service.name(), &effect.path);
    let Ok(answer) = reqwest::get(url).await else { return false };
    let status = answer.status().as_u16();
    let found = answer.json().await.unwrap_or_default();
    (effect.is_done)(status, &found)
}

/// How many events of a trace are in all logs.
async fn written(market: &SplitMarket, trace_id: u128) -> i64 {
    let mut count = 0;
    for (_, db) in market.databases() {
        let sql = "SELECT count(*) FROM events WHERE CAST(metadata AS text) LIKE";
        count += db.log_number(&format!("{sql} '%{trace_id:032x}%'")).await;
    }
    count
}
