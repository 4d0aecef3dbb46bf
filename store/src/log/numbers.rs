//! Numbers drawn from the database: 1, 2, 3 … per kind. Draws that wait at the same time share one
//! update; a number whose drawer went away is lost, none is ever given twice.
//!
//! An update waits for the disk, as an append does, and appends wait behind it. So where several draw at
//! the same time, one draws for those too who are about to come, and they wait for nobody; what nobody
//! comes for within a moment goes back. Who draws alone draws one.

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
use prefetched_numbers::{FRESH, PrefetchedNumbers};
use sequence::Sequence;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Draws waiting before `draw` itself waits; and the most that share an update.
const QUEUE: usize = 1024;
/// Numbers drawn ahead for each that is missing, where several are: a sixteenth of the updates is enough.
const PER_MISSING: i64 = 15;
/// How long numbers may take to go back when the store is closed.
const AT_THE_END: Duration = Duration::from_secs(1);

type Answer = oneshot::Sender<Result<i64, StoreError>>;

struct Draw {
    kind: String,
    answer: Answer,
}

/// Draws numbers.
#[derive(Debug, Clone)]
pub struct Numbers {
    queue: mpsc::Sender<Draw>,
    ahead: PrefetchedNumbers,
    log: Db,
    writer: LogConnection,
    continuity: LogIdentityGuard,
}

/// Numbers that were behind the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raised {
    /// The last number that counted as drawn.
    pub from: i64,
    /// The highest number that is in use, which is the last one drawn from now on.
    pub to: i64,
}

/// Numbers only ever rise.
const RAISE: &str = "INSERT INTO numbers (kind, last) VALUES ($1, $2) ON CONFLICT (kind) DO UPDATE \
    SET last = CASE WHEN excluded.last > numbers.last THEN excluded.last ELSE numbers.last END";

impl Numbers {
    /// The task ends when `stop` is cancelled; whoever waits then is told that the store is closed.
    pub(crate) fn start(
        log: &Db,
        writer: &LogConnection,
        continuity: &LogIdentityGuard,
        tasks: &Tasks,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let ahead = PrefetchedNumbers::default();
        let drawer = Drawer { urn: Sequence::of(writer, continuity), ahead: ahead.clone() };
        tasks.tracker.spawn(drawer.serve(waiting, tasks.stop.clone()));
        let continuity = continuity.clone();
        Self { queue, ahead, log: log.clone(), writer: writer.clone(), continuity }
    }

    /// Makes sure that numbers of this kind continue after the highest one that the log uses: the table of
    /// numbers may be older than the log, after a restore by hand for example. One pass over the index of
    /// streams.
    pub async fn raise(&self, of: NumberKind<'_>) -> Result<Option<Raised>, StoreError> {
        let kind = of.kind;
        self.ahead.forget(kind);
        let last: Option<i64> = on_db!(&self.log, pool => {
            let query = sqlx::query_scalar("SELECT last FROM numbers WHERE kind = $1").bind(kind);
            query.fetch_optional(pool).await?
        });
        let from = last.unwrap_or(0);
        let mut to = from;
        for user in of.users(self.log.is_postgres()) {
            let highest: Option<i64> = on_db!(&self.log, pool => {
                sqlx::query_scalar(&user.highest).fetch_one(pool).await?
            });
            to = to.max(highest.unwrap_or(0));
        }
        if to <= from {
            return Ok(None);
        }
        on_writer!(&self.writer, connection => {
            let query = sqlx::query(RAISE).bind(kind).bind(to);
            // As for numbers that are drawn: a log that failed to sync ends.
            let written = query.execute(connection).await.map_err(StoreError::from);
            written.inspect_err(|error| self.continuity.notice(error))?;
        });
        Ok(Some(Raised { from, to }))
    }

    /// Whether the log uses this number already. Two looks at an index.
    pub async fn is_in_use(&self, of: NumberKind<'_>, number: i64) -> Result<bool, StoreError> {
        let sql = of.uses(self.log.is_postgres());
        let uses: i64 = on_db!(&self.log, pool => {
            let query = sqlx::query_scalar(&sql).bind(number).bind(number.to_string());
            query.fetch_one(pool).await?
        });
        Ok(uses > 0)
    }

    /// The next number of this kind.
    pub async fn draw(&self, kind: &str) -> Result<i64, StoreError> {
        if let Some(number) = self.ahead.take(kind) {
            return Ok(number);
        }
        let (answer, answered) = oneshot::channel();
        let draw = Draw { kind: kind.to_owned(), answer };
        self.queue.send(draw).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }
}

/// Who draws for all of this process.
struct Drawer {
    urn: Sequence,
    ahead: PrefetchedNumbers,
}

