//! Verifies that the log under this process is still the one that it opened, with all events that are known of it.
//!
//! A database that is replaced, or restored from an older copy, under a running process lacks events that were
//! reported already, and may get others at their positions. Every new PostgreSQL connection and the tail verify the log
//! here. On SQLite the files themselves are compared too, before an append is acknowledged and once a second. A log
//! that turned out to be another one, or to be damaged, stays refused: this store neither appends nor reads any more,
//! and its process should end, so that it starts afresh.

mod event_mark;
mod open_files;
#[cfg(test)]
mod tests;

pub(crate) use event_mark::EventMark;
pub(crate) use open_files::OpenFiles;

use crate::db::Db;
use crate::db::connection_guard::ConnectionGuard;
use crate::error::{StorageFault, StoreError};
use crate::log::event::RecordedEvent;
use crate::log::identity::Identity;
use crate::on_db;
use event_mark::{LogColumns, LogRow};
use futures::future::BoxFuture;
use sqlx::PgConnection;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::watch;

/// The known state of one log. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogIdentityGuard(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    opened: OnceLock<Identity>,
    /// The newest event that is known to be in the log.
    last: Mutex<Option<EventMark>>,
    /// SQLite's files.
    files: OnceLock<OpenFiles>,
    ended: watch::Sender<Option<EndReason>>,
}

/// Why the log can't be used any more.
#[derive(Debug, Clone)]
enum EndReason {
    OtherLog(String),
    Damaged(String),
    Unsynced(String),
}

impl From<EndReason> for StoreError {
    fn from(reason: EndReason) -> Self {
        match reason {
            EndReason::OtherLog(why) => Self::OtherLog(why),
            EndReason::Damaged(why) => Self::Damaged(why),
            EndReason::Unsynced(why) => Self::Storage { fault: StorageFault::Unsynced, why },
        }
    }
}

impl LogIdentityGuard {
    /// From now on the log must be this one. A store is opened once, so a second call changes nothing.
    pub(crate) fn expect_identity(&self, identity: Identity) {
        let _ = self.0.opened.set(identity);
    }

    /// From now on SQLite's files must be these.
    pub(crate) fn expect_files(&self, files: OpenFiles) {
        drop(self.0.files.set(files));
    }

    /// Remembers an event that is in the log.
    pub(crate) fn remember(&self, mark: EventMark) {
        let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_none_or(|last| last.position < mark.position) {
            *last = Some(mark);
        }
    }

