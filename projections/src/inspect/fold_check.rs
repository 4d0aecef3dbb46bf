//! The check of a whole log against the views: the views fold every event, and the resulting rows are
//! compared with the served ones. The check writes nothing.
//!
//! Rows are held in memory, so a long log is read in several passes, each for a part of the streams.

use crate::engine::projector::{Folded, fold};
use crate::engine::view::View;
use crate::engine::view_table::{StaleMark, Stored, ViewTable};
use async_trait::async_trait;
use gdmarket_store::{Check, Finding, RecordedEvent, StoreError, TableRow};
use std::collections::HashMap;

/// Rows per query.
const ROWS: u32 = 2_000;

/// The streams of one pass.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// The number of the pass, from 0 on.
    pub number: i64,
    /// The number of passes.
    pub of: i64,
}

impl Part {
    pub(crate) const fn has(self, stream: i64) -> bool {
        stream.rem_euclid(self.of) == self.number
    }
}

/// Every view with the rows of one pass.
pub struct FoldCheck {
    views: Vec<Box<dyn AnyFold>>,
    part: Part,
}

impl FoldCheck {
    /// Starts a pass with these views. Events after a view's checkpoint are folded, but not compared.
    pub(crate) async fn with_views(
        mut views: Vec<Box<dyn AnyFold>>,
        check: &mut Check,
        part: Part,
    ) -> Result<Self, StoreError> {
        for view in &mut views {
            view.start(check).await?;
        }
        Ok(Self { views, part })
    }

    /// Folds the next event of the log; returns the views that can't, each with the reason. A stream that a view
    /// can't fold is left out from then on.
    pub fn take(&mut self, event: &RecordedEvent) -> Vec<(&'static str, String)> {
        if !event.has_stream() || !self.part.has(event.stream.number) {
            return vec![];
        }
        let concerned = self.views.iter_mut().filter(|view| view.aggregate() == event.stream.kind);
        concerned.filter_map(|view| Some((view.name(), view.take(event)?))).collect()
    }

    /// Compares the resulting rows with the served ones.
    pub async fn compare(mut self, check: &mut Check) -> Result<Vec<Finding>, StoreError> {
        let mut findings = vec![];
        for view in &mut self.views {
            findings.extend(view.compare(check, self.part).await?);
        }
        Ok(findings)
    }
}

impl std::fmt::Debug for FoldCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FoldCheck").field("part", &self.part).finish_non_exhaustive()
    }
}

/// The fold check of one view, independent of the type of its rows.
#[async_trait]
pub(crate) trait AnyFold: Send {
    fn name(&self) -> &'static str;
    fn aggregate(&self) -> &'static str;
    async fn start(&mut self, check: &mut Check) -> Result<(), StoreError>;
    fn take(&mut self, event: &RecordedEvent) -> Option<String>;
    async fn compare(&mut self, check: &mut Check, part: Part) -> Result<Vec<Finding>, StoreError>;
}

/// The rows of one view.
pub(crate) struct FoldOf<V: View> {
    /// The checkpoint of the served view, if it was built.
    served: Option<i64>,
    /// The rows as of that checkpoint; of the whole log without a served view.
    rows: HashMap<i64, Stored<V::Row>>,
    /// The rows of streams with later events.
    beyond: HashMap<i64, Stored<V::Row>>,
}

impl<V: View> Default for FoldOf<V> {
    fn default() -> Self {
        Self { served: None, rows: HashMap::new(), beyond: HashMap::new() }
    }
}

