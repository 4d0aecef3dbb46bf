//! The demo's way to the server: sends, compares what comes with what should come, tells each step.

use super::words::Say;
use super::{Lang, Stop};
use crate::cli::Console;
use crate::cli::console::Tone;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// How long a server may take for one answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// How long what follows from a write may take.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(10);
/// How often it is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A running market, as a caller sees it.
pub(super) struct Market {
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

impl Market {
    pub(super) fn new(url: &str, lang: Lang, console: Console) -> Result<Self, Stop> {
        let client = reqwest::Client::builder()
            .timeout(ANSWER_WITHIN)
            .build()
            .map_err(|error| Stop::NoServer(error.to_string()))?;
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { client, url, lang, console, step: 0 })
    }

    /// Says what will be written, before anything is.
    pub(super) fn announce(&self, say: Say, renters: &[i64]) {
        let text = say.in_lang(self.lang).replace("{renters}", &listed(renters));
        if self.console.is_json() {
            Console::result_json(&json!({"step": 0, "says": text, "url": self.url, "ok": true}));
        } else {
            Console::result(&format!("{}\n{text}\n", self.url));
        }
    }

    /// Asks once; the answer must be as expected.
    pub(super) async fn ask(
        &mut self,
        say: Say,
        ask: Ask,
        expect: Expect<'_>,
    ) -> Result<Value, Stop> {
        let (status, body) = self.send(&ask).await?;
        let difference = difference(status, &body, expect);
        self.tell(say, &ask, status, &body, expect, difference)?;
        Ok(body)
    }

    /// Asks until the answer is as expected: what others do because of a write takes a moment.
    pub(super) async fn see(
        &mut self,
        say: Say,
        ask: Ask,
        expect: Expect<'_>,
    ) -> Result<Value, Stop> {
        let begun = Instant::now();
        loop {
            let (status, body) = self.send(&ask).await?;
            let difference = difference(status, &body, expect);
            if difference.is_none() || begun.elapsed() > FOLLOWS_WITHIN {
                self.tell(say, &ask, status, &body, expect, difference)?;
                return Ok(body);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn send(&self, ask: &Ask) -> Result<(u16, Value), Stop> {
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
        let status = answer.status();
        let text = answer.text().await.map_err(no_server)?;
        Ok((status.as_u16(), serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    fn tell(
        &mut self,
        say: Say,
        ask: &Ask,
        status: u16,
        body: &Value,
        expect: Expect<'_>,
        difference: Option<String>,
    ) -> Result<(), Stop> {
        self.step = self.step.saturating_add(1);
        let sentence = say.in_lang(self.lang);
        let seen = seen(status, body, expect);
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
            Console::result(&format!(
                "{} {:>2}. {sentence}\n       {}\n       {seen}",
                self.console.painted(tone, mark),
                self.step,
                self.console.painted(Tone::Faint, &format!("{method} {path}{sent}")),
            ));
        }
        match difference {
            None => Ok(()),
            Some(difference) => Err(Stop::Differs(format!("step {}: {difference}", self.step))),
        }
    }

    pub(super) fn close(&self, say: Say) {
        if !self.console.is_json() {
            let text = say.in_lang(self.lang);
            Console::result(&format!("\n{}", self.console.painted(Tone::Good, text)));
        }
    }
}

fn listed(numbers: &[i64]) -> String {
    numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}

/// What isn't as it should be.
fn difference(status: u16, body: &Value, expect: Expect<'_>) -> Option<String> {
    if status != expect.status {
        let code = body.get("code").and_then(Value::as_str).unwrap_or("no code");
        return Some(format!("expected {}, got {status} ({code})", expect.status));
    }
    expect.fields.iter().find_map(|(pointer, wanted)| {
        let found = body.pointer(pointer).unwrap_or(&Value::Null);
        (found != wanted).then(|| format!("expected {pointer} to be {wanted}, got {found}"))
    })
}

/// The status, and what the step was about.
fn seen(status: u16, body: &Value, expect: Expect<'_>) -> String {
    let named = StatusCode::from_u16(status)
        .map_or_else(|_| status.to_string(), |status| status.to_string());
    let fields = expect.fields.iter().map(|(pointer, _)| {
        let name = pointer.rsplit('/').next().unwrap_or_default();
        format!("{name} {}", body.pointer(pointer).unwrap_or(&Value::Null))
    });
    std::iter::once(named).chain(fields).collect::<Vec<_>>().join(" · ")
}
