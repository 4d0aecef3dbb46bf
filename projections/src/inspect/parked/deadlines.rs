//! Blocked deadlines: those that were due and were refused. Nothing queues behind them, and they are tried
//! again by themselves; they are listed with the parked keys, since most of them need manual action.

use super::{Around, ParkedKey, ParkedKeyDetail, ParkedWork, RetryOutcome, is_at_other_service};
use crate::engine::process_manager::cause_position;
use crate::inspect::event_view::EventView;
use crate::queries::QueryError;
use chrono::DateTime;
use gdmarket_store::{BlockedDeadline, Deadlines, Parked, ParkedKeys, RecordedEvent};

impl ParkedWork {
    fn deadlines(&self) -> Deadlines {
        Deadlines::new(self.store.views().clone())
    }

    /// Lists all of them, or those of one key.
    pub(super) async fn blocked_deadlines(
        &self,
        key: Option<&str>,
        around: &Around,
    ) -> Result<Vec<ParkedKey>, QueryError> {
        let mut all = vec![];
        for blocked in self.deadlines().blocked(None).await? {
            if key.is_none_or(|key| blocked.key == key) {
                all.push(self.blocked_deadline(blocked, around).await?);
            }
        }
        Ok(all)
    }

    async fn blocked_deadline(
        &self,
        blocked: BlockedDeadline,
        around: &Around,
    ) -> Result<ParkedKey, QueryError> {
        let BlockedDeadline { manager, key, payload, problem, attempts } = blocked;
        let position = cause_position(&payload);
        let cause = self.cause(&manager, position).await?;
        let since = cause.and_then(|event| DateTime::from_timestamp_micros(event.recorded_at));
        let noted = (manager.clone(), key.clone(), position);
        Ok(ParkedKey {
            is_view: false,
            is_deadline: true,
            queued: 0,
            dropped: around.dropped.get(&noted).cloned(),
            since: since.unwrap_or_default(),
            subscription: manager,
            key,
            state: Parked::RETRYING.to_owned(),
            reason: problem,
            since_position: position,
            attempts,
        })
    }

    /// The event that set a deadline, unless it is in the log of another service.
    async fn cause(
        &self,
        manager: &str,
        position: i64,
    ) -> Result<Option<RecordedEvent>, QueryError> {
        if is_at_other_service(manager) {
            return Ok(None);
        }
        Ok(self.store.log().at(position).await?)
    }

    /// A blocked deadline, with the event that set it.
    pub(super) async fn show_deadline(
        &self,
        manager: &str,
        key: &str,
        around: &Around,
    ) -> Result<Option<ParkedKeyDetail>, QueryError> {
        let all = self.blocked_deadlines(Some(key), around).await?;
        let Some(of) = all.into_iter().find(|of| of.subscription == manager) else {
            return Ok(None);
        };
        let cause = self.cause(manager, of.since_position).await?;
        let events = cause.iter().map(EventView::from).collect();
        Ok(Some(ParkedKeyDetail { key: of, events }))
    }

    pub(super) async fn request_deadline_retry(&self, of: &ParkedKey) -> Result<(), QueryError> {
        Ok(self.deadlines().retry(&of.subscription, &of.key).await?)
    }

    /// The outcome of its retry by now; `None` if it wasn't tried yet.
    pub(super) async fn deadline_outcome(
        &self,
        of: &ParkedKey,
    ) -> Result<Option<RetryOutcome>, QueryError> {
        let around = self.around().await?;
        let now = self.blocked_deadlines(Some(&of.key), &around).await?;
        let now = now.into_iter().find(|now| now.subscription == of.subscription);
        Ok(match now {
            None => Some(RetryOutcome::Unparked),
            Some(now) if now.attempts != of.attempts => Some(RetryOutcome::ParkedAgain(now)),
            Some(_) => None,
        })
    }

    /// Drops it, and stores the reason; `false` if it isn't blocked any more.
    pub(super) async fn drop_deadline(
        &self,
        of: &ParkedKey,
        reason: &str,
    ) -> Result<bool, QueryError> {
        let mut tx = self.store.views().begin().await?;
        ParkedKeys::note_dropped(&mut tx, &of.subscription, &of.parked(), reason).await?;
        if !Deadlines::drop_blocked(&mut tx, &of.subscription, &of.key).await? {
            tx.rollback().await?;
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }
}
