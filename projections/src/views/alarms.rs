//! The view of alarms: one row per alarm stream; an alarm has its item's number.

use super::status::AlarmStatus;
use crate::engine::view::{Column, FoldError, View};
use cqrs_es::Aggregate;
use gdmarket_domain::{Alarm, AlarmEvent, ItemNo, MarketEvent, ViewName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The view behind `/alarms`.
#[derive(Debug, Clone, Copy)]
pub struct Alarms;

/// The row of an alarm.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmRow {
    state: Alarm,
    item_no: Option<ItemNo>,
}

/// An item's alarm; it has the item's number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Alarm)]
#[expect(missing_docs, reason = "the names say it, in the OpenAPI document too")]
pub struct AlarmBody {
    #[schema(value_type = i64)]
    pub alarm_no: ItemNo,
    #[schema(value_type = i64)]
    pub item_no: ItemNo,
    pub alarm_status: AlarmStatus,
}

impl View for Alarms {
    const NAME: &'static str = ViewName::Alarms.name();
    const VERSION: u32 = 2;
    const AGGREGATE: &'static str = Alarm::TYPE;
    const COLUMNS: &'static [Column<AlarmRow>] = &[
        Column::indexed(Column::number("item_no", |row| row.item_no.map(ItemNo::get))),
        Column::indexed(Column::text("alarm_status", |row| Some(row.status()?.as_str()))),
    ];
    type Row = AlarmRow;

    fn fold(row: &mut AlarmRow, event: MarketEvent) -> Result<(), FoldError> {
        let MarketEvent::Alarm(event) = event else {
            return Err(FoldError::Foreign);
        };
        row.item_no = Some(match event {
            AlarmEvent::Alerted { item_no }
            | AlarmEvent::DeleteAlerted { item_no }
            | AlarmEvent::Withdrawn { item_no } => item_no,
        });
        row.state.apply(event);
        Ok(())
    }

    fn is_gone(row: &AlarmRow) -> bool {
        row.status().is_none()
    }

    fn body(row: &Self::Row) -> Option<serde_json::Value> {
        row.body().map(|body| serde_json::json!(body))
    }
}

impl AlarmRow {
    /// The aggregate's state.
    pub const fn state(&self) -> &Alarm {
        &self.state
    }

    /// The last announcement; a withdrawn alarm has none.
    pub(crate) const fn status(&self) -> Option<AlarmStatus> {
        match self.state {
            Alarm::Alerted => Some(AlarmStatus::Alerted),
            Alarm::DeleteAlerted => Some(AlarmStatus::DeleteAlerted),
            Alarm::Silent | Alarm::Withdrawn => None,
        }
    }

    /// The member of `/alarms`.
    pub(crate) fn body(&self) -> Option<AlarmBody> {
        let item_no = self.item_no?;
        Some(AlarmBody { alarm_no: item_no, item_no, alarm_status: self.status()? })
    }
}