impl Drawer {
    async fn serve(mut self, mut waiting: mpsc::Receiver<Draw>, stop: CancellationToken) {
        stop.run_until_cancelled(self.answer_each(&mut waiting)).await;
        drop(waiting);
        if timeout(AT_THE_END, self.put_back(Duration::ZERO)).await.is_err() {
            tracing::debug!("numbers that were drawn ahead are lost");
        }
    }

    async fn answer_each(&mut self, waiting: &mut mpsc::Receiver<Draw>) {
        let mut draws = Vec::new();
        while next_or_release(recv_batch(waiting, &mut draws, QUEUE), self.rest()).await > 0 {
            let mut kinds: BTreeMap<String, VecDeque<Answer>> = BTreeMap::new();
            for Draw { kind, answer } in draws.drain(..) {
                kinds.entry(kind).or_default().push_back(answer);
            }
            for (kind, answers) in kinds {
                // Before each: the one before may have waited for the database.
                self.put_back(FRESH).await;
                self.answer(kind, answers).await;
            }
        }
    }

    /// Answers with what was drawn ahead, then with what is drawn now.
    async fn answer(&mut self, kind: String, mut answers: VecDeque<Answer>) {
        give(|| self.ahead.take(&kind), &mut answers);
        let missing = i64::try_from(answers.len()).unwrap_or(i64::MAX);
        if missing == 0 {
            return;
        }
        let more = if missing > 1 { missing.saturating_mul(PER_MISSING) } else { 0 };
        match self.urn.take(&kind, missing.saturating_add(more)).await {
            Ok(mut numbers) => {
                give(|| numbers.next(), &mut answers);
                self.ahead.keep(kind, numbers);
            }
            Err(error) => {
                self.lose(&error);
                for answer in answers {
                    drop(answer.send(Err(error.for_another())));
                }
            }
        }
    }

    /// Nobody draws.
    async fn rest(&mut self) {
        self.put_back(Duration::ZERO).await;
        self.urn.let_go();
    }

    /// What was drawn so long ago goes back, where no other process drew since.
    async fn put_back(&mut self, age: Duration) {
        while let Some((kind, numbers)) = self.ahead.remove_older(age) {
            if !numbers.is_empty()
                && let Err(error) = self.urn.put_back(&kind, numbers).await
            {
                self.lose(&error);
            }
        }
    }

    /// Who knows what the database will be that comes after this one.
    fn lose(&mut self, error: &StoreError) {
        let kinds = self.ahead.lose();
        tracing::debug!(%error, kinds, "numbers that were drawn ahead are lost");
        self.urn.let_go();
    }
}

/// Gives each who still waits a number, while there are any.
fn give(mut next: impl FnMut() -> Option<i64>, answers: &mut VecDeque<Answer>) {
    while let Some(answer) = answers.pop_front() {
        if answer.is_closed() {
            continue;
        }
        let Some(number) = next() else {
            answers.push_front(answer);
            return;
        };
        // Who goes away just now takes it along.
        drop(answer.send(Ok(number)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Databases, sqlite};
    use gdmarket_testkit::TestDb;

    async fn draw(drawer: &mut Drawer, count: usize) -> Vec<i64> {
        let (answers, numbers): (Vec<_>, Vec<_>) = (0..count).map(|_| oneshot::channel()).unzip();
        drawer.answer("kind".to_owned(), answers.into()).await;
        let numbers = futures::future::join_all(numbers).await;
        numbers.into_iter().map(|number| number.unwrap().unwrap()).collect()
    }

    #[tokio::test]
    async fn several_draw_for_the_next_ones_and_what_is_left_goes_back() {
        let db = TestDb::sqlite();
        Databases::of_test(db.url()).await.close().await;
        let writer = sqlite::writer(db.folder().unwrap()).await.unwrap();
        let urn = Sequence::of(&LogConnection::Sqlite(writer), &LogIdentityGuard::default());
        let mut drawer = Drawer { urn, ahead: PrefetchedNumbers::default() };
        assert_eq!(draw(&mut drawer, 1).await, [1]);
        assert_eq!(drawer.ahead.take("kind"), None, "who draws alone draws one");
        assert_eq!(draw(&mut drawer, 4).await, [2, 3, 4, 5]);
        assert_eq!(drawer.ahead.take("kind"), Some(6), "without a trip");
        assert_eq!(drawer.ahead.take("other"), None, "of another kind");
        assert_eq!(draw(&mut drawer, 2).await, [7, 8]);
        drawer.put_back(Duration::from_hours(1)).await;
        assert_eq!(drawer.ahead.take("kind"), Some(9), "they are no hour old");
        drawer.put_back(Duration::ZERO).await;
        assert_eq!(drawer.ahead.take("kind"), None);
        assert_eq!(draw(&mut drawer, 1).await, [10]);
    }
}
