//! The demo's way to the server: sends, compares what comes with what should come, tells each step.

use super::sentences::Sentence;
use super::{Lang, Stop};
use crate::output::Console;
use crate::output::text::{Text, Tone};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// How long a server may take for one answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// How long what follows from a write may take.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(10);
/// How long the outcome of a write may take that was answered 202: as long as the gateway may.
const KNOWN_WITHIN: Duration = Duration::from_secs(90);
/// How often it is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A running market, as a caller sees it.
pub(super) struct MarketClient {
    client: reqwest::Client,
    url: String,
    lang: Lang,
    console: Console,
    step: u32,
}

/// What is to be asked.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    method: Method,
    path: String,
    body: Option<Value>,
}

impl Ask {
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), body: None }
    }

    pub(super) fn post(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::POST, path: path.into(), body: Some(body) }
    }

    pub(super) fn patch(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::PATCH, path: path.into(), body: Some(body) }
    }

    pub(super) fn delete(path: impl Into<String>) -> Self {
        Self { method: Method::DELETE, path: path.into(), body: None }
    }
}

/// What should come: a status, and fields by their JSON pointers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expect<'a> {
    pub(super) status: u16,
    pub(super) fields: &'a [(&'a str, Value)],
}

/// What came.
#[derive(Debug)]
struct Response {
    status: u16,
    /// Where a write can be looked at.
    location: Option<String>,
    body: Value,
    /// It was answered 202 first; body and status are those of the outcome.
    was_accepted: bool,
}

impl MarketClient {
    pub(super) fn new(url: &str, lang: Lang, console: Console) -> Result<Self, Stop> {
        let client = reqwest::Client::builder()
            .timeout(ANSWER_WITHIN)
            .build()
            .map_err(|error| Stop::NoServer(error.to_string()))?;
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { client, url, lang, console, step: 0 })
    }

    /// Says what will be written, before anything is.
    pub(super) fn announce(&self, say: Sentence, renters: &[i64]) {
        let text = say.in_lang(self.lang).replace("{renters}", &listed(renters));
        if self.console.is_json() {
            Console::result_json(&json!({"step": 0, "says": text, "url": self.url, "ok": true}));
        } else {
            for line in [self.url.as_str(), &text, ""] {
                Console::result(line);
            }
        }
    }

    /// Asks once; the answer must be as expected.
    pub(super) async fn ask(
        &mut self,
        say: Sentence,
        ask: Ask,
        expect: Expect<'_>,
    ) -> Result<Value, Stop> {
        let answer = self.send(&ask).await?;
        let answer = match answer.location {
            Some(location) if answer.status == 202 => self.outcome(location, expect).await?,
            _ => answer,
        };
        let difference = difference(&answer, expect);
        self.show(say, &ask, &answer, expect, difference)?;
        Ok(answer.body)
    }

    /// What became of a write that was answered 202: its outcome is shown by the resource.
    async fn outcome(&self, location: String, expect: Expect<'_>) -> Result<Response, Stop> {
        let look = Ask::get(location);
        let begun = Instant::now();
        loop {
            let seen = self.send(&look).await?;
            let answer = Response { status: expect.status, was_accepted: true, ..seen };
            if difference(&answer, expect).is_none() || begun.elapsed() > KNOWN_WITHIN {
                return Ok(answer);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Asks until the answer is as expected: what others do because of a write takes a moment.
    pub(super) async fn see(
        &mut self,
        say: Sentence,
        ask: Ask,
        expect: Expect<'_>,
    ) -> Result<Value, Stop> {
        let begun = Instant::now();
        loop {
            let answer = self.send(&ask).await?;
            let difference = difference(&answer, expect);
            if difference.is_none() || begun.elapsed() > FOLLOWS_WITHIN {
                self.show(say, &ask, &answer, expect, difference)?;
                return Ok(answer.body);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn send(&self, ask: &Ask) -> Result<Response, Stop> {
        let no_server = |error: reqwest::Error| {
            let why = if error.is_connect() { "no server answers" } else { "the server broke off" };
            Stop::NoServer(format!("{}: {why}", self.url))
        };
        let mut request = self
            .client
            .request(ask.method.clone(), format!("{}{}", self.url, ask.path))
            .header("accept", "application/json");
        if let Some(body) = &ask.body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(no_server)?;
        let status = answer.status().as_u16();
        let location = answer.headers().get(header::LOCATION).and_then(|path| path.to_str().ok());
        let location = location.filter(|path| path.starts_with('/')).map(str::to_owned);
        let text = answer.text().await.map_err(no_server)?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Response { status, location, body, was_accepted: false })
    }

    fn show(
        &mut self,
        say: Sentence,
        ask: &Ask,
        answer: &Response,
        expect: Expect<'_>,
        difference: Option<String>,
    ) -> Result<(), Stop> {
        self.step = self.step.saturating_add(1);
        let sentence = say.in_lang(self.lang);
        let seen = seen(answer, expect);
        let status = if answer.was_accepted { 202 } else { answer.status };
        let Ask { method, path, body: sent } = ask;
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

    pub(super) fn close(&self, say: Sentence) {
        if !self.console.is_json() {
            let text = say.in_lang(self.lang);
            Console::result("");
            self.console.print(&Text::default().toned(Tone::Good, text));
        }
    }
}

fn listed(numbers: &[i64]) -> String {
    numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}

/// What isn't as it should be.
fn difference(answer: &Response, expect: Expect<'_>) -> Option<String> {
    let Response { status, body, .. } = answer;
    if *status != expect.status {
        let code = body.get("code").and_then(Value::as_str).unwrap_or("no code");
        return Some(format!("expected {}, got {status} ({code})", expect.status));
    }
    expect.fields.iter().find_map(|(pointer, wanted)| {
        let found = body.pointer(pointer).unwrap_or(&Value::Null);
        (found != wanted).then(|| format!("expected {pointer} to be {wanted}, got {found}"))
    })
}

/// The status, and what the step was about.
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
