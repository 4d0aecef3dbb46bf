//! Whether the log under this process is still the one it opened, with all that it had.
//!
//! A database restored from an older copy, or replaced, under a running process lacks events that
//! were told already and may get others at their positions. Every new PostgreSQL connection and the
//! tail ask here. On SQLite the files themselves are compared too, before any append is acknowledged and
//! once a second. Once it is noticed it stays so: this store neither appends nor reads any more, and
//! its process should end, so that it starts afresh. A log that turns out to be damaged ends it likewise.

mod open_files;

pub(crate) use open_files::OpenFiles;

use crate::db::Db;
use crate::db::connection_guard::ConnectionGuard;
use crate::error::{StorageFault, StoreError};
use crate::log::event::{RecordedEvent, StreamId};
use crate::log::identity::Identity;
use crate::on_db;
use futures::future::BoxFuture;
use sqlx::PgConnection;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::watch;

/// What is known of one log; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogIdentityGuard(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    opened: OnceLock<Identity>,
    /// The newest event that is known to be in the log.
    last: Mutex<Option<Mark>>,
    /// SQLite's files.
    files: OnceLock<Arc<OpenFiles>>,
    /// Why it can't be used any more.
    ended: watch::Sender<Option<Ended>>,
}

/// Why a log can't be used any more.
#[derive(Debug, Clone)]
enum Ended {
    Other(String),
    Damaged(String),
    Unsynced(String),
}

impl From<Ended> for StoreError {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Other(why) => Self::OtherLog(why),
            Ended::Damaged(why) => Self::Damaged(why),
            Ended::Unsynced(why) => Self::Storage { fault: StorageFault::Unsynced, why },
        }
    }
}

/// What an event is known again by: its place, and the metadata with its command's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) position: i64,
    pub(crate) stream: StreamId,
    pub(crate) sequence: i64,
    pub(crate) metadata: String,
}

/// The log's identity, its head, and what stands at the position that was asked for.
const LOOK: &str = "SELECT i.log_id, i.epoch, (SELECT coalesce(max(position), 0) FROM events), \
     e.aggregate_type, e.aggregate_id, e.sequence, CAST(e.metadata AS TEXT) \
     FROM identity i LEFT JOIN events e ON e.position = $1 WHERE i.id = 1";

type Found = (Vec<u8>, i64, i64, Option<String>, Option<String>, Option<i64>, Option<String>);

impl Mark {
    pub(crate) fn of(event: &RecordedEvent) -> Self {
        Self {
            position: event.position,
            stream: event.stream.clone(),
            sequence: event.sequence,
            metadata: event.metadata.clone(),
        }
    }

    pub(crate) fn is(&self, event: &RecordedEvent) -> bool {
        self.position == event.position
            && self.sequence == event.sequence
            && self.stream == event.stream
            && self.metadata == event.metadata
    }
}

impl LogIdentityGuard {
    /// From now on the log must be this one.
    pub(crate) fn begin(&self, identity: Identity) {
        // The first one stands; a store is opened once.
        let _ = self.0.opened.set(identity);
    }

    /// From now on the files must be these.
    pub(crate) fn begin_files(&self, files: OpenFiles) {
        drop(self.0.files.set(Arc::new(files)));
    }

    /// Refuses where SQLite's files aren't those that were opened any more, or the log's file doesn't
    /// hold what it held. What was written just now must not be acknowledged then.
    pub(crate) async fn check_files(&self) -> Result<(), StoreError> {
        self.check()?;
        let Some(files) = self.0.files.get() else { return Ok(()) };
        if let Some(why) = files.moved() {
            return Err(self.end(why));
        }
        if !files.is_written() {
            return Ok(());
        }
        let files = Arc::clone(files);
        match tokio::task::spawn_blocking(move || files.overwritten()).await {
            Ok(Ok(None)) => Ok(()),
            Ok(Ok(Some(why))) => Err(self.end(why)),
            Ok(Err(StoreError::Damaged(why))) => Err(self.finish(Ended::Damaged(why))),
            // It couldn't be read just now, which says nothing about it.
            Ok(Err(error)) => {
                tracing::debug!(%error, "the log's file is read again later");
                Ok(())
            }
            Err(error) => Err(StoreError::Unavailable(error.to_string())),
        }
    }

    /// Ends it where an error of the log says that its file is damaged, or that the disk failed to take
    /// what was written: nothing may be acknowledged into such a file.
    pub(crate) fn notice(&self, error: &StoreError) {
        let Some(files) = self.0.files.get() else { return };
        let log = files.log().display().to_string();
        let of_the_log = |why: &String| {
            if why.contains(&log) { why.clone() } else { format!("{log}: {why}") }
        };
        match error {
            StoreError::Damaged(why) => {
                self.finish(Ended::Damaged(of_the_log(why)));
            }
            StoreError::Storage { fault: StorageFault::Unsynced, why } => {
                self.finish(Ended::Unsynced(of_the_log(why)));
            }
            _ => {}
        }
    }

