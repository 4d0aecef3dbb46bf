//! Queries for some of the log's events: of a stream, a type, an actor, a correlation, between two positions. They
//! read in pages, so that neither memory nor a statement grows with the log.
//!
//! Only streams and positions are indexed: every append would pay for a further index. Other filters scan the log, a
//! range of positions at a time.

use crate::error::StoreError;
use crate::log::event::{RecordedEvent, StreamId};
use crate::log::event_log::EventLog;
use crate::on_db;
use serde::Deserialize;
use std::borrow::Cow;

/// How many positions one statement scans at most when no index leads to the next event.
const SCANNED_RANGE: i64 = 50_000;

/// Which events a query returns. A field that is absent filters nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Those of this stream.
    pub stream: Option<StreamId>,
    /// Those of this wire name.
    pub event_type: Option<String>,
    /// Those on behalf of this actor: `actor` in the metadata.
    pub actor: Option<String>,
    /// Those of this correlation: `correlationId` in the metadata.
    pub correlation_id: Option<String>,
    /// Those after this position.
    pub after: i64,
    /// Those up to this position; without it, up to the head when the query begins.
    pub until: Option<i64>,
}

/// The fields of the metadata that a query can filter by.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct FilterFields<'a> {
    #[serde(borrow)]
    actor: Option<Cow<'a, str>>,
    #[serde(borrow)]
    correlation_id: Option<Cow<'a, str>>,
}

impl EventFilter {
    /// Whether this event is one of the filter's.
    pub fn matches(&self, event: &RecordedEvent) -> bool {
        let differs = |filter: &Option<String>, value: Option<&str>| {
            filter.as_deref().is_some_and(|filter| Some(filter) != value)
        };
        if event.position <= self.after
            || self.until.is_some_and(|until| event.position > until)
            || self.stream.as_ref().is_some_and(|stream| *stream != event.stream)
            || differs(&self.event_type, Some(&event.event_type))
        {
            return false;
        }
        if self.actor.is_none() && self.correlation_id.is_none() {
            return true;
        }
        let fields: FilterFields<'_> = serde_json::from_str(&event.metadata).unwrap_or_default();
        !differs(&self.actor, fields.actor.as_deref())
            && !differs(&self.correlation_id, fields.correlation_id.as_deref())
    }

    /// Whether an index leads directly to the next event of the filter.
    const fn is_indexed(&self) -> bool {
        let by_position =
            self.event_type.is_none() && self.actor.is_none() && self.correlation_id.is_none();
        by_position || self.stream.is_some()
    }

    /// The statement. Only fixed text is put together here; values are bound.
    fn sql(&self, descending: bool, is_postgres: bool) -> String {
        let columns = RecordedEvent::COLUMNS;
        // Events of a stream are in the order of their sequences, so that its key is scanned and nothing is sorted.
        let (of_stream, key) = match self.stream {
            Some(_) => ("AND aggregate_type = $8 AND aggregate_id = $9", "sequence"),
            None => ("", "position"),
        };
        // SQLite stores any text: one that is no JSON must not end the query.
        let json = if is_postgres {
            "metadata"
        } else {
            "(CASE WHEN json_valid(metadata) THEN metadata ELSE '{}' END)"
        };
        let order = if descending { "DESC" } else { "ASC" };
        format!(
            "SELECT {columns} FROM events WHERE position > $1 AND position <= $2 \
             AND ($3 IS NULL OR event_type = $3) \
             AND ($4 IS NULL OR {json} ->> 'actor' = $4) \
             AND ($5 IS NULL OR (CAST(metadata AS TEXT) LIKE $6 \
                 AND {json} ->> 'correlationId' = $5)) {of_stream} \
             ORDER BY {key} {order} LIMIT $7"
        )
    }

    /// A pattern that the metadata's text must match: matching text costs less than half of parsing JSON, and nearly
    /// all events fail it. Only an id of plain characters is certain to be stored unescaped.
    fn correlation_pattern(&self) -> String {
        let is_plain = |id: &&String| id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let id = self.correlation_id.as_ref().filter(is_plain);
        id.map_or_else(|| "%".to_owned(), |id| format!("%{id}%"))
    }
}

/// The events that match a filter, page after page.
#[derive(Debug, Clone)]
pub struct EventQuery {
    log: EventLog,
    filter: EventFilter,
    reached: i64,
    until: i64,
}

impl EventLog {
    /// Begins a query. Events that are appended from now on aren't among its results.
    pub async fn query(&self, filter: EventFilter) -> Result<EventQuery, StoreError> {
        let head = self.head().await?;
        let until = filter.until.map_or(head, |until| until.min(head));
        Ok(EventQuery { log: self.clone(), reached: filter.after, until, filter })
    }
}

impl EventQuery {
    /// The next events, oldest first, at most `limit`; an empty page isn't the end, `None` is.
    pub async fn next(&mut self, limit: u32) -> Result<Option<Vec<RecordedEvent>>, StoreError> {
        if self.reached >= self.until {
            return Ok(None);
        }
        let range = if self.filter.is_indexed() { i64::MAX } else { SCANNED_RANGE };
        let end = self.until.min(self.reached.saturating_add(range));
        let events = self.read(self.reached, end, limit, false).await?;
        let is_full = events.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        self.reached = match events.last() {
            Some(last) if is_full => last.position,
            Some(_) => end,
            None => self.log.before_next(end).await?.min(self.until),
        };
        Ok(Some(events))
    }

    /// The newest events, oldest first, at most `limit`, independent of [`EventQuery::next`].
    pub async fn newest(&self, limit: u32) -> Result<Vec<RecordedEvent>, StoreError> {
        let range = if self.filter.is_indexed() { i64::MAX } else { SCANNED_RANGE };
        let limit_count = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut found = Vec::new();
        let mut end = self.until;
        while end > self.filter.after && found.len() < limit_count {
            let start = end.saturating_sub(range).max(self.filter.after);
            let missing = u32::try_from(limit_count - found.len()).unwrap_or(u32::MAX);
            let events = self.read(start, end, missing, true).await?;
            let is_hole = events.is_empty();
            found.extend(events);
            end = if is_hole { self.log.last_up_to(start).await? } else { start };
        }
        found.reverse();
        Ok(found)
    }

    /// The position up to which all events of the filter were returned.
    pub const fn reached(&self) -> i64 {
        self.reached
    }

    /// Whether it scans the log for want of an index, which may take long.
    pub const fn scans_log(&self) -> bool {
        !self.filter.is_indexed()
    }

    /// Where it ends.
    pub const fn until(&self) -> i64 {
        self.until
    }

    async fn read(
        &self,
        after: i64,
        until: i64,
        limit: u32,
        descending: bool,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let EventFilter { stream, event_type, actor, correlation_id, .. } = &self.filter;
        let sql = self.filter.sql(descending, self.log.db().is_postgres());
        on_db!(self.log.db(), pool => {
            let mut query = sqlx::query(&sql).bind(after).bind(until);
            query = query.bind(event_type).bind(actor).bind(correlation_id);
            query = query.bind(self.filter.correlation_pattern()).bind(i64::from(limit));
            if let Some(stream) = stream {
                query = query.bind(stream.kind.as_ref()).bind(stream.number.to_string());
            }
            query.fetch_all(pool).await?.iter().map(RecordedEvent::from_row).collect()
        })
    }
}
