//! Bringing a parked stream's row up to date from the log, exactly as a rebuild would.

use super::fold::{Folded, fold};
use super::{Projector, StreamStop, stale_reason};
use crate::engine::subscription::{Halt, Run};
use crate::engine::view::View;
use crate::engine::view_table::{StaleMark, Stored};
use gdmarket_store::{Parked, ParkedKeys, StreamId};

/// Parked streams per query.
const REPAIRS_AT_ONCE: u32 = 100;

impl<V: View> Projector<V> {
    /// Brings the streams that are due for a retry up to date.
    pub(super) async fn repair(&self, run: &Run) -> Result<(), Halt> {
        for parked in self.parked.due(run.name(), REPAIRS_AT_ONCE).await? {
            match parked.key.parse::<StreamId>() {
                Ok(stream) => self.repair_stream(run, stream.number, &parked).await?,
                Err(_) => self.repair_stray(run, &parked).await?,
            }
        }
        Ok(())
    }

    /// Reads a log row again that belonged to no stream. Once it belongs to one, or is gone, the key is
    /// unparked and the stream is brought up to date.
    async fn repair_stray(&self, run: &Run, parked: &Parked) -> Result<(), Halt> {
        let event = self.feed.at(parked.since_position).await?;
        let mut blocked = self.blocked.lock().await;
        let mut tx = self.store.views().begin().await?;
        run.hold(&mut tx).await?;
        if let Some(still) = event.as_ref().filter(|event| event.key() == parked.key) {
            let reason = still.damage_reason().unwrap_or_default().to_owned();
            let stop = StreamStop { event: still, reason, attempts: parked.attempts + 1 };
            self.park(run, &mut tx, stop).await?;
        } else {
            if let Some(event) = event.filter(|event| event.stream.kind == V::AGGREGATE) {
                let reason = "a row of its stream was repaired".to_owned();
                let stop = StreamStop { event: &event, reason, attempts: 0 };
                self.park(run, &mut tx, stop).await?;
                blocked.streams.entry(event.stream.number).or_insert(event.position);
                ParkedKeys::request_retry_in(&mut tx, run.name(), &event.key()).await?;
            }
            ParkedKeys::unpark(&mut tx, run.name(), &parked.key).await?;
            blocked.strays.remove(&parked.key);
        }
        tx.commit().await?;
        blocked.report(run);
        Ok(())
    }

    pub(super) async fn repair_stream(
        &self,
        run: &Run,
        number: i64,
        parked: &Parked,
    ) -> Result<(), Halt> {
        let mut blocked = self.blocked.lock().await;
        // A row that can't be read is folded from the first event on.
        let mut found = self.table.look_up(self.store.views(), &[number]).await?;
        let mut row = found.rows.remove(&number).unwrap_or_else(|| Stored::new(number));
        row.stale = None;
        let stream = StreamId::new(V::AGGREGATE, number);
        // Read before the transaction begins, since another service may take long to answer.
        let events = self.feed.stream(&stream, row.sequence, i64::MAX).await?;
        let mut tx = self.store.views().begin().await?;
        let stored = run.hold(&mut tx).await?;
        let mut poison = None;
        // Events after the checkpoint come in a batch.
        for event in events.into_iter().filter(|event| event.position <= stored) {
            match fold::<V>(&mut row, event.as_event_ref()) {
                Folded::Taken | Folded::Old => {}
                Folded::Poison(reason) => {
                    row.stale = Some(StaleMark { since: event.recorded_at, reason });
                    poison = Some(event);
                    break;
                }
                Folded::Newer(what) => return Err(Halt::Newer(what)),
            }
        }
        if row.sequence == 0 && poison.is_none() {
            self.table.rows().remove_row(&mut tx, number).await?;
        } else {
            self.table.write(&mut tx, &[&row]).await?;
        }
        match &poison {
            Some(event) => {
                let (reason, attempts) = (stale_reason(&row), parked.attempts + 1);
                self.park(run, &mut tx, StreamStop { event, reason, attempts }).await?;
            }
            None => {
                ParkedKeys::unpark(&mut tx, run.name(), &parked.key).await?;
            }
        }
        tx.commit().await?;
        if poison.is_none() {
            tracing::info!(view = run.name(), key = parked.key, "a parked stream continues");
            blocked.streams.remove(&number);
        }
        blocked.report(run);
        Ok(())
    }
}
