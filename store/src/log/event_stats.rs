//! Counts the content of the log: events by type and version, streams by aggregate, and the first and last of them. It
//! reads the whole log, a range of positions at a time, and keeps only the sums.

use crate::error::StoreError;
use crate::log::event::lossy;
use crate::log::event_log::EventLog;
use crate::on_db;
use std::collections::BTreeMap;

/// Positions counted by one statement.
const COUNTED_RANGE: i64 = 100_000;

/// The counts of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogStats {
    /// How many events.
    pub events: u64,
    /// The first one's position and time (microseconds since 1970).
    pub first: Option<(i64, i64)>,
    /// The last one's.
    pub last: Option<(i64, i64)>,
    /// How many events of each aggregate type, wire name and version.
    pub types: BTreeMap<(String, String, String), u64>,
    /// The streams of each aggregate type.
    pub aggregates: BTreeMap<String, AggregateStats>,
}

/// The counts of one aggregate type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AggregateStats {
    /// How many streams.
    pub streams: u64,
    /// How many events.
    pub events: u64,
    /// How long the longest stream is.
    pub longest: i64,
}

impl LogStats {
    /// Positions up to the last event that no event has: of rolled back appends. They are normal.
    pub fn holes(&self) -> u64 {
        let head = self.last.map_or(0, |(position, _)| u64::try_from(position).unwrap_or(0));
        head.saturating_sub(self.events)
    }

    fn add(&mut self, row: Row) {
        let (aggregate, event_type, version, count, streams, longest) = row;
        let count = u64::try_from(count).unwrap_or(0);
        self.events += count;
        let of_aggregate = self.aggregates.entry(aggregate.clone()).or_default();
        of_aggregate.streams += u64::try_from(streams).unwrap_or(0);
        of_aggregate.events += count;
        of_aggregate.longest = of_aggregate.longest.max(longest);
        *self.types.entry((aggregate, event_type, version)).or_default() += count;
    }
}

/// Aggregate type, event type, version, events, first events of a stream, highest sequence.
type Row = (String, String, String, i64, i64, i64);

const COUNT: &str = "SELECT aggregate_type, event_type, event_version, count(*), \
     count(CASE WHEN sequence = 1 THEN 1 END), max(sequence) \
     FROM events WHERE position > $1 AND position <= $2 \
     GROUP BY aggregate_type, event_type, event_version";

impl EventLog {
    /// Counts everything up to the head as it is now; `reached` is called with the position that it has reached.
    pub async fn stats(
        &self,
        reached: &mut (dyn FnMut(i64) + Send),
    ) -> Result<LogStats, StoreError> {
        let mut stats = LogStats::default();
        let head = self.head().await?;
        stats.last = self.mark(head).await?;
        let first: Option<i64> = on_db!(self.db(), pool => {
            sqlx::query_scalar("SELECT min(position) FROM events").fetch_one(pool).await?
        });
        let Some(first) = first else { return Ok(stats) };
        stats.first = self.mark(first).await?;
        let mut after = first - 1;
        while after < head {
            let end = head.min(after.saturating_add(COUNTED_RANGE));
            let rows: Result<Vec<Row>, StoreError> = on_db!(self.db(), pool => {
                let rows = sqlx::query(COUNT).bind(after).bind(end).fetch_all(pool).await?;
                let counted = |row| {
                    let number = |column: usize| sqlx::Row::try_get::<i64, _>(row, column);
                    let kind = (lossy(row, 0), lossy(row, 1), lossy(row, 2));
                    Ok((kind.0, kind.1, kind.2, number(3)?, number(4)?, number(5)?))
                };
                rows.iter().map(counted).collect()
            });
            let rows = rows?;
            after = if rows.is_empty() { self.before_next(end).await?.min(head) } else { end };
            for row in rows {
                stats.add(row);
            }
            reached(after);
        }
        Ok(stats)
    }

    /// The position and time of an event.
    async fn mark(&self, position: i64) -> Result<Option<(i64, i64)>, StoreError> {
        on_db!(self.db(), pool => {
            let sql = "SELECT position, recorded_at FROM events WHERE position = $1";
            Ok(sqlx::query_as(sql).bind(position).fetch_optional(pool).await?)
        })
    }
}
