//! The driver's own book: a line before each request and one after, in a file, so that what was
//! promised is known whatever dies. Compared with the event log afterwards.

use crate::market::{Answer, is_unknown};
use gdmarket_store::{RecordedEvent, StreamId};
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

/// How a request ended, as its sender saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// 2xx: promised.
    Acknowledged,
    /// 402 to a payment: the attempt is in the log once, and after it that it failed. A payment that was cut off
    /// before the card company heard of it ends so, once it is settled.
    Declined,
    /// Any other 4xx: nothing may have happened.
    Refused,
    /// 5xx, reset, timed out: at most once.
    Unknown,
}

/// The book of one run.
pub(crate) struct Ledger {
    file: Mutex<File>,
    /// Answers that say neither what is wrong nor when to come again.
    rude: Mutex<Vec<String>>,
    entries: Mutex<HashMap<String, Entry>>,
}

/// One key: the command id of the step whose event counts, and how the last try ended.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) command_id: String,
    pub(crate) seen: Seen,
    pub(crate) what: String,
    /// The last answer as it came, for people.
    answer: String,
}

/// The events of a log by the command that wrote them.
struct Written<'a> {
    log: &'a [RecordedEvent],
    by_command: HashMap<String, Vec<&'a RecordedEvent>>,
}

impl<'a> Written<'a> {
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

    /// Whether the payment attempt that a command began came to nothing.
    fn has_failed(&self, attempt: &RecordedEvent) -> bool {
        let of_it = |event: &&RecordedEvent| {
            event.stream == attempt.stream && event.sequence > attempt.sequence
        };
        self.log.iter().filter(of_it).any(|event| event.event_type == "PaymentFailed")
    }

    /// All events of the streams that a command wrote to.
    fn streams(&self, entry: &Entry) -> Vec<String> {
        let streams: HashSet<_> = self.by(entry).iter().map(|event| &event.stream).collect();
        let events = self.log.iter().filter(|event| streams.contains(&event.stream));
        events.map(|event| format!("{event}: {} {}", event.payload, event.metadata)).collect()
    }

    fn is_kept(&self, entry: &Entry) -> bool {
        match (entry.seen, self.by(entry)) {
            (Seen::Acknowledged, events) => events.len() == 1,
            (Seen::Declined, [attempt]) => {
                attempt.event_type == "PaymentRequested" && self.has_failed(attempt)
            }
            (Seen::Declined, _) => false,
            (Seen::Refused, events) => events.is_empty(),
            (Seen::Unknown, events) => events.len() <= 1,
        }
    }
}

impl Ledger {
    pub(crate) fn in_folder(folder: &Path) -> Self {
        let file = File::create(folder.join("ledger.ndjson")).unwrap();
        Self { file: Mutex::new(file), rude: Mutex::default(), entries: Mutex::default() }
    }

    /// Before sending: from now on the command may have happened.
    pub(crate) fn sent(&self, key: &str, command_id: &str, what: &str) {
        self.write(&format!("{{\"key\":\"{key}\",\"sent\":\"{what}\"}}"));
        let entry = Entry {
            command_id: command_id.to_owned(),
            seen: Seen::Unknown,
            what: what.to_owned(),
            answer: "not at all".to_owned(),
        };
        self.entries.lock().unwrap().insert(key.to_owned(), entry);
    }

    /// After the answer, or the lack of one.
    pub(crate) fn answered<E: Debug>(&self, key: &str, answer: &Result<Answer, E>) -> Seen {
        let seen = match answer {
            Ok(answer) if answer.status < 400 => Seen::Acknowledged,
            Ok(answer) if answer.status == 402 => Seen::Declined,
            Ok(answer) if !is_unknown(answer.status) => Seen::Refused,
            Ok(_) | Err(_) => Seen::Unknown,
        };
        self.write(&format!("{{\"key\":\"{key}\",\"seen\":\"{seen:?}\"}}"));
        if let Ok(Answer { status, body, retry_after }) = answer
            && *status >= 500
            && (*status, *retry_after) != (503, true)
        {
            self.rude.lock().unwrap().push(format!("{key} is answered {status}: {body}"));
        }
        if let Some(entry) = self.entries.lock().unwrap().get_mut(key) {
            entry.seen = seen;
            entry.answer = match answer {
                Ok(Answer { status, body, .. }) => format!("{status} {body}"),
                Err(error) => format!("{error:?}"),
            };
        }
        seen
    }

    pub(crate) fn count(&self, seen: Seen) -> usize {
        self.entries.lock().unwrap().values().filter(|entry| entry.seen == seen).count()
    }

    fn write(&self, line: &str) {
        writeln!(self.file.lock().unwrap(), "{line}").unwrap();
    }

    /// What the log holds against what was promised; every sentence is one broken promise.
    pub(crate) fn broken_promises(&self, log: &[RecordedEvent]) -> Vec<String> {
        let written = Written::of(log);
        let entries = self.entries.lock().unwrap();
        let broken = entries.values().filter(|entry| !written.is_kept(entry)).map(|entry| {
            let Entry { command_id, seen, what, answer } = entry;
            format!(
                "{what} ({command_id}) is {seen:?}, answered {answer}, its streams are {:#?}, \
                 and it is in the log {} times",
                written.streams(entry),
                written.by(entry).len(),
            )
        });
        let mut broken: Vec<String> = broken.collect();
        broken.extend(self.rude.lock().unwrap().iter().cloned());
        broken.extend(disorder(log));
        broken
    }
}