#[async_trait]
impl<V: View> AnyFold for FoldOf<V> {
    fn name(&self) -> &'static str {
        V::NAME
    }

    fn aggregate(&self) -> &'static str {
        V::AGGREGATE
    }

    async fn start(&mut self, check: &mut Check) -> Result<(), StoreError> {
        let name = V::subscription();
        // Rows of streams in other logs can't be folded here: `replay --verify` compares them.
        if check.is_built(&name).await? && !check.reads_other_services(&name).await? {
            self.served = check.reached(&name).await?;
        }
        Ok(())
    }

    fn take(&mut self, event: &RecordedEvent) -> Option<String> {
        let number = event.stream.number;
        let is_beyond = self.served.is_some_and(|served| event.position > served);
        let row = if is_beyond {
            let now = self.rows.get(&number);
            self.beyond
                .entry(number)
                .or_insert_with(|| now.cloned().unwrap_or_else(|| Stored::new(number)))
        } else {
            self.rows.entry(number).or_insert_with(|| Stored::new(number))
        };
        if row.stale.is_some() {
            return None;
        }
        match fold::<V>(row, event.as_event_ref()) {
            Folded::Taken => None,
            Folded::Old => Some(format!("sequence {} came twice", event.sequence)),
            Folded::Poison(why) | Folded::Newer(why) => {
                row.stale = Some(StaleMark { since: event.recorded_at, reason: why.clone() });
                Some(why)
            }
        }
    }

    async fn compare(&mut self, check: &mut Check, part: Part) -> Result<Vec<Finding>, StoreError> {
        let table = ViewTable::<V>::served();
        if !check.is_built(&V::subscription()).await? {
            return Ok(vec![]);
        }
        if !table.rows().exists_in(check.views()).await? {
            let what = format!("{} is missing: type gdmarket views rebuild", table.name());
            return Ok(if part.number == 0 { vec![missing(what)] } else { vec![] });
        }
        if self.served.is_none() {
            return Ok(vec![]);
        }
        let mut findings = vec![];
        let mut after = i64::MIN;
        loop {
            let rows = table.rows().part(check.views(), after, ROWS).await?;
            let Some(last) = rows.keys().next_back().copied() else { break };
            after = last;
            for (number, row) in rows.into_iter().filter(|(number, _)| part.has(*number)) {
                findings.extend(self.finding(&table, number, row)?);
            }
        }
        // The rows that are left have no counterpart in the table.
        let mut left: Vec<i64> = self.rows.keys().copied().collect();
        left.sort_unstable();
        findings.extend(
            left.into_iter().map(|number| {
                differs::<V>(number, "isn't served, although the log has its stream")
            }),
        );
        Ok(findings)
    }
}

impl<V: View> FoldOf<V> {
    /// The finding about a served row, if it is wrong.
    fn finding(
        &mut self,
        table: &ViewTable<V>,
        number: i64,
        served: Result<TableRow, String>,
    ) -> Result<Option<Finding>, StoreError> {
        let folded = self.rows.remove(&number);
        let served = match served {
            Ok(row) => row,
            Err(why) => return Ok(Some(unreadable::<V>(number, &why))),
        };
        let Some(folded) = folded else {
            return Ok(Some(differs::<V>(
                number,
                "is served, although the log has no such stream",
            )));
        };
        let read = serde_json::from_str::<V::Row>(&served.document);
        if let Err(error) = &read {
            return Ok(Some(unreadable::<V>(number, &error.to_string())));
        }
        let mut expected = table.whole(&folded)?;
        // The program that parked the stream may have worded the reason differently.
        if served.stale_since.is_some() && expected.stale_since.is_some() {
            expected.stale_reason.clone_from(&served.stale_reason);
        }
        Ok((expected != served)
            .then(|| differs::<V>(number, "differs from the row that the log gives")))
    }
}

fn missing(what: String) -> Finding {
    Finding::fault("view-missing", what)
}

fn unreadable<V: View>(number: i64, why: &str) -> Finding {
    let what = format!("row {number} of {} can't be read: {why}", V::subscription());
    Finding::fault("view-unreadable", what)
}

fn differs<V: View>(number: i64, how: &str) -> Finding {
    let next = "type gdmarket replay --verify for more";
    Finding::fault("view-differs", format!("row {number} of {} {how}: {next}", V::subscription()))
}
