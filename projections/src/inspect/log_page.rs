//! Pages of the log as one service hands them to another: `GET /internal/log`. The same file of text lines is written
//! by the owner of the log and read by its consumers. An answer to `GET /internal/trace` has the same form.
//!
//! The first line describes the log, each further one an event with all that a consumer needs to read it as the owner
//! does. Names of people are no part of events, so they are never inside.

mod log_page_line;

use crate::engine::feed::Delivery;
use crate::queries::{Queries, QueryError};
use gdmarket_domain::Services;
use gdmarket_store::{Identity, RecordedEvent};
use log_page_line::LogPageLine;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::time::Instant;
use uuid::Uuid;

/// The version of the format. A reader refuses every other one.
const FORMAT: u32 = 1;
/// The bytes of events that end a page, whatever its limit; the last event may exceed them.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Events per read of the log: events may be large, and more than a page needs are thrown away.
const READ: u32 = 64;
/// The most events of a page.
pub const MAX_LOG_PAGE: u32 = 1_000;

/// A page of a log.
#[derive(Debug, Clone)]
pub struct LogPage {
    /// The log.
    pub source: Identity,
    /// The services whose aggregates the log holds.
    pub services: Services,
    /// The position of the log's newest event.
    pub head: i64,
    /// The events, in the order of the log.
    pub deliveries: Vec<Delivery>,
    /// Whether events are left out at its end that a trace should have; a page of the log is never cut.
    pub is_cut: bool,
}

/// Why a text is no page of a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LogPageFault(String);

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeaderLine {
    format: u32,
    services: String,
    log_id: Uuid,
    epoch: i64,
    head: i64,
    /// The number of lines that follow, so that a page that was cut is noticed.
    events: usize,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
}

impl LogPage {
    /// The text of the page.
    pub fn to_ndjson(&self) -> String {
        let header = HeaderLine {
            format: FORMAT,
            services: self.services.to_string(),
            log_id: self.source.log_id,
            epoch: self.source.epoch,
            head: self.head,
            events: self.deliveries.len(),
            cut: self.is_cut,
        };
        let events = self.deliveries.iter().map(|delivery| json(&LogPageLine::of(delivery)));
        let mut text = String::new();
        for line in std::iter::once(json(&header)).chain(events) {
            text.push_str(&line);
            text.push('\n');
        }
        text
    }

    /// One event as a line of a page, without the line's end.
    pub fn event_line(delivery: &Delivery) -> String {
        json(&LogPageLine::of(delivery))
    }

    /// Reads a line that [`LogPage::event_line`] wrote.
    pub fn parse_event_line(line: &[u8]) -> Result<Delivery, LogPageFault> {
        let read: Result<LogPageLine<'_>, _> = serde_json::from_slice(line);
        let read = read.map_err(|error| LogPageFault(error.to_string()))?;
        Ok(read.into_delivery())
    }

    /// Reads a page. It doesn't look at what the events say, nor at the order of their positions.
    pub fn parse(text: &[u8]) -> Result<Self, LogPageFault> {
        let mut lines = text.split(|byte| *byte == b'\n');
        let header = lines.next().unwrap_or_default();
        let header: HeaderLine = serde_json::from_slice(header)
            .map_err(|error| LogPageFault(format!("its first line can't be read: {error}")))?;
        if header.format != FORMAT {
            let given = header.format;
            return Err(LogPageFault(format!(
                "its format is {given}; this program reads {FORMAT}"
            )));
        }
        let services = header.services.parse();
        let services = services.map_err(|error| LogPageFault(format!("its services: {error}")))?;
        let mut deliveries = Vec::with_capacity(header.events.min(1_000));
        for (number, line) in (2..).zip(lines.filter(|line| !line.is_empty())) {
            let line: LogPageLine<'_> = serde_json::from_slice(line).map_err(|error| {
                LogPageFault(format!("its line {number} can't be read: {error}"))
            })?;
            deliveries.push(line.into_delivery());
        }
        if deliveries.len() != header.events {
            let (given, declared) = (deliveries.len(), header.events);
            return Err(LogPageFault(format!("it has {given} events of the declared {declared}")));
        }
        let source = Identity { log_id: header.log_id, epoch: header.epoch };
        let HeaderLine { head, cut: is_cut, .. } = header;
        Ok(Self { source, services, head, deliveries, is_cut })
    }
}

/// Texts and numbers: always JSON.
fn json(line: &impl Serialize) -> String {
    serde_json::to_string(line).unwrap_or_default()
}

