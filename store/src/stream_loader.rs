//! Reading streams for the aggregates that aren't in memory: those who wait at the same time share
//! one query, as appends share a commit. No timer: while one query is on its way, the next
//! collects. Reads only; the aggregate store asks.

use crate::db::Db;
use crate::error::StoreError;
use crate::event::{RecordedEvent, StreamId};
use sqlx::{ColumnIndex, Decode, Row, Type};
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Most streams of one query.
const STREAMS: usize = 256;
/// Queries on their way at once, so that one long stream doesn't hold up all others.
const WORKERS: usize = 2;

/// The columns of [`RecordedEvent::COLUMNS`], and before them whose turn it is.
const COLUMNS: &str = "e.position, e.aggregate_type, e.aggregate_id, e.sequence, e.event_type, \
     e.event_version, CAST(e.payload AS TEXT), CAST(e.metadata AS TEXT), e.recorded_at";

type Answer = Result<Vec<RecordedEvent>, StoreError>;

struct Request {
    stream: StreamId,
    after_sequence: i64,
    answer: oneshot::Sender<Answer>,
}

/// Reads streams.
#[derive(Debug, Clone)]
pub(crate) struct StreamLoader {
    queue: mpsc::Sender<Request>,
}

impl StreamLoader {
    /// Starts the tasks; they end with `stop`.
    pub(crate) fn start(db: &Db, tracker: &TaskTracker, stop: &CancellationToken) -> Self {
        let (queue, waiting) = mpsc::channel(STREAMS);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..WORKERS {
            let (db, waiting, stop) = (db.clone(), Arc::clone(&waiting), stop.clone());
            tracker.spawn(async move { stop.run_until_cancelled(serve(&db, &waiting)).await });
        }
        Self { queue }
    }

    /// The events of a stream after this sequence, in order.
    pub(crate) async fn load(&self, stream: StreamId, after_sequence: i64) -> Answer {
        let (answer, answered) = oneshot::channel();
        let closed = || StoreError::Unavailable("the store is closed".to_owned());
        let request = Request { stream, after_sequence, answer };
        self.queue.send(request).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }
}

async fn serve(db: &Db, waiting: &Mutex<mpsc::Receiver<Request>>) {
    let mut requests = Vec::new();
    while waiting.lock().await.recv_many(&mut requests, STREAMS).await > 0 {
        match read(db, &requests).await {
            Ok(streams) => {
                for (request, events) in requests.drain(..).zip(streams) {
                    drop(request.answer.send(Ok(events)));
                }
            }
            // One broken row is its own stream's trouble: each looks for itself.
            Err(StoreError::Corrupt(_)) if requests.len() > 1 => {
                for request in requests.drain(..) {
                    let alone = read(db, std::slice::from_ref(&request)).await;
                    let alone = alone.map(|streams| streams.into_iter().flatten().collect());
                    drop(request.answer.send(alone));
                }
            }
            Err(error) => {
                let why = error.to_string();
                for request in requests.drain(..) {
                    drop(request.answer.send(Err(StoreError::Unavailable(why.clone()))));
                }
            }
        }
    }
}

/// The events of each, in the order of the requests.
async fn read(db: &Db, requests: &[Request]) -> Result<Vec<Vec<RecordedEvent>>, StoreError> {
    match db {
        Db::Postgres(pool) => {
            // LATERAL with its own ORDER BY: one descent of the primary key per stream, whatever
            // the planner believes about the size of the table.
            let sql = format!(
                "SELECT {COLUMNS}, s.ord - 1 \
                 FROM unnest($1::text[], $2::text[], $3::bigint[]) \
                     WITH ORDINALITY AS s (kind, id, after, ord), \
                 LATERAL (SELECT * FROM events e WHERE e.aggregate_type = s.kind \
                     AND e.aggregate_id = s.id AND e.sequence > s.after ORDER BY e.sequence) AS e \
                 ORDER BY s.ord, e.sequence"
            );
            let kinds = requests.iter().map(|request| request.stream.kind.as_ref());
            let ids = requests.iter().map(|request| request.stream.number.to_string());
            let after = requests.iter().map(|request| request.after_sequence);
            let query = sqlx::query(&sql)
                .bind(kinds.collect::<Vec<&str>>())
                .bind(ids.collect::<Vec<String>>())
                .bind(after.collect::<Vec<i64>>());
            group(requests.len(), &query.fetch_all(pool).await?)
        }
        Db::Sqlite { read, .. } => {
            // CROSS JOIN keeps the order of the loops: the index is asked once per stream.
            let sql = format!(
                "SELECT {COLUMNS}, s.key FROM json_each($1) AS s CROSS JOIN events AS e \
                 ON e.aggregate_type = s.value ->> 0 AND e.aggregate_id = s.value ->> 1 \
                 AND e.sequence > s.value ->> 2 ORDER BY s.key, e.sequence"
            );
            let streams = requests.iter().map(|request| {
                let StreamId { kind, number } = &request.stream;
                (kind.as_ref(), number.to_string(), request.after_sequence)
            });
            let streams = serde_json::to_string(&streams.collect::<Vec<_>>())
                .map_err(|error| StoreError::Rejected(error.to_string()))?;
            let query = sqlx::query(&sql).bind(streams);
            group(requests.len(), &query.fetch_all(read).await?)
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
{
    let mut streams = Vec::with_capacity(count);
    streams.resize_with(count, Vec::new);
    for row in rows {
        let number = usize::try_from(row.try_get::<i64, _>(9)?).ok();
        let Some(stream) = number.and_then(|number| streams.get_mut(number)) else {
            return Err(StoreError::Corrupt("an event of no stream that was asked for".to_owned()));
        };
        stream.push(RecordedEvent::from_row(row)?);
    }
    Ok(streams)
}
