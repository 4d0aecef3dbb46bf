//! The demo's client: sends requests, compares answers with what is expected, and prints each step.

use super::Stop;
use crate::output::Console;
use crate::output::text::{Text, Tone};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// How long a server may take for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// How long the consequences of a write may take.
const CONSEQUENCE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the outcome of a write that was answered 202 may take: as long as the gateway may.
const OUTCOME_TIMEOUT: Duration = Duration::from_secs(90);
/// How often an answer is read again.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The client of a running market.
pub(super) struct MarketClient {
    client: reqwest::Client,
    url: String,
    console: Console,
    step: u32,
}

/// A request to the server.
#[derive(Debug, Clone)]
pub(super) struct DemoRequest {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Option<Value>,
}

/// The expected answer: a status, and fields by their JSON pointers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expect<'a> {
    pub(super) status: u16,
    pub(super) fields: &'a [(&'a str, Value)],
}

/// An answer.
#[derive(Debug)]
struct Response {
    status: u16,
    /// The resource that shows the outcome of a write.
    location: Option<String>,
    body: Value,
    /// Whether it was answered 202 first; body and status are those of the outcome.
    was_accepted: bool,
}

/// A step, as it is printed.
struct PrintedStep<'a> {
    sentence: &'a str,
    request: &'a DemoRequest,
    answer: &'a Response,
    expect: Expect<'a>,
    difference: Option<String>,
}

impl MarketClient {
    pub(super) fn new(url: &str, console: Console) -> Result<Self, Stop> {
        let client = reqwest::Client::builder()
            .timeout(ANSWER_TIMEOUT)
            .build()
            .map_err(|error| Stop::NoServer(error.to_string()))?;
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { client, url, console, step: 0 })
    }

    /// Prints what will be written, before anything is.
    pub(super) fn announce(&self, text: &str) {
        if self.console.is_json() {
            Console::result_json(&json!({"step": 0, "says": text, "url": self.url, "ok": true}));
        } else {
            for line in [self.url.as_str(), text, ""] {
                Console::result(line);
            }
        }
    }

    /// Sends a request once; the answer must be as expected.
    pub(super) async fn send(
        &mut self,
        sentence: &str,
        request: DemoRequest,
        expect: Expect<'_>,
    ) -> Result<Value, Stop> {
        let answer = self.answer(&request).await?;
        let answer = match answer.location {
            Some(location) if answer.status == 202 => self.outcome(location, expect).await?,
            _ => answer,
        };
        let difference = difference(&answer, expect);
        self.print(&PrintedStep {
            sentence,
            request: &request,
            answer: &answer,
            expect,
            difference,
        })?;
        Ok(answer.body)
    }

    /// The outcome of a write that was answered 202, as the resource shows it.
    async fn outcome(&self, location: String, expect: Expect<'_>) -> Result<Response, Stop> {
        let request = DemoRequest { method: Method::GET, path: location, body: None };
        let started = Instant::now();
        loop {
            let seen = self.answer(&request).await?;
            let answer = Response { status: expect.status, was_accepted: true, ..seen };
            if difference(&answer, expect).is_none() || started.elapsed() > OUTCOME_TIMEOUT {
                return Ok(answer);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Repeats a request until the answer is as expected: the consequences of a write take a moment.
    pub(super) async fn await_answer(
        &mut self,
        sentence: &str,
        request: DemoRequest,
        expect: Expect<'_>,
    ) -> Result<Value, Stop> {
        let started = Instant::now();
        loop {
            let answer = self.answer(&request).await?;
            let difference = difference(&answer, expect);
            if difference.is_none() || started.elapsed() > CONSEQUENCE_TIMEOUT {
                let (request, shown) = (&request, &answer);
                self.print(&PrintedStep { sentence, request, answer: shown, expect, difference })?;
                return Ok(answer.body);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    async fn answer(&self, request: &DemoRequest) -> Result<Response, Stop> {
        let no_server = |error: reqwest::Error| {
            let why = if error.is_connect() { "no server answers" } else { "the server broke off" };
            Stop::NoServer(format!("{}: {why}", self.url))
        };
        let DemoRequest { method, path, body } = request;
        let mut call = self
            .client
            .request(method.clone(), format!("{}{path}", self.url))
            .header("accept", "application/json");
        if let Some(body) = body {
            call = call.json(body);
        }
        let answer = call.send().await.map_err(no_server)?;
        let status = answer.status().as_u16();
        let location = answer.headers().get(header::LOCATION).and_then(|path| path.to_str().ok());
        let location = location.filter(|path| path.starts_with('/')).map(str::to_owned);
        let text = answer.text().await.map_err(no_server)?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Response { status, location, body, was_accepted: false })
    }

    /// Prints a step; fails if its answer differs from what is expected.
    fn print(&mut self, step: &PrintedStep<'_>) -> Result<(), Stop> {
        let PrintedStep { sentence, request, answer, expect, difference } = step;
        self.step = self.step.saturating_add(1);
        let seen = seen(answer, *expect);
        let status = if answer.was_accepted { 202 } else { answer.status };
        let DemoRequest { method, path, body: sent } = request;
        if self.console.is_json() {
            Console::result_json(&json!({
                "step": self.step, "says": sentence, "method": method.as_str(), "path": path,
                "sent": sent, "status": status, "seen": seen, "ok": difference.is_none(),
            }));
        } else {
            let (tone, mark) =
                if difference.is_none() { (Tone::Good, "✓") } else { (Tone::Bad, "✗") };
            let sent = sent.as_ref().map(|sent| format!(" {sent}")).unwrap_or_default();
            let heading = format!(" {:>2}. {sentence}", self.step);
            self.console.print(&Text::default().toned(tone, mark).then(heading));
            let call = format!("{method} {path}{sent}");
            self.console.print(&Text::from("       ").toned(Tone::Faint, call));
            self.console.print(&Text::from(format!("       {seen}")));
        }
        match difference {
            None => Ok(()),
            Some(difference) => Err(Stop::Differs(format!("step {}: {difference}", self.step))),
        }
    }

    /// Prints the last sentence.
    pub(super) fn close(&self, sentence: &str) {
        if !self.console.is_json() {
            Console::result("");
            self.console.print(&Text::default().toned(Tone::Good, sentence));
        }
    }
}

/// How an answer differs from what is expected.
fn difference(answer: &Response, expect: Expect<'_>) -> Option<String> {
    let Response { status, body, .. } = answer;
    if *status != expect.status {
        let code = body.get("code").and_then(Value::as_str).unwrap_or("no code");
        return Some(format!("expected {}, got {status} ({code})", expect.status));
    }
    expect.fields.iter().find_map(|(pointer, expected)| {
        let found = body.pointer(pointer).unwrap_or(&Value::Null);
        (found != expected).then(|| format!("expected {pointer} to be {expected}, got {found}"))
    })
}

/// The status, and the fields that the step is about.
fn seen(answer: &Response, expect: Expect<'_>) -> String {
    let Response { body, was_accepted, .. } = answer;
    let status = if *was_accepted { 202 } else { answer.status };
    let named = StatusCode::from_u16(status)
        .map_or_else(|_| status.to_string(), |status| status.to_string());
    let named = if *was_accepted { format!("{named}, then known") } else { named };
    let fields = expect.fields.iter().map(|(pointer, _)| {
        let name = pointer.rsplit('/').next().unwrap_or_default();
        format!("{name} {}", body.pointer(pointer).unwrap_or(&Value::Null))
    });
    std::iter::once(named).chain(fields).collect::<Vec<_>>().join(" · ")
}
