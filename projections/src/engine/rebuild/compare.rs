//! Comparing the served view with a build, row by row, at the same positions: rows and checkpoints of the
//! served view are read in one snapshot, and the build is folded to exactly these positions, one in each log.

use super::build::Build;
use super::build_source::served_positions;
use super::{Explanation, RebuildObserver, RebuildProgress, ReplayError, Replayed, name_of};
use crate::engine::feed::LogSource;
use crate::engine::view::View;
use crate::engine::view_table::ViewTable;
use async_trait::async_trait;
use gdmarket_store::{EventFilter, StreamId, TableRow};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::Instant;

/// Rows per query.
const ROWS: u32 = 1_000;
/// The number of last events that explain a difference.
const EVENTS: u32 = 20;

/// A row that differs.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// The view's name as people type it.
    pub view: String,
    /// The number of the row's stream.
    pub number: i64,
    /// The columns that differ; all of them where one side has no row.
    pub columns: Vec<String>,
    /// The served row; `null` without one.
    pub live: Value,
    /// The rebuilt row; `null` without one.
    pub rebuilt: Value,
    /// The last events of the stream up to the position of the comparison.
    pub events: Vec<Explanation>,
}

/// Collects the rows that differ, and serves no build.
#[derive(Debug, Default)]
pub(crate) struct Differences(pub(crate) Vec<Difference>);

#[async_trait]
impl RebuildObserver for Differences {
    fn differs(&mut self, difference: Difference) {
        self.0.push(difference);
    }

    async fn serve(&mut self, _: &Replayed) -> bool {
        false
    }
}

/// A page of rows by number; for a row that can't be read, the reason.
type RowPage = BTreeMap<i64, Result<TableRow, String>>;

/// The result of comparing two tables.
#[derive(Default)]
pub(super) struct Compared {
    /// In each log of the build.
    pub(super) positions: Vec<i64>,
    pub(super) rows: u64,
    pub(super) differing: u64,
    pub(super) stale: u64,
    /// The number of differing rows that are stale in the build.
    pub(super) damaged: u64,
}

impl<V: View> Build<V> {
    /// Reports every row that differs, and returns the numbers of rows.
    pub(super) async fn compare(
        &mut self,
        report: &mut (dyn FnMut(Difference) + Send),
        progress: RebuildProgress<'_>,
    ) -> Result<Compared, ReplayError> {
        let mut snapshot = self.store.views().snapshot().await?;
        let sources: Vec<LogSource> = self.sources.iter().map(|source| source.of.clone()).collect();
        let served = served_positions::<V>(&sources, &mut snapshot).await?;
        let positions = served.ok_or_else(|| ReplayError::Moved(name_of::<V>()))?;
        if self.sources.iter().zip(&positions).any(|(source, served)| *served < source.reached) {
            return Err(ReplayError::Moved(name_of::<V>()));
        }
        self.fold_to(&positions, progress).await?;
        let live = ViewTable::<V>::served();
        let mut built = self.store.views().snapshot().await?;
        let mut compared = Compared { positions, ..Compared::default() };
        let mut after = 0;
        loop {
            let began = Instant::now();
            let ours = live.rows().part(&mut snapshot, after, ROWS).await?;
            let theirs = self.table.rows().part(&mut built, after, ROWS).await?;
            let Some(end) = end_of(&ours, &theirs) else { break };
            let numbers: BTreeSet<i64> = ours.keys().chain(theirs.keys()).copied().collect();
            for number in numbers.into_iter().filter(|number| *number <= end) {
                compared.rows += 1;
                let (ours, theirs) = (ours.get(&number), theirs.get(&number));
                compared.stale += u64::from(theirs.is_some_and(is_stale));
                if !is_same(ours, theirs) {
                    compared.differing += 1;
                    compared.damaged += u64::from(theirs.is_some_and(is_stale));
                    report(self.difference(number, ours, theirs).await?);
                }
            }
            after = end;
            self.throttle.pause_after(began).await;
        }
        built.rollback().await?;
        snapshot.rollback().await?;
        Ok(compared)
    }

