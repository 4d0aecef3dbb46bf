//! Bringing a parked stream's row up to date from the log, exactly as a rebuild would.

use super::Projector;
use super::fold::{Folded, fold};
use crate::subscription::{Halt, Run};
use crate::view::View;
use crate::view_table::Stored;
use gdmarket_store::{Parked, ParkedKeys, StreamId};

/// How many parked streams are looked at in one go.
const HEAL_AT_ONCE: u32 = 100;

impl<V: View> Projector<V> {
    /// Brings what was asked again up to date, from the log.
    pub(super) async fn heal(&self, run: &Run) -> Result<(), Halt> {
        for parked in self.parked.due(&run.name, HEAL_AT_ONCE).await? {
            match parked.key.parse::<StreamId>() {
                Ok(stream) => self.heal_stream(run, stream.number, &parked).await?,
                Err(error) => {
                    tracing::error!(view = run.name, key = parked.key, %error, "no row can be healed");
                }
            }
        }
        Ok(())
    }

    pub(super) async fn heal_stream(
        &self,
        run: &Run,
        number: i64,
        parked: &Parked,
    ) -> Result<(), Halt> {
        let mut stuck = self.stuck.lock().await;
        let mut tx = self.store.views().begin().await?;
        let stored = run.hold(&mut tx).await?;
        let mut rows = self.table.load(self.store.views(), &[number]).await?;
        let mut row = rows.remove(&number).unwrap_or_else(|| Stored::new(number));
        row.stale = None;
        let stream = StreamId::new(V::AGGREGATE, number);
        let events = self.store.log().stream(&stream, row.sequence).await?;
        let mut poison = None;
        // Beyond the checkpoint the batches go on by themselves.
        for event in events.into_iter().filter(|event| event.position <= stored) {
            match fold::<V>(&mut row, event.seen()) {
                Folded::Taken | Folded::Old => {}
                Folded::Poison(reason) => {
                    row.stale = Some((event.recorded_at, reason));
                    poison = Some(event);
                    break;
                }
                Folded::Newer(what) => return Err(Halt::Newer(what)),
            }
        }
        self.table.write(&mut tx, &[&row]).await?;
        match &poison {
            Some(event) => self.park(run, &mut tx, &row, (event, parked.attempts + 1)).await?,
            None => {
                ParkedKeys::unpark(&mut tx, &run.name, &parked.key).await?;
            }
        }
        tx.commit().await?;
        if poison.is_none() {
            tracing::info!(view = run.name, key = parked.key, "a parked stream goes on");
            stuck.remove(&number);
        }
        run.report_parked(stuck.len());
        Ok(())
    }
}
