//! The ledger of a test's requests: a line before each request and one after it, in a file, so that the outcomes
//! are known whichever process dies. It is compared with the event log afterwards.

use crate::market_client::{Answer, is_unknown};
use gdmarket_store::{RecordedEvent, StreamId};
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

/// The outcome of a request, as its sender knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// 2xx: the command's event is in the log.
    Acknowledged,
    /// 402 to a payment: the attempt is in the log once, followed by its failure. A payment that was interrupted
    /// before it reached the gateway is settled this way.
    Declined,
    /// Any other 4xx: the command has no event.
    Refused,
    /// 5xx, connection reset, time-out: the command has at most one event.
    Unknown,
}

/// The requests of one run.
pub(crate) struct Ledger {
    file: Mutex<File>,
    /// Server errors that aren't a 503 with `Retry-After`.
    bare_errors: Mutex<Vec<String>>,
    entries: Mutex<HashMap<String, Entry>>,
}

/// One key: the command id of the step whose event counts, and the outcome of the last try.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) command_id: String,
    pub(crate) outcome: Outcome,
    pub(crate) step: String,
    /// The last answer as it came, for messages.
    answer: String,
}

/// The events of a log by the command that wrote them.
struct EventsByCommand<'a> {
    log: &'a [RecordedEvent],
    by_command: HashMap<String, Vec<&'a RecordedEvent>>,
}

impl<'a> EventsByCommand<'a> {
    fn of(log: &'a [RecordedEvent]) -> Self {
        let mut by_command: HashMap<String, Vec<&RecordedEvent>> = HashMap::new();
        for event in log {
            by_command.entry(command_id(event)).or_default().push(event);
        }
        Self { log, by_command }
    }

    fn by(&self, entry: &Entry) -> &[&'a RecordedEvent] {
        self.by_command.get(&entry.command_id).map_or(&[], Vec::as_slice)
    }

    /// Whether the payment attempt failed.
    fn has_failed(&self, attempt: &RecordedEvent) -> bool {
        let is_later = |event: &&RecordedEvent| {
            event.stream == attempt.stream && event.sequence > attempt.sequence
        };
        self.log.iter().filter(is_later).any(|event| event.event_type == "PaymentFailed")
    }

    /// All events of the streams that the command of an entry wrote to.
    fn streams(&self, entry: &Entry) -> Vec<String> {
        let streams: HashSet<_> = self.by(entry).iter().map(|event| &event.stream).collect();
        let events = self.log.iter().filter(|event| streams.contains(&event.stream));
        events.map(|event| format!("{event}: {} {}", event.payload, event.metadata)).collect()
    }

    fn is_consistent(&self, entry: &Entry) -> bool {
        match (entry.outcome, self.by(entry)) {
            (Outcome::Acknowledged, events) => events.len() == 1,
            (Outcome::Declined, [attempt]) => {
                attempt.event_type == "PaymentRequested" && self.has_failed(attempt)
            }
            (Outcome::Declined, _) => false,
            (Outcome::Refused, events) => events.is_empty(),
            (Outcome::Unknown, events) => events.len() <= 1,
        }
    }
}

impl Ledger {
    pub(crate) fn in_folder(folder: &Path) -> Self {
        let file = File::create(folder.join("ledger.ndjson")).unwrap();
        Self { file: Mutex::new(file), bare_errors: Mutex::default(), entries: Mutex::default() }
    }

    /// Notes a request before it is sent: from now on its command may be executed.
    pub(crate) fn sent(&self, key: &str, command_id: &str, step: &str) {
        self.write(&format!("{{\"key\":\"{key}\",\"sent\":\"{step}\"}}"));
        let entry = Entry {
            command_id: command_id.to_owned(),
            outcome: Outcome::Unknown,
            step: step.to_owned(),
            answer: "not at all".to_owned(),
        };
        self.entries.lock().unwrap().insert(key.to_owned(), entry);
    }

