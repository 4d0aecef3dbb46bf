//! The ledger of a run's requests: a line before each request and one after it, in a file, so that the outcomes are
//! known whichever process dies. It is compared with the event logs afterwards.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::checkers::order_violations;
use crate::log_event::{LogEvent, StreamName};
use crate::market_client::{Answer, is_unknown};

/// The step that reserves an item which others want at the same time, so that a rejection is expected.
pub(crate) const WANTED: &str = "reserve-wanted";

/// The outcome of a request, as its sender knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// 2xx: the command's event is in the log.
    Acknowledged,
    /// 402 to a payment: the attempt is in the log once, followed by its failure. A payment that was interrupted
    /// before it reached the gateway is settled this way.
    Declined,
    /// 409 to the reservation of an item that others want, too: the request isn't in the log, or once and followed by its
    /// rejection.
    Rejected,
    /// Any other 4xx: the command has no event.
    Refused,
    /// 5xx, connection reset, time-out: the command has at most one event.
    Unknown,
}

/// The requests of one run.
#[derive(Debug)]
pub struct RequestLedger {
    file: Mutex<File>,
    /// Server errors that aren't a 503 with `Retry-After`, and reads that contradict earlier answers.
    faults: Mutex<Vec<String>>,
    entries: Mutex<HashMap<String, Entry>>,
    /// The newest version of each stream that a read has shown.
    shown: Mutex<HashMap<StreamName, i64>>,
}

/// One key: the command id of the step whose event counts, and the outcome of the last try.
#[derive(Debug, Clone)]
struct Entry {
    command_id: String,
    outcome: Outcome,
    step: String,
    /// The last answer as it came, for messages.
    answer: String,
}

/// The events of all logs by the command that wrote them.
struct EventsByCommand<'a> {
    log: &'a [LogEvent],
    by_command: HashMap<String, Vec<&'a LogEvent>>,
}

impl<'a> EventsByCommand<'a> {
    fn of(log: &'a [LogEvent]) -> Self {
        let mut by_command: HashMap<String, Vec<&LogEvent>> = HashMap::new();
        for event in log {
            by_command.entry(event.command_id()).or_default().push(event);
        }
        Self { log, by_command }
    }

    fn by(&self, entry: &Entry) -> &[&'a LogEvent] {
        self.by_command.get(&entry.command_id).map_or(&[], Vec::as_slice)
    }

    /// Whether an event of this type follows in the same stream.
    fn is_followed(&self, event: &LogEvent, by: &str) -> bool {
        let is_later =
            |later: &&LogEvent| later.stream == event.stream && later.sequence > event.sequence;
        self.log.iter().filter(is_later).any(|later| later.event_type == by)
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
                attempt.event_type == "PaymentRequested"
                    && self.is_followed(attempt, "PaymentFailed")
            }
            (Outcome::Declined, _) => false,
            (Outcome::Rejected, [request]) => self.is_followed(request, "ReservationRejected"),
            (Outcome::Rejected | Outcome::Refused, events) => events.is_empty(),
            (Outcome::Unknown, events) => events.len() <= 1,
        }
    }
}

impl RequestLedger {
    /// A ledger in this folder.
    pub fn in_folder(folder: &Path) -> Self {
        let file = File::create(folder.join("ledger.ndjson")).expect("the file of the ledger");
        Self {
            file: Mutex::new(file),
            faults: Mutex::default(),
            entries: Mutex::default(),
            shown: Mutex::default(),
        }
    }

    /// Notes a request before it is sent: from now on its command may be executed.
    pub fn sent(&self, key: &str, command_id: &str, step: &str) {
        self.write(&format!("{{\"key\":\"{key}\",\"sent\":\"{step}\"}}"));
        let entry = Entry {
            command_id: command_id.to_owned(),
            outcome: Outcome::Unknown,
            step: step.to_owned(),
            answer: "not at all".to_owned(),
        };
        locked(&self.entries).insert(key.to_owned(), entry);
    }

