//! What a check found, for people and for programs.

use super::count;
use crate::output::Console;
use crate::output::text::{Text, Tone};
use gdmarket_store::{EventKind, Finding, Identity};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Everything that is to be reported.
pub(super) struct Report {
    identity: Identity,
    pub(super) census: Vec<EventKind>,
    /// Whether only samples are read.
    is_quick: bool,
    /// How many events were read.
    pub(super) read: usize,
    pub(super) streams: usize,
    pub(super) findings: Vec<Finding>,
    /// How many findings of each kind there were, those that aren't listed included.
    counts: BTreeMap<&'static str, usize>,
}

/// Findings of one kind that are listed.
const LISTED: usize = 100;

impl Report {
    pub(super) const fn new(identity: Identity, is_quick: bool) -> Self {
        Self {
            identity,
            census: Vec::new(),
            is_quick,
            read: 0,
            streams: 0,
            findings: Vec::new(),
            counts: BTreeMap::new(),
        }
    }

    /// Adds findings, the first of each kind only: a log that is damaged everywhere has millions.
    pub(super) fn add(&mut self, findings: impl IntoIterator<Item = Finding>) {
        for finding in findings {
            let count = self.counts.entry(finding.code).or_default();
            *count += 1;
            if *count <= LISTED {
                self.findings.push(finding);
            } else if *count == LISTED + 1 {
                let detail = format!("there are more than the {LISTED} that are listed");
                self.findings.push(Finding { detail, ..finding });
            }
        }
    }

    /// How many events are stored.
    pub(super) fn events(&self) -> u64 {
        self.census.iter().map(count).sum()
    }

    pub(super) fn faults(&self) -> usize {
        self.findings.iter().filter(|finding| finding.is_fault).count()
    }

    pub(super) fn print(&self, console: Console) {
        if console.is_json() {
            Console::result_json(&self.json());
            return;
        }
        for kind in &self.census {
            let EventKind { aggregate, event_type, event_version, count, .. } = kind;
            Console::result(&format!(
                "{aggregate:<12} {event_type:<32} v{event_version:<3} {count:>12}"
            ));
        }
        for finding in &self.findings {
            let (tone, word) =
                if finding.is_fault { (Tone::Bad, "fault") } else { (Tone::Faint, "look at") };
            let about = format!(" {}: {}", finding.code, finding.detail);
            console.print(&Text::default().toned(tone, word).then(about));
        }
        console.note(&format!(
            "{} events of {} kinds, {} {} read, {} streams folded: {} faults, {} to look at.",
            self.events(),
            self.census.len(),
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
        json!({
            "logId": self.identity.log_id, "epoch": self.identity.epoch,
            "events": self.events(), "census": self.census.iter().map(kind).collect::<Vec<_>>(),
            "quick": self.is_quick, "read": self.read, "streams": self.streams,
            "faults": findings(true), "warnings": findings(false),
        })
    }
}