    /// Notes the answer, or that there was none.
    pub(crate) fn answered<E: Debug>(&self, key: &str, answer: &Result<Answer, E>) -> Outcome {
        let outcome = match answer {
            Ok(answer) if answer.status < 400 => Outcome::Acknowledged,
            Ok(answer) if answer.status == 402 => Outcome::Declined,
            Ok(answer) if !is_unknown(answer.status) => Outcome::Refused,
            Ok(_) | Err(_) => Outcome::Unknown,
        };
        self.write(&format!("{{\"key\":\"{key}\",\"outcome\":\"{outcome:?}\"}}"));
        if let Ok(Answer { status, body, retry_after }) = answer
            && *status >= 500
            && (*status, *retry_after) != (503, true)
        {
            self.bare_errors.lock().unwrap().push(format!("{key} is answered {status}: {body}"));
        }
        if let Some(entry) = self.entries.lock().unwrap().get_mut(key) {
            entry.outcome = outcome;
            entry.answer = match answer {
                Ok(Answer { status, body, .. }) => format!("{status} {body}"),
                Err(error) => format!("{error:?}"),
            };
        }
        outcome
    }

    pub(crate) fn count(&self, outcome: Outcome) -> usize {
        self.entries.lock().unwrap().values().filter(|entry| entry.outcome == outcome).count()
    }

    fn write(&self, line: &str) {
        writeln!(self.file.lock().unwrap(), "{line}").unwrap();
    }

    /// The differences between the log and the outcomes that callers know, one sentence each.
    pub(crate) fn violations(&self, log: &[RecordedEvent]) -> Vec<String> {
        let events = EventsByCommand::of(log);
        let entries = self.entries.lock().unwrap();
        let violations = entries.values().filter(|entry| !events.is_consistent(entry)).map(|entry| {
            let Entry { command_id, outcome, step, answer } = entry;
            format!(
                "{step} ({command_id}) is {outcome:?}, answered {answer}, its streams are {:#?}, \
                 and it is in the log {} times",
                events.streams(entry),
                events.by(entry).len(),
            )
        });
        let mut violations: Vec<String> = violations.collect();
        violations.extend(self.bare_errors.lock().unwrap().iter().cloned());
        violations.extend(order_violations(log));
        violations
    }
}

/// Control on a run's own ledger and log: with the event of an acknowledged command removed, and with it written
/// twice, exactly that is reported. It is the last event of its stream, so that the order stays right.
pub(crate) fn assert_detects_lost_and_duplicated_commands(ledger: &Ledger, log: &[RecordedEvent]) {
    let acknowledged: HashSet<String> = {
        let entries = ledger.entries.lock().unwrap();
        let entries = entries.values().filter(|entry| entry.outcome == Outcome::Acknowledged);
        entries.map(|entry| entry.command_id.clone()).collect()
    };
    let is_last = |event: &RecordedEvent| {
        !log.iter().any(|e| e.stream == event.stream && e.sequence > event.sequence)
    };
    let index =
        log.iter().position(|e| acknowledged.contains(&command_id(e)) && is_last(e)).unwrap();
    let mut lost = log.to_vec();
    let event = lost.remove(index);
    let mut duplicated = log.to_vec();
    duplicated.push(RecordedEvent {
        sequence: event.sequence + 1,
        position: log[log.len() - 1].position + 1,
        ..event.clone()
    });
    for (log, times) in [(lost, "0 times"), (duplicated, "2 times")] {
        let violations = ledger.violations(&log);
        assert!(
            violations.len() == 1
                && violations[0].contains(&command_id(&event))
                && violations[0].ends_with(times),
            "{violations:?}"
        );
    }
}

/// Sequences with gaps or duplicates, and positions that don't increase.
fn order_violations(log: &[RecordedEvent]) -> Vec<String> {
    let mut heads: HashMap<String, i64> = HashMap::new();
    let mut violations = Vec::new();
    let mut last = 0;
    for event in log {
        let head = heads.entry(event.stream.to_string()).or_default();
        if event.sequence != *head + 1 {
            violations.push(format!("{} goes from {head} to {}", event.stream, event.sequence));
        }
        *head = event.sequence;
        if event.position <= last {
            violations.push(format!("position {} follows {last}", event.position));
        }
        last = event.position;
    }
    violations
}

