//! A small view over a real aggregate's streams, for the tests of the engine.

use super::view::{Column, FoldError, View};
use gdmarket_domain::{AlarmEvent, ItemNo, MarketEvent};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Folds the streams of alarms; the last announcement is the row's status.
#[derive(Debug)]
pub(crate) struct TestView;

/// The row of a stream in [`TestView`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TestRow {
    pub(crate) status: Option<String>,
    pub(crate) item_no: Option<i64>,
}

impl View for TestView {
    const NAME: &'static str = "alarms";
    const VERSION: u32 = 1;
    const AGGREGATE: &'static str = "alarm";
    const COLUMNS: &'static [Column<TestRow>] = &[
        Column::indexed(Column::number("item_no", |row| row.item_no)),
        Column::indexed(Column::text("status", |row| row.status.as_deref())),
    ];
    type Row = TestRow;

    fn fold(row: &mut TestRow, event: MarketEvent) -> Result<(), FoldError> {
        let MarketEvent::Alarm(event) = event else { return Err(FoldError::Foreign) };
        let (status, item_no) = match event {
            AlarmEvent::Alerted { item_no } => (Some("Alerted"), item_no),
            AlarmEvent::DeleteAlerted { item_no } => (Some("DeleteAlerted"), item_no),
            AlarmEvent::Withdrawn { item_no } => (None, item_no),
        };
        row.status = status.map(str::to_owned);
        row.item_no = Some(ItemNo::get(item_no));
        Ok(())
    }

    fn is_gone(row: &TestRow) -> bool {
        row.status.is_none()
    }

    fn body(row: &TestRow) -> Option<Value> {
        serde_json::to_value(row).ok()
    }
}