    async fn difference(
        &self,
        number: i64,
        live: Option<&Result<TableRow, String>>,
        rebuilt: Option<&Result<TableRow, String>>,
    ) -> Result<Difference, ReplayError> {
        let (live, rebuilt) = (columns::<V>(live), columns::<V>(rebuilt));
        let columns = names::<V>().into_iter();
        let columns = columns.filter(|name| live.get(name) != rebuilt.get(name));
        let events = self.last_events(&StreamId::new(V::AGGREGATE, number)).await?;
        Ok(Difference {
            view: name_of::<V>(),
            number,
            columns: columns.collect(),
            live,
            rebuilt,
            events,
        })
    }

    /// The last events of a stream, from the log that has it, up to the position that is folded.
    async fn last_events(&self, stream: &StreamId) -> Result<Vec<Explanation>, ReplayError> {
        for source in &self.sources {
            let until = source.reached;
            let events: Vec<Explanation> = if source.is_own() {
                let stream = Some(stream.clone());
                let filter = EventFilter { stream, until: Some(until), ..Default::default() };
                let events = self.store.log().query(filter).await?.newest(EVENTS).await?;
                events.iter().map(Explanation::of).collect()
            } else {
                let events = source.of.feed.stream(stream, 0, until).await?;
                let more = events.len().saturating_sub(usize::try_from(EVENTS).unwrap_or(0));
                events.iter().skip(more).map(|event| Explanation::of(event)).collect()
            };
            if !events.is_empty() {
                return Ok(events);
            }
        }
        Ok(vec![])
    }
}

fn is_stale(row: &Result<TableRow, String>) -> bool {
    row.as_ref().is_ok_and(|row| row.stale_since.is_some())
}

/// Whether two rows are the same; a row that can't be read never is.
fn is_same(
    ours: Option<&Result<TableRow, String>>,
    theirs: Option<&Result<TableRow, String>>,
) -> bool {
    match (ours, theirs) {
        (Some(Ok(ours)), Some(Ok(theirs))) => ours == theirs,
        (None, None) => true,
        _ => false,
    }
}

/// The number up to which both pages are complete.
fn end_of(ours: &RowPage, theirs: &RowPage) -> Option<i64> {
    let full = |rows: &RowPage| rows.len() >= usize::try_from(ROWS).unwrap_or(0);
    let last = |rows: &RowPage| rows.keys().next_back().copied();
    match (full(ours), full(theirs)) {
        (true, true) => last(ours).min(last(theirs)),
        (true, false) => last(ours),
        (false, true) => last(theirs),
        (false, false) => last(ours).max(last(theirs)),
    }
}

/// The names of the columns in a difference.
fn names<V: View>() -> Vec<String> {
    let declared = V::COLUMNS.iter().map(|column| camel(column.name()));
    let before = ["sequence", "gone"].map(str::to_owned).into_iter();
    before.chain(declared).chain(["staleSince", "staleReason", "row"].map(str::to_owned)).collect()
}

fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |camel, part| {
        let mut letters = part.chars();
        let initial = letters.next().map(|letter| letter.to_ascii_uppercase());
        camel + &initial.into_iter().chain(letters).collect::<String>()
    })
}

fn columns<V: View>(row: Option<&Result<TableRow, String>>) -> Value {
    let row = match row {
        None => return Value::Null,
        Some(Err(why)) => return json!({ "row": why }),
        Some(Ok(row)) => row,
    };
    let TableRow { sequence, gone, fields, stale_since, stale_reason, document, .. } = row;
    let document: Value = serde_json::from_str(document).unwrap_or_else(|_| json!(document));
    let mut values = vec![json!(sequence), json!(gone)];
    values.extend(fields.iter().map(|field| json!(field)));
    values.extend([json!(stale_since), json!(stale_reason), document]);
    let map: Map<String, Value> = names::<V>().into_iter().zip(values).collect();
    Value::Object(map)
}