/// If the ledger overlooked one of these, a run without violations would prove nothing.
#[test]
fn control_ledger_reports_lost_duplicated_and_refused_commands_with_events() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::in_folder(folder.path());
    let answer =
        |status| Ok::<_, ()>(Answer { status, body: json!({}), retry_after: status == 503 });
    for (key, status) in [("kept", 201), ("lost", 201), ("refused", 409), ("unknown", 503)] {
        ledger.sent(key, key, key);
        ledger.answered(key, &answer(status));
    }
    let log = |commands: &[&str]| -> Vec<RecordedEvent> {
        let event = |(command, sequence): (&&str, i64)| RecordedEvent {
            position: sequence,
            stream: StreamId::new("item", 1),
            sequence,
            event_type: "ItemChanged".to_owned(),
            event_version: "1".to_owned(),
            payload: "{}".to_owned(),
            metadata: json!({"commandId": command}).to_string(),
            recorded_at: 0,
            damage: None,
        };
        commands.iter().zip(1..).map(event).collect()
    };
    let violations = |commands: &[&str]| ledger.violations(&log(commands)).len();
    assert_eq!(violations(&["kept", "lost"]), 0);
    assert_eq!(violations(&["kept", "lost", "unknown"]), 0);
    assert_eq!(violations(&["kept"]), 1, "lost");
    assert_eq!(violations(&["kept", "lost", "lost"]), 1, "duplicated");
    assert_eq!(violations(&["kept", "lost", "refused"]), 1, "refused, yet executed");
    assert_eq!(
        violations(&["kept", "lost", "unknown", "unknown"]),
        1,
        "unknown, and executed twice"
    );
    let mut gap = log(&["kept", "lost"]);
    gap[1].sequence = 3;
    assert_eq!(ledger.violations(&gap).len(), 1, "a gap in a stream");
    gap.swap(0, 1);
    assert!(ledger.violations(&gap).len() > 1, "out of order");
    ledger.answered("unknown", &answer(500));
    assert_eq!(violations(&["kept", "lost"]), 1, "a bare 500");
    assert_declined_payments_are_checked(folder.path());
}

/// A declined payment has an attempt and its failure in the log; any other refused command has no event.
fn assert_declined_payments_are_checked(folder: &Path) {
    let event = |(command, kind, sequence): (&str, &str, i64)| RecordedEvent {
        position: sequence,
        stream: StreamId::new("reservation", 1),
        sequence,
        event_type: kind.to_owned(),
        event_version: "1".to_owned(),
        payload: "{}".to_owned(),
        metadata: json!({"commandId": command}).to_string(),
        recorded_at: 0,
        damage: None,
    };
    let attempt = event(("pay", "PaymentRequested", 1));
    let failed = event(("settle", "PaymentFailed", 2));
    let paid = event(("settle", "ReservationPaid", 2));
    for (status, log, is_consistent) in [
        (402, vec![attempt.clone(), failed.clone()], true),
        (402, vec![attempt.clone(), paid], false),
        (402, vec![attempt.clone()], false),
        (402, vec![], false),
        (409, vec![], true),
        (409, vec![attempt, failed], false),
    ] {
        let ledger = Ledger::in_folder(folder);
        ledger.sent("pay", "pay", "pay");
        let body = json!({"code": "why"});
        ledger.answered("pay", &Ok::<_, ()>(Answer { status, body, retry_after: false }));
        let violations = ledger.violations(&log);
        assert_eq!(violations.is_empty(), is_consistent, "{status}: {violations:?}");
        let shows_answer =
            |violation: &String| violation.contains(&format!("{status} {{\"code\":\"why\"}}"));
        assert!(violations.iter().all(shows_answer), "the answer is shown: {violations:?}");
    }
}

fn command_id(event: &RecordedEvent) -> String {
    let metadata: serde_json::Value = serde_json::from_str(&event.metadata).unwrap_or_default();
    metadata["commandId"].as_str().unwrap_or_default().to_owned()
}