impl Queries {
    /// The events after a position, at most `limit`. The first event names the event before it, which isn't the
    /// position that was asked for if the log has no event there.
    pub async fn log_page(
        &self,
        services: Services,
        after: i64,
        limit: u32,
    ) -> Result<LogPage, QueryError> {
        let store = self.store();
        // The newest event is read first: no event of the page may be past it.
        let head = store.tail().sure_head().await?;
        let mut previous = match after {
            0 => 0,
            _ if store.tail().at(after).await?.is_some() => after,
            _ => store.log().last_up_to(after).await?,
        };
        let (mut deliveries, mut bytes) = (vec![], 0);
        let limit = usize::try_from(limit.clamp(1, MAX_LOG_PAGE)).unwrap_or(1);
        let mut reached = after;
        while deliveries.len() < limit && bytes < PAGE_BYTES {
            let events = store.tail().read_after(reached, READ).await?;
            let Some(last) = events.last() else { break };
            reached = last.position;
            for event in events {
                if deliveries.len() == limit || bytes >= PAGE_BYTES || event.position > head {
                    return Ok(self.page(services, head, deliveries));
                }
                bytes += size(&event);
                let before = std::mem::replace(&mut previous, event.position);
                deliveries.push(Delivery { previous: before, event });
            }
        }
        Ok(self.page(services, head, deliveries))
    }

    fn page(&self, services: Services, head: i64, deliveries: Vec<Delivery>) -> LogPage {
        let source = *self.store().identity();
        LogPage { source, services, head, deliveries, is_cut: false }
    }

    /// Waits until the log has an event after a position, or until the deadline.
    pub async fn wait_for_event_after(&self, position: i64, until: Instant) {
        self.store().tail().wait_past(position, until).await;
    }
}

fn size(event: &Arc<RecordedEvent>) -> usize {
    event.payload.len() + event.metadata.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gdmarket_domain::Service;
    use gdmarket_store::{Damage, MAX_PAYLOAD, StreamId};

    fn event(position: i64) -> RecordedEvent {
        RecordedEvent {
            position,
            stream: StreamId::new("item", 7),
            sequence: 3,
            event_type: "ItemHeld".to_owned(),
            event_version: "1".to_owned(),
            payload: "{\"ItemHeld\": {\"text\": \"줄\\n\"}}".to_owned(),
            metadata: "{\"correlationId\":\"x\"}".to_owned(),
            recorded_at: 1_796_000_000_000_001,
            damage: None,
        }
    }

    fn page(events: Vec<RecordedEvent>) -> LogPage {
        let delivery = |event: RecordedEvent| Delivery {
            previous: event.position - 2,
            event: Arc::new(event),
        };
        LogPage {
            source: Identity { log_id: Uuid::from_u128(5), epoch: 2 },
            services: Services::of(&[Service::Item]),
            head: 99,
            deliveries: events.into_iter().map(delivery).collect(),
            is_cut: false,
        }
    }

    #[test]
    fn page_is_read_as_it_was_written() {
        let damage = Damage { reason: "its payload".to_owned(), foreign: Some("x/y".to_owned()) };
        let damaged = RecordedEvent { damage: Some(Box::new(damage)), ..event(4) };
        for events in [vec![], vec![event(3)], vec![event(3), damaged]] {
            let written = page(events);
            let read = LogPage::parse(written.to_ndjson().as_bytes()).unwrap();
            assert_eq!((read.source, read.services), (written.source, written.services));
            assert_eq!((read.head, read.is_cut), (99, false));
            let cut = LogPage { is_cut: true, ..written.clone() };
            assert!(LogPage::parse(cut.to_ndjson().as_bytes()).unwrap().is_cut);
            let of = |page: &LogPage| -> Vec<(i64, RecordedEvent)> {
                let all = page.deliveries.iter();
                all.map(|delivery| (delivery.previous, (*delivery.event).clone())).collect()
            };
            assert_eq!(of(&read), of(&written));
        }
    }

    #[test]
    fn event_that_no_program_appends_is_sent_as_damaged_and_without_its_bytes() {
        let long = RecordedEvent { payload: "x".repeat(MAX_PAYLOAD + 1), ..event(3) };
        let text = page(vec![long]).to_ndjson();
        assert!(text.len() < 1_000, "{}", text.len());
        let read = LogPage::parse(text.as_bytes()).unwrap();
        let event = &read.deliveries[0].event;
        assert!(event.damage_reason().unwrap().contains("1048577 bytes"), "{event:?}");
        assert_eq!((event.payload.as_str(), event.key().as_str()), ("", "item/7"));
    }

    #[test]
    fn text_that_is_no_page_is_refused() {
        let whole = page(vec![event(3), event(5)]).to_ndjson();
        let cut = whole.rfind("\n{").unwrap();
        for (text, why) in [
            (String::new(), "first line"),
            ("<html>".to_owned(), "first line"),
            (whole.replace("\"format\":1", "\"format\":2"), "format is 2"),
            (whole.replace("\"item\"", "\"bakery\""), "its services"),
            (whole[..=cut].to_owned(), "1 events of the declared 2"),
            (whole[..whole.len() - 9].to_owned(), "line 3"),
            (format!("{whole}{{}}\n"), "line 4"),
        ] {
            let fault = LogPage::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(fault.contains(why), "{fault} ≠ {why}");
        }
    }
}
