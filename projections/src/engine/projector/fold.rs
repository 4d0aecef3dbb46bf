//! Folding events into rows, in memory: one event, or a batch.

use crate::engine::feed::Delivery;
use crate::engine::feed::{Unreadable, decode};
use crate::engine::view::View;
use crate::engine::view_table::{StaleMark, Stored};
use gdmarket_store::{EventRef, RecordedEvent, failpoint};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The result of folding an event.
pub(crate) enum Folded {
    Taken,
    /// The event was applied before.
    Old,
    /// The event can't be folded.
    Poison(String),
    /// Only a newer program can read the event.
    Newer(String),
}

/// The result of folding a batch.
#[derive(Default)]
pub(crate) struct FoldedBatch {
    pub(crate) touched: BTreeSet<i64>,
    pub(crate) poisoned: BTreeMap<i64, Arc<RecordedEvent>>,
    /// Log rows that belong to no stream, each with the reason.
    pub(crate) strays: Vec<(Arc<RecordedEvent>, String)>,
    /// The position of the last event that was handled.
    pub(crate) reached: Option<i64>,
    /// Why the batch stopped, if only a newer program can read the next event.
    pub(crate) newer: Option<String>,
}

/// Folds the events of the view, up to the first one that only a newer program can read.
pub(crate) fn fold_batch<V: View>(
    rows: &mut HashMap<i64, Stored<V::Row>>,
    blocked: &BTreeSet<i64>,
    batch: &[Delivery],
) -> FoldedBatch {
    let mut done = FoldedBatch::default();
    for Delivery { event, .. } in batch {
        let number = event.stream.number;
        let is_of_view = event.stream.kind == V::AGGREGATE;
        if let Some(reason) = event.damage_reason().filter(|_| is_of_view && !event.has_stream()) {
            done.strays.push((Arc::clone(event), reason.to_owned()));
            done.reached = Some(event.position);
            continue;
        }
        let concerns = is_of_view && !blocked.contains(&number);
        if concerns && !done.poisoned.contains_key(&number) {
            let row = rows.entry(number).or_insert_with(|| Stored::new(number));
            match fold::<V>(row, event.as_event_ref()) {
                Folded::Old => {}
                Folded::Taken => {
                    done.touched.insert(number);
                }
                Folded::Poison(reason) => {
                    row.stale = Some(StaleMark { since: event.recorded_at, reason });
                    done.touched.insert(number);
                    done.poisoned.insert(number, Arc::clone(event));
                }
                Folded::Newer(what) => {
                    done.newer = Some(what);
                    return done;
                }
            }
        }
        done.reached = Some(event.position);
    }
    done
}

/// Applies an event to a row. A panic of the fold is poison, and leaves the row as it was.
pub(crate) fn fold<V: View>(stored: &mut Stored<V::Row>, event: EventRef<'_>) -> Folded {
    if event.sequence <= stored.sequence {
        return Folded::Old;
    }
    if let Some(damage) = event.damage {
        return Folded::Poison(damage.reason.clone());
    }
    if event.sequence != stored.sequence + 1 {
        let (from, to) = (stored.sequence, event.sequence);
        return Folded::Poison(format!("sequence {to} came after {from}: something is missing"));
    }
    let decoded = match decode(event) {
        Ok(decoded) => decoded,
        Err(Unreadable::Newer(what)) => return Folded::Newer(what),
        Err(Unreadable::Broken(why)) => return Folded::Poison(why),
    };
    let mut row = stored.row.clone();
    let folding = catch_unwind(AssertUnwindSafe(|| {
        failpoint!("projection.fold", V::NAME);
        let folded = V::fold(&mut row, decoded);
        folded.map(|()| {
            for column in V::COLUMNS {
                column.evaluate(&row);
            }
            V::is_gone(&row)
        })
    }));
    match folding {
        Ok(Ok(_)) => {
            stored.row = row;
            stored.sequence = event.sequence;
            Folded::Taken
        }
        Ok(Err(error)) => Folded::Poison(error.to_string()),
        Err(_) => Folded::Poison("the view broke down on it".to_owned()),
    }
}
