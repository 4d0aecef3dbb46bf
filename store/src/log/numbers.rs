//! Numbers that the database allocates: 1, 2, 3 … per kind. Callers that wait at the same time share one update. A
//! number whose caller went away is lost; none is ever given twice.
//!
//! An update waits for the disk, as an append does, and appends wait behind it. So where several callers wait at the
//! same time, one update allocates for the next callers too, which then wait for nothing; numbers that no caller takes
//! within a moment are returned. For a caller that waits alone one number is allocated.

mod number_kind;
mod prefetched_numbers;
mod sequence;

use crate::db::recv_batch::recv_batch;
use crate::db::sticky_connection::next_or_release;
use crate::db::tasks::Tasks;
use crate::db::{Db, LogConnection, on_writer};
use crate::error::StoreError;
use crate::log::identity_guard::LogIdentityGuard;
use crate::on_db;
pub(crate) use number_kind::NumberUser;
pub use number_kind::{NamingEvent, NumberKind};
use prefetched_numbers::{MAX_AGE, PrefetchedNumbers};
use sequence::Sequence;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Requests that wait before `allocate` itself waits; and the most that share an update.
const QUEUE: usize = 1024;
/// Numbers prefetched for each that is missing, where several are: a sixteenth of the updates is enough.
const PREFETCHED_PER_MISSING: i64 = 15;
/// How long returning numbers may take when the store is closed.
const RETURN_TIMEOUT: Duration = Duration::from_secs(1);

type Answer = oneshot::Sender<Result<i64, StoreError>>;

struct NumberRequest {
    kind: String,
    answer: Answer,
}

/// Allocates numbers.
#[derive(Debug, Clone)]
pub struct Numbers {
    queue: mpsc::Sender<NumberRequest>,
    prefetched: PrefetchedNumbers,
    log: Db,
    connection: LogConnection,
    guard: LogIdentityGuard,
}

/// Numbers that were behind the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raised {
    /// The last number that counted as allocated.
    pub from: i64,
    /// The highest number that is in use, which is the last one allocated from now on.
    pub to: i64,
}

/// Numbers only ever rise.
const RAISE: &str = "INSERT INTO numbers (kind, last) VALUES ($1, $2) ON CONFLICT (kind) DO UPDATE \
    SET last = CASE WHEN excluded.last > numbers.last THEN excluded.last ELSE numbers.last END";

impl Numbers {
    /// The task that allocates ends with the store; callers that wait then get [`StoreError::Closed`].
    pub(crate) fn start(
        log: &Db,
        connection: &LogConnection,
        guard: &LogIdentityGuard,
        tasks: &Tasks,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let prefetched = PrefetchedNumbers::default();
        let sequence = Sequence::of(connection, guard);
        let allocator = Allocator { sequence, prefetched: prefetched.clone() };
        tasks.tracker.spawn(allocator.serve(waiting, tasks.stop.clone()));
        let (log, connection, guard) = (log.clone(), connection.clone(), guard.clone());
        Self { queue, prefetched, log, connection, guard }
    }

    /// Makes sure that numbers of this kind continue after the highest one that the log uses: the table of
    /// numbers may be older than the log, after a restore by hand for example. One pass over the index of
    /// streams.
    pub async fn raise(&self, of: NumberKind<'_>) -> Result<Option<Raised>, StoreError> {
        let to = self.highest_in_use(of).await?;
        self.raise_to(of.kind, to).await
    }

    /// The highest number of this kind that the log uses; 0 if it uses none.
    pub async fn highest_in_use(&self, of: NumberKind<'_>) -> Result<i64, StoreError> {
        let mut highest = 0;
        for user in of.users(self.log.is_postgres()) {
            let found: Option<i64> = on_db!(&self.log, pool => {
                sqlx::query_scalar(&user.highest).fetch_one(pool).await?
            });
            highest = highest.max(found.unwrap_or(0));
        }
        Ok(highest)
    }

    /// Makes sure that the next number of this kind is above `to`.
    pub async fn raise_to(&self, kind: &str, to: i64) -> Result<Option<Raised>, StoreError> {
        self.prefetched.forget(kind);
        let last: Option<i64> = on_db!(&self.log, pool => {
            let query = sqlx::query_scalar("SELECT last FROM numbers WHERE kind = $1").bind(kind);
            query.fetch_optional(pool).await?
        });
        let from = last.unwrap_or(0);
        if to <= from {
            return Ok(None);
        }
        on_writer!(&self.connection, connection => {
            let query = sqlx::query(RAISE).bind(kind).bind(to);
            // As for numbers that are allocated: a log that failed to sync ends.
            let written = query.execute(connection).await.map_err(StoreError::from);
            written.inspect_err(|error| self.guard.notice(error))?;
        });
        Ok(Some(Raised { from, to }))
    }

    /// Whether the log uses this number already. Two look-ups in an index.
    pub async fn is_in_use(&self, of: NumberKind<'_>, number: i64) -> Result<bool, StoreError> {
        let sql = of.uses(self.log.is_postgres());
        let uses: i64 = on_db!(&self.log, pool => {
            let query = sqlx::query_scalar(&sql).bind(number).bind(number.to_string());
            query.fetch_one(pool).await?
        });
        Ok(uses > 0)
    }

    /// The next number of this kind.
    pub async fn allocate(&self, kind: &str) -> Result<i64, StoreError> {
        if let Some(number) = self.prefetched.take(kind) {
            return Ok(number);
        }
        let (answer, answered) = oneshot::channel();
        let request = NumberRequest { kind: kind.to_owned(), answer };
        self.queue.send(request).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }
}

