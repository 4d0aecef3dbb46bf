//! The report of a check, for people and for programs.

use super::count;
use crate::output::Console;
use crate::output::text::{Text, Tone};
use gdmarket_store::{EventKind, Finding, Identity};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The findings of a check, with what was read.
pub(super) struct Report {
    identity: Identity,
    /// The kinds of stored events.
    pub(super) kinds: Vec<EventKind>,
    /// Whether only samples are read.
    pub(super) is_quick: bool,
    /// How many events were read.
    pub(super) read: usize,
    /// How many streams were folded.
    pub(super) streams: usize,
    pub(super) findings: Vec<Finding>,
    /// The views that aren't compared, since their streams are in the logs of other services.
    pub(super) not_compared: Vec<String>,
    /// The number of findings of each kind, including those that are not listed.
    counts: BTreeMap<&'static str, usize>,
}

/// How many findings of one kind are listed.
const MAX_LISTED: usize = 100;

impl Report {
    pub(super) const fn new(identity: Identity, is_quick: bool) -> Self {
        Self {
            identity,
            kinds: Vec::new(),
            is_quick,
            read: 0,
            streams: 0,
            findings: Vec::new(),
            not_compared: Vec::new(),
            counts: BTreeMap::new(),
        }
    }

    /// Adds findings, only the first ones of each kind: a log that is damaged everywhere has millions.
    pub(super) fn add(&mut self, findings: impl IntoIterator<Item = Finding>) {
        for finding in findings {
            let count = self.counts.entry(finding.code).or_default();
            *count += 1;
            if *count <= MAX_LISTED {
                self.findings.push(finding);
            } else if *count == MAX_LISTED + 1 {
                let detail = format!("there are more than the {MAX_LISTED} that are listed");
                self.findings.push(Finding { detail, ..finding });
            }
        }
    }

    /// How many events are stored.
    pub(super) fn events(&self) -> u64 {
        self.kinds.iter().map(count).sum()
    }

    pub(super) fn faults(&self) -> usize {
        self.findings.iter().filter(|finding| finding.is_fault).count()
    }

    pub(super) fn print(&self, console: Console) {
        if console.is_json() {
            Console::result_json(&self.json());
            return;
        }
        for kind in &self.kinds {
            let EventKind { aggregate, event_type, event_version, count, .. } = kind;
            Console::result(&format!(
                "{aggregate:<12} {event_type:<32} v{event_version:<3} {count:>12}"
            ));
        }
        for finding in &self.findings {
            let (tone, word) =
                if finding.is_fault { (Tone::Bad, "fault") } else { (Tone::Faint, "warning") };
            let about = format!(" {}: {}", finding.code, finding.detail);
            console.print(&Text::default().toned(tone, word).then(about));
        }
        for view in &self.not_compared {
            console.note(&format!(
                "Not compared: the view {view}, whose streams are in the log of another service: type gdmarket \
                 replay {view} --verify while that service runs."
            ));
        }
        console.note(&format!(
            "{} events of {} kinds, {} {} read, {} streams folded: {} faults, {} warnings.",
            self.events(),
            self.kinds.len(),
            self.read,
            if self.is_quick { "samples" } else { "events" },
            self.streams,
            self.faults(),
            self.findings.len() - self.faults()
        ));
    }

    fn json(&self) -> Value {
        let findings = |is_fault: bool| -> Vec<Value> {
            let those = self.findings.iter().filter(|finding| finding.is_fault == is_fault);
            those.map(|f| json!({"code": f.code, "detail": f.detail})).collect()
        };
        let kind = |kind: &EventKind| {
            json!({
                "aggregate": kind.aggregate, "type": kind.event_type,
                "version": kind.event_version, "count": kind.count,
                "first": kind.first, "last": kind.last,
            })
        };
        let mut report = json!({
            "logId": self.identity.log_id, "epoch": self.identity.epoch,
            "events": self.events(), "census": self.kinds.iter().map(kind).collect::<Vec<_>>(),
            "quick": self.is_quick, "read": self.read, "streams": self.streams,
            "faults": findings(true), "warnings": findings(false),
        });
        if let Some(fields) = report.as_object_mut().filter(|_| !self.not_compared.is_empty()) {
            fields.insert("notCompared".to_owned(), json!(self.not_compared));
        }
        report
    }
}
