//! What a check found, for people and for programs.

use super::super::Console;
use super::super::text::{Text, Tone};
use super::count;
use gdmarket_store::{EventKind, Finding, Identity};
use serde_json::{Value, json};

/// Everything that is to be told.
pub(super) struct Report {
    identity: Identity,
    pub(super) census: Vec<EventKind>,
    pub(super) samples: usize,
    pub(super) streams: usize,
    pub(super) findings: Vec<Finding>,
}

impl Report {
    pub(super) const fn new(identity: Identity) -> Self {
        Self { identity, census: Vec::new(), samples: 0, streams: 0, findings: Vec::new() }
    }

    /// How many events are stored.
    pub(super) fn events(&self) -> u64 {
        self.census.iter().map(count).sum()
    }

    pub(super) fn faults(&self) -> usize {
        self.findings.iter().filter(|finding| finding.is_fault).count()
    }

    pub(super) fn tell(&self, console: Console) {
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
            "{} events of {} kinds, {} samples read, {} streams folded: {} faults, {} to look at.",
            self.events(),
            self.census.len(),
            self.samples,
            self.streams,
            self.faults(),
            self.findings.len() - self.faults()
        ));
    }

    fn json(&self) -> Value {
        let told = |is_fault: bool| -> Vec<Value> {
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
            "samples": self.samples, "streams": self.streams,
            "faults": told(true), "warnings": told(false),
        })
    }
}
