//! Building a view from zero beside the live one, and comparing the two row by row.
//!
//! What was built is thrown away again; serving it in place of the live one is the operator's tool.

use crate::alarms::Alarms;
use crate::error::QueryError;
use crate::feed::{Feed, LocalFeed};
use crate::item_info::ItemInfo;
use crate::payments::Payments;
use crate::projector::{Projector, fold_batch};
use crate::reservations::Reservations;
use crate::view::View;
use crate::view_table::{LIVE, Stored, ViewTable};
use gdmarket_store::{Checkpoints, Store, StoreError};
use std::collections::{BTreeSet, HashMap};

/// Events folded between two writes.
const BATCH: u32 = 1000;

/// Rows compared at once.
const ROWS: u32 = 1000;

/// The generation that is built to be compared: never one that is served.
const SCRATCH: u32 = 0;

/// The rows of every view that differ from a rebuild up to the view's checkpoint, as
/// `view number: live, rebuilt`. Nobody may keep the views meanwhile.
pub async fn differences_from_rebuild(store: &Store) -> Result<Vec<String>, QueryError> {
    let mut all = differences::<ItemInfo>(store).await?;
    all.extend(differences::<Reservations>(store).await?);
    all.extend(differences::<Payments>(store).await?);
    all.extend(differences::<Alarms>(store).await?);
    Ok(all)
}

async fn differences<V: View>(store: &Store) -> Result<Vec<String>, QueryError> {
    let (live, rebuilt) = (ViewTable::<V>::new(LIVE), ViewTable::<V>::new(SCRATCH));
    let db = store.views();
    rebuilt.remove(db).await?;
    rebuilt.create(db).await?;
    rebuild(store, &rebuilt, checkpoint::<V>(store).await?).await?;
    let mut differing = vec![];
    let mut after = 0;
    loop {
        let (ours, theirs) =
            (live.part(db, after, ROWS).await?, rebuilt.part(db, after, ROWS).await?);
        let end = [&ours, &theirs].into_iter().filter_map(|rows| rows.keys().next_back()).min();
        let Some(end) = end.copied() else { break };
        let numbers: BTreeSet<i64> = ours.keys().chain(theirs.keys()).copied().collect();
        for number in numbers.into_iter().filter(|number| *number <= end) {
            let (ours, theirs) = (ours.get(&number), theirs.get(&number));
            if ours != theirs {
                differing.push(format!("{} {number}: {ours:?}, {theirs:?}", V::NAME));
            }
        }
        after = end;
    }
    rebuilt.remove(db).await?;
    Ok(differing)
}

async fn checkpoint<V: View>(store: &Store) -> Result<i64, StoreError> {
    let all = Checkpoints::new(store.views().clone()).all(store.identity()).await?;
    let name = Projector::<V>::name(LIVE);
    Ok(all.into_iter().find(|(known, _)| *known == name).map_or(0, |(_, position)| position))
}

async fn rebuild<V: View>(
    store: &Store,
    table: &ViewTable<V>,
    until: i64,
) -> Result<(), QueryError> {
    let feed = LocalFeed(store.clone());
    let mut stuck = BTreeSet::new();
    let mut reached = 0;
    loop {
        let mut batch = feed.read_after(reached, BATCH).await?;
        batch.retain(|delivery| delivery.event.position <= until);
        let Some(last) = batch.last() else { return Ok(()) };
        reached = last.event.position;
        let numbers: BTreeSet<i64> = batch
            .iter()
            .filter(|delivery| delivery.event.stream.kind == V::AGGREGATE)
            .map(|delivery| delivery.event.stream.number)
            .collect();
        let numbers: Vec<i64> = numbers.into_iter().collect();
        let mut rows: HashMap<i64, Stored<V::Row>> = table.load(store.views(), &numbers).await?;
        let done = fold_batch::<V>(&mut rows, &stuck, &batch);
        if let Some(newer) = done.newer {
            return Err(QueryError::Newer(newer));
        }
        let touched: Vec<_> = done.touched.iter().filter_map(|number| rows.get(number)).collect();
        let mut tx = store.views().begin().await?;
        table.write(&mut tx, &touched).await?;
        tx.commit().await?;
        stuck.extend(done.poisoned.into_keys());
    }
}