/// Control on a run's own book and log: with one promised command taken out, and with one written
/// twice, exactly that is told. Streams' last events, so that no order is broken by it.
pub(crate) fn assert_notices_what_is_lost_or_doubled(book: &Ledger, log: &[RecordedEvent]) {
    let promised: HashSet<String> = {
        let entries = book.entries.lock().unwrap();
        let kept = entries.values().filter(|entry| entry.seen == Seen::Acknowledged);
        kept.map(|entry| entry.command_id.clone()).collect()
    };
    let is_last = |event: &RecordedEvent| {
        !log.iter().any(|e| e.stream == event.stream && e.sequence > event.sequence)
    };
    let index = log.iter().position(|e| promised.contains(&command_id(e)) && is_last(e)).unwrap();
    let mut lost = log.to_vec();
    let event = lost.remove(index);
    let mut doubled = log.to_vec();
    doubled.push(RecordedEvent {
        sequence: event.sequence + 1,
        position: log[log.len() - 1].position + 1,
        ..event.clone()
    });
    for (log, times) in [(lost, "0 times"), (doubled, "2 times")] {
        let told = book.broken_promises(&log);
        assert!(
            told.len() == 1 && told[0].contains(&command_id(&event)) && told[0].ends_with(times),
            "{told:?}"
        );
    }
}

/// Sequences with gaps or doubles, positions out of order.
fn disorder(log: &[RecordedEvent]) -> Vec<String> {
    let mut heads: HashMap<String, i64> = HashMap::new();
    let mut broken = Vec::new();
    let mut last = 0;
    for event in log {
        let head = heads.entry(event.stream.to_string()).or_default();
        if event.sequence != *head + 1 {
            broken.push(format!("{} goes from {head} to {}", event.stream, event.sequence));
        }
        *head = event.sequence;
        if event.position <= last {
            broken.push(format!("position {} after {last}", event.position));
        }
        last = event.position;
    }
    broken
}

/// The book notices what it is for: or the tests that find nothing in it prove nothing.
#[test]
fn control_what_is_missing_doubled_or_refused_and_done_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let book = Ledger::in_folder(folder.path());
    let answer =
        |status| Ok::<_, ()>(Answer { status, body: json!({}), retry_after: status == 503 });
    for (key, status) in [("kept", 201), ("lost", 201), ("refused", 409), ("unknown", 503)] {
        book.sent(key, key, key);
        book.answered(key, &answer(status));
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
    let broken = |commands: &[&str]| book.broken_promises(&log(commands)).len();
    assert_eq!(broken(&["kept", "lost"]), 0);
    assert_eq!(broken(&["kept", "lost", "unknown"]), 0);
    assert_eq!(broken(&["kept"]), 1, "lost");
    assert_eq!(broken(&["kept", "lost", "lost"]), 1, "doubled");
    assert_eq!(broken(&["kept", "lost", "refused"]), 1, "refused, yet done");
    assert_eq!(broken(&["kept", "lost", "unknown", "unknown"]), 1, "not known, yet done twice");
    let mut gap = log(&["kept", "lost"]);
    gap[1].sequence = 3;
    assert_eq!(book.broken_promises(&gap).len(), 1, "a gap in a stream");
    gap.swap(0, 1);
    assert!(book.broken_promises(&gap).len() > 1, "out of order");
    book.answered("unknown", &answer(500));
    assert_eq!(broken(&["kept", "lost"]), 1, "a bare 500");
    declined_payments_are_judged(folder.path());
}

/// A declined payment has an attempt and its failure in the log; any other refusal has nothing there.
fn declined_payments_are_judged(folder: &Path) {
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
    for (status, log, is_kept) in [
        (402, vec![attempt.clone(), failed.clone()], true),
        (402, vec![attempt.clone(), paid], false),
        (402, vec![attempt.clone()], false),
        (402, vec![], false),
        (409, vec![], true),
        (409, vec![attempt, failed], false),
    ] {
        let book = Ledger::in_folder(folder);
        book.sent("pay", "pay", "pay");
        let body = json!({"code": "why"});
        book.answered("pay", &Ok::<_, ()>(Answer { status, body, retry_after: false }));
        let broken = book.broken_promises(&log);
        assert_eq!(broken.is_empty(), is_kept, "{status}: {broken:?}");
        let shows = |broken: &String| broken.contains(&format!("{status} {{\"code\":\"why\"}}"));
        assert!(broken.iter().all(shows), "the answer is shown: {broken:?}");
    }
}

fn command_id(event: &RecordedEvent) -> String {
    let metadata: serde_json::Value = serde_json::from_str(&event.metadata).unwrap_or_default();
    metadata["commandId"].as_str().unwrap_or_default().to_owned()
}