/// Allocates for all callers of this process.
struct Allocator {
    sequence: Sequence,
    prefetched: PrefetchedNumbers,
}

impl Allocator {
    async fn serve(mut self, mut waiting: mpsc::Receiver<NumberRequest>, stop: CancellationToken) {
        stop.run_until_cancelled(self.answer_requests(&mut waiting)).await;
        drop(waiting);
        if timeout(RETURN_TIMEOUT, self.return_older(Duration::ZERO)).await.is_err() {
            tracing::debug!("prefetched numbers are lost");
        }
    }

    async fn answer_requests(&mut self, waiting: &mut mpsc::Receiver<NumberRequest>) {
        let mut requests = Vec::new();
        loop {
            let received = recv_batch(waiting, &mut requests, QUEUE);
            if next_or_release(received, self.release()).await == 0 {
                return;
            }
            let mut kinds: BTreeMap<String, VecDeque<Answer>> = BTreeMap::new();
            for NumberRequest { kind, answer } in requests.drain(..) {
                kinds.entry(kind).or_default().push_back(answer);
            }
            for (kind, answers) in kinds {
                // Before each kind: the kind before may have waited for the database.
                self.return_older(MAX_AGE).await;
                self.answer(kind, answers).await;
            }
        }
    }

    /// Answers with prefetched numbers first, then with newly allocated ones.
    async fn answer(&mut self, kind: String, mut answers: VecDeque<Answer>) {
        hand_out(|| self.prefetched.take(&kind), &mut answers);
        let missing = i64::try_from(answers.len()).unwrap_or(i64::MAX);
        if missing == 0 {
            return;
        }
        let prefetched =
            if missing > 1 { missing.saturating_mul(PREFETCHED_PER_MISSING) } else { 0 };
        match self.sequence.allocate(&kind, missing.saturating_add(prefetched)).await {
            Ok(mut numbers) => {
                hand_out(|| numbers.next(), &mut answers);
                self.prefetched.keep(kind, numbers);
            }
            Err(error) => {
                self.forget_prefetched(&error);
                for answer in answers {
                    drop(answer.send(Err(error.for_another())));
                }
            }
        }
    }

    /// Returns all prefetched numbers and the connection, while there are no requests.
    async fn release(&mut self) {
        self.return_older(Duration::ZERO).await;
        self.sequence.release();
    }

    /// Returns numbers that were prefetched at least this long ago, where no other process allocated any since.
    async fn return_older(&mut self, age: Duration) {
        while let Some((kind, numbers)) = self.prefetched.remove_older(age) {
            if !numbers.is_empty()
                && let Err(error) = self.sequence.return_numbers(&kind, numbers).await
            {
                self.forget_prefetched(&error);
            }
        }
    }

    /// After an error the next connection may lead to another database, so that no prefetched number may be given out.
    fn forget_prefetched(&mut self, error: &StoreError) {
        let kinds = self.prefetched.forget_all();
        tracing::debug!(%error, kinds, "prefetched numbers are lost");
        self.sequence.release();
    }
}

/// Answers callers that still wait, while there are numbers.
fn hand_out(mut next: impl FnMut() -> Option<i64>, answers: &mut VecDeque<Answer>) {
    while let Some(answer) = answers.pop_front() {
        if answer.is_closed() {
            continue;
        }
        let Some(number) = next() else {
            answers.push_front(answer);
            return;
        };
        // The number of a caller that goes away just now is lost.
        drop(answer.send(Ok(number)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Databases, sqlite};
    use gdmarket_testkit::TestDb;

    async fn allocate(allocator: &mut Allocator, count: usize) -> Vec<i64> {
        let (answers, numbers): (Vec<_>, Vec<_>) = (0..count).map(|_| oneshot::channel()).unzip();
        allocator.answer("kind".to_owned(), answers.into()).await;
        let numbers = futures::future::join_all(numbers).await;
        numbers.into_iter().map(|number| number.unwrap().unwrap()).collect()
    }

    #[tokio::test]
    async fn several_callers_prefetch_numbers_and_the_rest_is_returned() {
        let db = TestDb::sqlite();
        Databases::of_test(db.url()).await.close().await;
        let writer = sqlite::writer(db.folder().unwrap()).await.unwrap();
        let sequence = Sequence::of(&LogConnection::Sqlite(writer), &LogIdentityGuard::default());
        let prefetched = PrefetchedNumbers::default();
        let mut allocator = Allocator { sequence, prefetched };
        assert_eq!(allocate(&mut allocator, 1).await, [1]);
        assert_eq!(allocator.prefetched.take("kind"), None, "one caller gets one number");
        assert_eq!(allocate(&mut allocator, 4).await, [2, 3, 4, 5]);
        assert_eq!(allocator.prefetched.take("kind"), Some(6), "without a round trip");
        assert_eq!(allocator.prefetched.take("other"), None, "of another kind");
        assert_eq!(allocate(&mut allocator, 2).await, [7, 8]);
        allocator.return_older(Duration::from_hours(1)).await;
        assert_eq!(allocator.prefetched.take("kind"), Some(9), "they are less than an hour old");
        allocator.return_older(Duration::ZERO).await;
        assert_eq!(allocator.prefetched.take("kind"), None);
        assert_eq!(allocate(&mut allocator, 1).await, [10]);
    }
}
