//! Reads streams, for aggregates that aren't in memory and for queries. Reads that wait at the same time share one
//! statement.

use crate::db::shared_reads::{ReadMany, SharedReads};
use crate::db::sticky_connection::StickyReader;
use crate::error::StoreError;
use crate::log::event::{RecordedEvent, StreamId};
use sqlx::{ColumnIndex, Decode, Row, Type};

/// Reads streams after a sequence.
pub(crate) type StreamLoader = SharedReads<Streams>;

/// The columns of [`RecordedEvent::COLUMNS`]; the statements add the index of the key that the row is for.
const COLUMNS: &str = "e.position, e.aggregate_type, e.aggregate_id, e.sequence, e.event_type, \
     e.event_version, CAST(e.payload AS TEXT), CAST(e.metadata AS TEXT), e.recorded_at";

/// A stream, and the sequence after which its events are read.
pub(crate) type After = (StreamId, i64);

/// The streams of a log.
#[derive(Debug)]
pub(crate) struct Streams;

impl ReadMany for Streams {
    type Key = After;
    type Answer = Vec<RecordedEvent>;
    const CONCURRENCY: usize = 2;

    async fn read(
        &self,
        reader: &mut StickyReader,
        keys: &[After],
    ) -> Result<Vec<Vec<RecordedEvent>>, StoreError> {
        match reader {
            StickyReader::Postgres(connection) => {
                // LATERAL with its own ORDER BY descends the primary key once per stream, whatever the planner
                // estimates about the size of the table.
                let sql = format!(
                    "SELECT {COLUMNS}, s.ord - 1 \
                     FROM unnest($1::text[], $2::text[], $3::bigint[]) \
                         WITH ORDINALITY AS s (kind, id, after, ord), \
                     LATERAL (SELECT * FROM events e WHERE e.aggregate_type = s.kind \
                         AND e.aggregate_id = s.id AND e.sequence > s.after ORDER BY e.sequence) AS e \
                     ORDER BY s.ord, e.sequence"
                );
                let kinds = keys.iter().map(|(stream, _)| stream.kind.as_ref());
                let ids = keys.iter().map(|(stream, _)| stream.number.to_string());
                let after = keys.iter().map(|(_, after)| *after);
                let query = sqlx::query(&sql)
                    .bind(kinds.collect::<Vec<&str>>())
                    .bind(ids.collect::<Vec<String>>())
                    .bind(after.collect::<Vec<i64>>());
                group(keys.len(), &query.fetch_all(connection.get().await?).await?)
            }
            StickyReader::Sqlite(connection) => {
                // CROSS JOIN keeps the order of the loops: the index is searched once per stream.
                let sql = format!(
                    "SELECT {COLUMNS}, s.key FROM json_each($1) AS s CROSS JOIN events AS e \
                     ON e.aggregate_type = s.value ->> 0 AND e.aggregate_id = s.value ->> 1 \
                     AND e.sequence > s.value ->> 2 ORDER BY s.key, e.sequence"
                );
                let streams = keys.iter().map(|(StreamId { kind, number }, after)| {
                    (kind.as_ref(), number.to_string(), *after)
                });
                let streams = serde_json::to_string(&streams.collect::<Vec<_>>())
                    .map_err(|error| StoreError::Rejected(error.to_string()))?;
                let query = sqlx::query(&sql).bind(streams);
                group(keys.len(), &query.fetch_all(connection.get().await?).await?)
            }
        }
    }
}

fn group<'r, R>(count: usize, rows: &'r [R]) -> Result<Vec<Vec<RecordedEvent>>, StoreError>
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    &'r str: Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database>,
{
    let mut streams = Vec::with_capacity(count);
    streams.resize_with(count, Vec::new);
    for row in rows {
        let number = usize::try_from(row.try_get::<i64, _>(9)?).ok();
        let Some(stream) = number.and_then(|number| streams.get_mut(number)) else {
            return Err(StoreError::Corrupt(
                "an event of a stream that was not requested".to_owned(),
            ));
        };
        stream.push(RecordedEvent::from_row(row)?);
    }
    Ok(streams)
}
