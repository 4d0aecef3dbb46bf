//! A view as it was at a position: a build up to there whose rows are told and thrown away.

use super::build::Build;
use super::{Meter, ReplayError};
use crate::alarms::Alarms;
use crate::queries::stale;
use crate::view::View;
use crate::view_table::{ViewTable, Whole};
use gdmarket_store::Store;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Rows read at once.
const ROWS: u32 = 1_000;

impl<V: View> Build<V> {
    /// Folds up to `position` and tells every row that was shown then, by number; `alarms` as of then
    /// are joined where the view shows them.
    pub(super) async fn tell_as_of(
        &mut self,
        position: i64,
        alarms: Option<&ViewTable<Alarms>>,
        (tell, meter): (&mut (dyn FnMut(Value) + Send), Meter<'_>),
    ) -> Result<(), ReplayError> {
        self.fold_to(position, meter).await?;
        let mut snapshot = self.store.views().snapshot().await?;
        let mut after = 0;
        loop {
            let rows = self.table.part(&mut snapshot, after, ROWS).await?;
            let Some(last) = rows.keys().next_back() else { break };
            after = *last;
            let mut told = BTreeMap::new();
            for (number, whole) in rows {
                if let Some(row) = self.told(whole.map_err(ReplayError::Broken)?)? {
                    told.insert(number, row);
                }
            }
            if let Some(alarms) = alarms {
                join(&self.store, alarms, &mut told).await?;
            }
            told.into_values().for_each(&mut *tell);
        }
        Ok(snapshot.rollback().await?)
    }

    fn told(&self, whole: Whole) -> Result<Option<Value>, ReplayError> {
        let (number, sequence, gone, .., since, reason, doc) = whole;
        if gone != 0 {
            return Ok(None);
        }
        let stored = self.table.read((number, sequence, since, reason, doc))?;
        let mut told = V::told(&stored.row);
        if let (Some(Value::Object(fields)), Some(since)) = (&mut told, stored.stale) {
            fields.insert("stale".to_owned(), json!(stale(since)));
        }
        Ok(told)
    }
}

async fn join(
    store: &Store,
    alarms: &ViewTable<Alarms>,
    told: &mut BTreeMap<i64, Value>,
) -> Result<(), ReplayError> {
    let numbers: Vec<i64> = told.keys().copied().collect();
    let alarms = alarms.load(store.views(), &numbers).await?;
    for (number, row) in told {
        let status = alarms.get(number).and_then(|alarm| alarm.row.status());
        if let Value::Object(fields) = row {
            fields.insert("alarmStatus".to_owned(), json!(status));
        }
    }
    Ok(())
}