    /// Remembers an event that is in the log.
    pub(crate) fn remember(&self, mark: Mark) {
        let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_none_or(|last| last.position < mark.position) {
            *last = Some(mark);
        }
    }

    /// Refuses once the log is known to be another one.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        self.0.ended.borrow().clone().map_or(Ok(()), |ended| Err(ended.into()))
    }

    /// Waits until that is noticed; says why.
    pub(crate) async fn ended(&self) -> StoreError {
        let mut ended = self.0.ended.subscribe();
        // Its sender is held by this very value: it never closes.
        let why = ended.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        why.map_or_else(|| StoreError::OtherLog(String::new()), StoreError::from)
    }

    /// Looks through the pool; says where the log's head is.
    pub(crate) async fn look(&self, db: &Db) -> Result<i64, StoreError> {
        self.check()?;
        let Some((identity, mark)) = self.known() else { return Ok(0) };
        let position = mark.as_ref().map(|mark| mark.position);
        let found = on_db!(db, pool => {
            sqlx::query_as::<_, Found>(LOOK).bind(position).fetch_optional(pool).await
        });
        self.judge(identity, mark.as_ref(), found)
    }

    /// Looks through a connection that was just made, before anybody uses it.
    pub(crate) async fn greet(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        self.check()?;
        let Some((identity, mark)) = self.known() else { return Ok(()) };
        let position = mark.as_ref().map(|mark| mark.position);
        let found = sqlx::query_as::<_, Found>(LOOK).bind(position).fetch_optional(connection);
        self.judge(identity, mark.as_ref(), found.await).map(|_| ())
    }

    /// An event that was read before must be read again here.
    pub(crate) fn recognise(
        &self,
        known: &Mark,
        found: Option<&RecordedEvent>,
    ) -> Result<(), StoreError> {
        match found {
            Some(event) if known.is(event) => Ok(()),
            _ => Err(self.end(missing(known))),
        }
    }

    /// Nothing before [`LogIdentityGuard::begin`]: a migration meets what it meets.
    fn known(&self) -> Option<(Identity, Option<Mark>)> {
        let identity = *self.0.opened.get()?;
        let last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        Some((identity, last.clone()))
    }

    fn judge(
        &self,
        opened: Identity,
        mark: Option<&Mark>,
        found: Result<Option<Found>, sqlx::Error>,
    ) -> Result<i64, StoreError> {
        let row = match found {
            Ok(Some(row)) => row,
            Ok(None) => return Err(self.end("it has no identity any more".to_owned())),
            Err(error) if has_no_table(&error) => {
                return Err(self.end("the database has no log".to_owned()));
            }
            Err(error) => return Err(error.into()),
        };
        let now = Identity::of(&row.0, row.1)?;
        if now != opened {
            let place = self.0.files.get().map(|files| format!("{}: ", files.log().display()));
            return Err(self.end(format!(
                "{}it was log {} epoch {} and now is log {} epoch {}",
                place.unwrap_or_default(),
                opened.log_id,
                opened.epoch,
                now.log_id,
                now.epoch
            )));
        }
        match mark {
            Some(mark) if !mark.is_at(&row) => Err(self.end(missing(mark))),
            _ => Ok(row.2),
        }
    }

    fn end(&self, why: String) -> StoreError {
        self.finish(Ended::Other(why))
    }

    /// The first reason stands.
    fn finish(&self, why: Ended) -> StoreError {
        self.0.ended.send_if_modified(|ended| {
            let is_first = ended.is_none();
            ended.get_or_insert_with(|| why.clone());
            is_first
        });
        why.into()
    }
}

impl ConnectionGuard for LogIdentityGuard {
    fn verify<'c>(
        &'c self,
        connection: &'c mut PgConnection,
    ) -> BoxFuture<'c, Result<(), StoreError>> {
        Box::pin(self.greet(connection))
    }

    fn notice(&self, error: &StoreError) {
        Self::notice(self, error);
    }
}

impl Mark {
    fn is_at(&self, (_, _, _, kind, id, sequence, metadata): &Found) -> bool {
        kind.as_deref() == Some(self.stream.kind.as_ref())
            && id.as_ref().is_some_and(|id| id.parse() == Ok(self.stream.number))
            && *sequence == Some(self.sequence)
            && metadata.as_ref() == Some(&self.metadata)
    }
}

fn missing(mark: &Mark) -> String {
    format!(
        "event {} ({} #{}) is not in it any more: it was restored from an older copy",
        mark.position, mark.stream, mark.sequence
    )
}

/// PostgreSQL's "undefined table", SQLite's "no such table".
fn has_no_table(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| {
        error.code().as_deref() == Some("42P01") || error.message().starts_with("no such table")
    })
}