    /// Refuses once the log is known to be unusable.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        self.0.ended.borrow().clone().map_or(Ok(()), |reason| Err(reason.into()))
    }

    /// Waits until the log is known to be unusable; returns why.
    pub(crate) async fn ended(&self) -> StoreError {
        let mut ended = self.0.ended.subscribe();
        // This very value holds the sender, so that the channel never closes.
        let reason = ended.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        // A file that was overwritten reads as damaged where pages of before don't fit those of now: whichever is met
        // first, the operator is told what happened.
        if let (Some(EndReason::Damaged(_)), Some(files)) = (&reason, self.0.files.get())
            && let Ok(Some(why)) = files.overwritten().await
        {
            return EndReason::OtherLog(why).into();
        }
        reason.map_or_else(|| StoreError::OtherLog(String::new()), StoreError::from)
    }

    /// Refuses where SQLite's files are not those that were opened any more, or the log's file has lost some of its
    /// content. Writes just before must not be acknowledged then.
    pub(crate) async fn check_files(&self) -> Result<(), StoreError> {
        self.check()?;
        let Some(files) = self.0.files.get() else { return Ok(()) };
        if let Some(why) = files.moved() {
            return Err(self.end(EndReason::OtherLog(why)));
        }
        if !files.is_written() {
            return Ok(());
        }
        match files.overwritten().await {
            Ok(None) => Ok(()),
            Ok(Some(why)) => Err(self.end(EndReason::OtherLog(why))),
            Err(StoreError::Damaged(why)) => Err(self.end(EndReason::Damaged(why))),
            // A file that can't be read just now isn't known to be another one.
            Err(error) => {
                tracing::debug!(%error, "the log's file is read again later");
                Ok(())
            }
        }
    }

    /// Verifies the log through the pool; returns the position of its last event.
    pub(crate) async fn verify_head(&self, db: &Db) -> Result<i64, StoreError> {
        self.check()?;
        let Some((identity, mark)) = self.known() else { return Ok(0) };
        let position = mark.as_ref().map(|mark| mark.position);
        let row = on_db!(db, pool => {
            sqlx::query_as::<_, LogColumns>(LogRow::SELECT).bind(position).fetch_optional(pool).await
        });
        self.compare(identity, mark.as_ref(), row)
    }

    /// Verifies the log through a PostgreSQL connection that was just made, before it is used.
    pub(crate) async fn verify(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        self.check()?;
        let Some((identity, mark)) = self.known() else { return Ok(()) };
        let position = mark.as_ref().map(|mark| mark.position);
        let query = sqlx::query_as::<_, LogColumns>(LogRow::SELECT).bind(position);
        let row = query.fetch_optional(connection).await;
        self.compare(identity, mark.as_ref(), row).map(drop)
    }

    /// Ends the use of a log of SQLite whose file is damaged, or whose disk failed to sync: nothing may be
    /// acknowledged into such a file.
    pub(crate) fn notice(&self, error: &StoreError) {
        let Some(files) = self.0.files.get() else { return };
        let log = files.log().display().to_string();
        let with_file = |why: &String| {
            if why.contains(&log) { why.clone() } else { format!("{log}: {why}") }
        };
        match error {
            StoreError::Damaged(why) => {
                self.end(EndReason::Damaged(with_file(why)));
            }
            StoreError::Storage { fault: StorageFault::Unsynced, why } => {
                self.end(EndReason::Unsynced(with_file(why)));
            }
            _ => {}
        }
    }

    /// Verifies that an event that was read before was read again.
    pub(crate) fn verify_event(
        &self,
        known: &EventMark,
        found: Option<&RecordedEvent>,
    ) -> Result<(), StoreError> {
        match found {
            Some(event) if known.is(event) => Ok(()),
            _ => Err(self.end(EndReason::OtherLog(known.describe_loss()))),
        }
    }

    /// `None` before [`LogIdentityGuard::expect_identity`]: a migration accepts any log.
    fn known(&self) -> Option<(Identity, Option<EventMark>)> {
        let identity = *self.0.opened.get()?;
        let last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        Some((identity, last.clone()))
    }

    fn compare(
        &self,
        opened: Identity,
        mark: Option<&EventMark>,
        row: Result<Option<LogColumns>, sqlx::Error>,
    ) -> Result<i64, StoreError> {
        let row = match row {
            Ok(Some(row)) => LogRow::from(row),
            Ok(None) => {
                let why = "it has no identity any more".to_owned();
                return Err(self.end(EndReason::OtherLog(why)));
            }
            Err(error) if has_no_table(&error) => {
                let why = "the database has no log".to_owned();
                return Err(self.end(EndReason::OtherLog(why)));
            }
            Err(error) => return Err(error.into()),
        };
        let now = Identity::of(&row.log_id, row.epoch)?;
        if now != opened {
            return Err(self.end(EndReason::OtherLog(self.describe_change(opened, now))));
        }
        match mark {
            Some(mark) if !mark.is_at(&row) => {
                Err(self.end(EndReason::OtherLog(mark.describe_loss())))
            }
            _ => Ok(row.head),
        }
    }

    fn describe_change(&self, opened: Identity, now: Identity) -> String {
        let file = self.0.files.get().map(|files| format!("{}: ", files.log().display()));
        format!(
            "{}it was log {} epoch {} and now is log {} epoch {}",
            file.unwrap_or_default(),
            opened.log_id,
            opened.epoch,
            now.log_id,
            now.epoch
        )
    }

    /// Ends the use of the log. The first reason is kept.
    fn end(&self, reason: EndReason) -> StoreError {
        self.0.ended.send_if_modified(|ended| {
            let is_first = ended.is_none();
            ended.get_or_insert_with(|| reason.clone());
            is_first
        });
        reason.into()
    }
}

impl ConnectionGuard for LogIdentityGuard {
    fn verify<'c>(
        &'c self,
        connection: &'c mut PgConnection,
    ) -> BoxFuture<'c, Result<(), StoreError>> {
        Box::pin(Self::verify(self, connection))
    }

    fn notice(&self, error: &StoreError) {
        Self::notice(self, error);
    }
}

/// PostgreSQL's "undefined table", SQLite's "no such table".
fn has_no_table(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| {
        error.code().as_deref() == Some("42P01") || error.message().starts_with("no such table")
    })
}