    /// Notes the answer, or that there was none.
    pub fn answered<E: Debug>(&self, key: &str, answer: &Result<Answer, E>) -> Outcome {
        let mut entries = locked(&self.entries);
        let step = entries.get(key).map(|entry| entry.step.clone()).unwrap_or_default();
        let outcome = outcome_of(&step, answer);
        self.write(&format!("{{\"key\":\"{key}\",\"outcome\":\"{outcome:?}\"}}"));
        if let Ok(Answer { status, body, retry_after, .. }) = answer
            && is_unknown(*status)
            && (*status, *retry_after) != (503, true)
        {
            self.fault(format!("{key} is answered {status}: {body}"));
        }
        if let Some(entry) = entries.get_mut(key) {
            entry.outcome = outcome;
            entry.answer = match answer {
                Ok(Answer { status, body, .. }) => format!("{status} {body}"),
                Err(error) => format!("{error:?}"),
            };
        }
        outcome
    }

    /// Notes a fault that a caller has seen.
    pub(crate) fn fault(&self, fault: String) {
        locked(&self.faults).push(fault);
    }

    /// Notes a version that a read has shown.
    pub(crate) fn shown(&self, stream: &StreamName, version: i64) {
        let mut shown = locked(&self.shown);
        let newest = shown.entry(stream.clone()).or_default();
        *newest = version.max(*newest);
    }

    /// How many requests have this outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        locked(&self.entries).values().filter(|entry| entry.outcome == outcome).count()
    }

    /// The command ids of acknowledged requests.
    fn acknowledged(&self) -> HashSet<String> {
        let entries = locked(&self.entries);
        let acknowledged = entries.values().filter(|of| of.outcome == Outcome::Acknowledged);
        acknowledged.map(|entry| entry.command_id.clone()).collect()
    }

    fn write(&self, line: &str) {
        writeln!(locked(&self.file), "{line}").expect("writing to the ledger");
    }

    /// The differences between one log and what callers know, one sentence each, and faults in its order.
    pub fn violations(&self, log: &[LogEvent]) -> Vec<String> {
        let mut violations = self.command_violations(log);
        violations.extend(order_violations(log));
        violations
    }

    /// The differences between the events of all logs together and what callers know, one sentence each.
    pub fn command_violations(&self, events: &[LogEvent]) -> Vec<String> {
        let by_command = EventsByCommand::of(events);
        let entries = locked(&self.entries);
        let wrong = entries.values().filter(|entry| !by_command.is_consistent(entry));
        let mut violations: Vec<String> = wrong
            .map(|entry| {
                let Entry { command_id, outcome, step, answer } = entry;
                format!(
                    "{step} ({command_id}) is {outcome:?}, answered {answer}, its streams are {:#?}, \
                     and it is in the log {} times",
                    by_command.streams(entry),
                    by_command.by(entry).len(),
                )
            })
            .collect();
        violations.extend(locked(&self.faults).iter().cloned());
        violations.extend(self.invented_versions(events));
        violations
    }

    /// Versions of streams that reads have shown and the logs don't have.
    fn invented_versions(&self, events: &[LogEvent]) -> Vec<String> {
        let mut heads: HashMap<&StreamName, i64> = HashMap::new();
        for event in events {
            heads.insert(&event.stream, event.sequence);
        }
        let shown = locked(&self.shown);
        let invented = shown
            .iter()
            .filter(|(stream, version)| heads.get(stream).is_none_or(|head| *version > head));
        let stored = |stream| heads.get(stream).copied().unwrap_or_default();
        invented
            .map(|(stream, version)| {
                format!("{stream} was shown at {version} and is stored up to {}", stored(stream))
            })
            .collect()
    }
}

