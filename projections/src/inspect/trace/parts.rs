//! The parts of a trace that came from several logs, and the tree that they give.

use super::trace_part::{MAX_EVENTS, TracePart};
use super::tree::{LogEvents, Logs, tree};
use super::{MissingPart, Trace};
use crate::engine::feed::FeedError;
use crate::inspect::log_page::LogPage;
use gdmarket_domain::Services;
use gdmarket_store::RecordedEvent;
use uuid::Uuid;

/// The own log.
pub(super) struct OwnLog {
    pub(super) log_id: Uuid,
    /// The services whose log it is.
    pub(super) services: Services,
}

/// The parts of a trace, while they are put together.
#[derive(Debug, Default)]
pub(super) struct Parts {
    logs: Vec<LogEvents>,
    is_cut: bool,
    pub(super) missing: Vec<MissingPart>,
}

impl Parts {
    pub(super) fn has_events(&self) -> bool {
        self.logs.iter().any(|log| !log.events.is_empty())
    }

    /// Adds the part of the own log.
    pub(super) fn own(&mut self, log: OwnLog, part: TracePart) {
        let (OwnLog { log_id, services }, TracePart { events, is_cut }) = (log, part);
        self.is_cut |= is_cut;
        self.logs.push(LogEvents { log_id, services, events });
    }

    /// Adds an answer of another process, or names the services that it was asked for.
    pub(super) fn answered(
        &mut self,
        asked: Services,
        answer: Result<LogPage, FeedError>,
        mut learn: impl FnMut(&RecordedEvent) -> bool,
    ) {
        match answer {
            Ok(page) => {
                let LogPage { source, services, deliveries, is_cut, .. } = page;
                self.is_cut |= is_cut;
                let events = deliveries.into_iter().map(|delivery| delivery.event);
                let events = events.filter(|event| learn(event)).collect();
                self.logs.push(LogEvents { log_id: source.log_id, services, events });
            }
            Err(problem) => self.missing.extend(asked.iter().map(|service| {
                let problem = problem.to_string();
                MissingPart { service, problem }
            })),
        }
    }

    /// The tree of all parts, for a process of these services.
    pub(super) fn into_trace(mut self, own: Services) -> Trace {
        let mut room = MAX_EVENTS;
        for log in &mut self.logs {
            self.is_cut |= log.events.len() > room;
            log.events.truncate(room);
            room = room.saturating_sub(log.events.len());
        }
        let known = match (own.is_all(), self.missing.is_empty()) {
            (true, _) => Logs::One,
            (false, true) => Logs::All,
            (false, false) => Logs::Some,
        };
        self.missing.sort_by_key(|part| part.service);
        let Self { logs, is_cut, missing } = self;
        Trace { events: tree(&logs, known), is_cut, missing }
    }
}
