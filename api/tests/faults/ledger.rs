//! The driver's own book: a line before each request and one after, in a file, so that what was
//! promised is known whatever dies. Compared with the event log afterwards.

use crate::market::{Answer, is_unknown};
use gdmarket_store::RecordedEvent;
use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

/// How a request ended, as its sender saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// 2xx: promised.
    Acknowledged,
    /// 4xx: nothing may have happened.
    Refused,
    /// 5xx, reset, timed out: at most once.
    Unknown,
}

/// The book of one run.
pub(crate) struct Ledger {
    file: Mutex<File>,
    entries: Mutex<HashMap<String, Entry>>,
}

/// One key: the command id of the step whose event counts, and how the last try ended.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) command_id: String,
    pub(crate) seen: Seen,
    pub(crate) what: String,
}

impl Ledger {
    pub(crate) fn in_folder(folder: &Path) -> Self {
        let file = File::create(folder.join("ledger.ndjson")).unwrap();
        Self { file: Mutex::new(file), entries: Mutex::default() }
    }

    /// Before sending: from now on the command may have happened.
    pub(crate) fn sent(&self, key: &str, command_id: &str, what: &str) {
        self.write(&format!("{{\"key\":\"{key}\",\"sent\":\"{what}\"}}"));
        let entry =
            Entry { command_id: command_id.to_owned(), seen: Seen::Unknown, what: what.to_owned() };
        self.entries.lock().unwrap().insert(key.to_owned(), entry);
    }

    /// After the answer, or the lack of one.
    pub(crate) fn answered<E>(&self, key: &str, answer: &Result<Answer, E>) -> Seen {
        let seen = match answer {
            Ok(answer) if answer.status < 400 => Seen::Acknowledged,
            Ok(answer) if !is_unknown(answer.status) => Seen::Refused,
            Ok(_) | Err(_) => Seen::Unknown,
        };
        self.write(&format!("{{\"key\":\"{key}\",\"seen\":\"{seen:?}\"}}"));
        if let Some(entry) = self.entries.lock().unwrap().get_mut(key) {
            entry.seen = seen;
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
        let mut written: HashMap<String, usize> = HashMap::new();
        for event in log {
            *written.entry(command_id(event)).or_default() += 1;
        }
        let entries = self.entries.lock().unwrap();
        let mut broken: Vec<String> = entries
            .values()
            .filter_map(|entry| {
                let times = written.get(&entry.command_id).copied().unwrap_or_default();
                let kept = match entry.seen {
                    Seen::Acknowledged => times == 1,
                    Seen::Refused => times == 0,
                    Seen::Unknown => times <= 1,
                };
                (!kept).then(|| format!("{} {:?} is in the log {times} times", entry.what, entry))
            })
            .collect();
        broken.extend(disorder(log));
        broken
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

fn command_id(event: &RecordedEvent) -> String {
    let metadata: serde_json::Value = serde_json::from_str(&event.metadata).unwrap_or_default();
    metadata["commandId"].as_str().unwrap_or_default().to_owned()
}