fn outcome_of<E>(step: &str, answer: &Result<Answer, E>) -> Outcome {
    match answer {
        Ok(answer) if answer.status < 400 => Outcome::Acknowledged,
        Ok(answer) if answer.status == 402 => Outcome::Declined,
        Ok(answer) if answer.status == 409 && step == WANTED => Outcome::Rejected,
        Ok(answer) if !is_unknown(answer.status) => Outcome::Refused,
        Ok(_) | Err(_) => Outcome::Unknown,
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Control on a run's own ledger and log: a lost and a duplicated command are each reported, and nothing else.
///
/// The event that is removed and written twice is the last of its stream, so that the order stays right.
pub fn assert_detects_lost_and_duplicated_commands(ledger: &RequestLedger, log: &[LogEvent]) {
    let acknowledged = ledger.acknowledged();
    let is_last = |event: &LogEvent| {
        !log.iter().any(|e| e.stream == event.stream && e.sequence > event.sequence)
    };
    let found = log.iter().position(|e| acknowledged.contains(&e.command_id()) && is_last(e));
    let index = found.expect("an acknowledged command whose event is the last of its stream");
    let mut lost = log.to_vec();
    let event = lost.remove(index);
    let mut duplicated = log.to_vec();
    duplicated.push(LogEvent {
        sequence: event.sequence + 1,
        position: log.last().map_or(0, |last| last.position) + 1,
        ..event.clone()
    });
    for (log, times) in [(lost, "0 times"), (duplicated, "2 times")] {
        let mut violations = ledger.violations(&log);
        // A lost event that a read has shown is missed a second time.
        violations.retain(|violation| !violation.contains("was shown at"));
        let is_right =
            |found: &String| found.contains(&event.command_id()) && found.ends_with(times);
        assert!(violations.len() == 1 && violations.iter().all(is_right), "{violations:?}");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ledger() -> (RequestLedger, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (RequestLedger::in_folder(folder.path()), folder)
    }

    fn answered(ledger: &RequestLedger, key: &str, status: u16) {
        let (body, retry_after) = (json!({"code": "why"}), status == 503);
        let answer = Answer { status, body, retry_after, ..Answer::default() };
        ledger.answered(key, &Ok::<_, ()>(answer));
    }

    fn event(command: &str, kind: &str, sequence: i64) -> LogEvent {
        LogEvent {
            position: sequence,
            stream: StreamName::new("reservation", 1),
            sequence,
            event_type: kind.to_owned(),
            event_version: "1".to_owned(),
            payload: "{}".to_owned(),
            metadata: json!({"commandId": command}).to_string(),
            recorded_at: 0,
        }
    }

    /// If the ledger overlooked one of these, a run without violations would prove nothing.
    #[test]
    fn lost_duplicated_and_refused_commands_with_events_are_reported() {
        let (ledger, _folder) = ledger();
        for (key, status) in [("kept", 201), ("lost", 201), ("refused", 409), ("unknown", 503)] {
            ledger.sent(key, key, key);
            answered(&ledger, key, status);
        }
        let log = |commands: &[&str]| -> Vec<LogEvent> {
            commands.iter().zip(1..).map(|(of, number)| event(of, "Changed", number)).collect()
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
        answered(&ledger, "unknown", 500);
        assert_eq!(violations(&["kept", "lost"]), 1, "a bare 500");
    }

    /// A declined payment has an attempt and its failure in the log, a rejected reservation its request and rejection or
    /// nothing; any other refused command has no event.
    #[test]
    fn declined_and_rejected_requests_are_checked() {
        let attempt = event("sent", "PaymentRequested", 1);
        let failed = event("later", "PaymentFailed", 2);
        let paid = event("later", "ReservationPaid", 2);
        let request = event("sent", "ReservationRequested", 1);
        let rejected = event("later", "ReservationRejected", 2);
        let reserved = event("later", "Reserved", 2);
        for (step, status, log, is_consistent) in [
            ("pay", 402, vec![attempt.clone(), failed.clone()], true),
            ("pay", 402, vec![attempt.clone(), paid], false),
            ("pay", 402, vec![attempt.clone()], false),
            ("pay", 402, vec![], false),
            ("pay", 409, vec![], true),
            ("pay", 409, vec![attempt, failed], false),
            (WANTED, 409, vec![], true),
            (WANTED, 409, vec![request.clone(), rejected.clone()], true),
            (WANTED, 409, vec![request.clone(), reserved], false),
            (WANTED, 404, vec![request.clone()], false),
            ("reserve", 409, vec![request, rejected], false),
        ] {
            let (ledger, _folder) = ledger();
            ledger.sent("key", "sent", step);
            answered(&ledger, "key", status);
            let violations = ledger.violations(&log);
            assert_eq!(violations.is_empty(), is_consistent, "{step} {status}: {violations:?}");
            let shows_answer =
                |violation: &String| violation.contains(&format!("{status} {{\"code\":\"why\"}}"));
            assert!(violations.iter().all(shows_answer), "the answer is shown: {violations:?}");
        }
    }

    #[test]
    fn version_that_was_shown_and_is_not_stored_is_reported() {
        let (ledger, _folder) = ledger();
        let log = [event("", "ReservationRequested", 1), event("", "Reserved", 2)];
        ledger.shown(&StreamName::new("reservation", 1), 2);
        assert_eq!(ledger.violations(&log), Vec::<String>::new());
        assert_eq!(ledger.violations(&log[..1]).len(), 1);
        ledger.shown(&StreamName::new("reservation", 2), 1);
        assert_eq!(ledger.violations(&log).len(), 1);
    }
}
