//! Queries of alarms. Their owners are in the rows of their items.

use super::select::{FilterColumns, Selection, found, one, page};
use super::{Answer, Filter, FoundAlarm, Page, PageRequest, Queries};
use crate::engine::view_table::Stored;
use crate::views::alarms::AlarmRow;
use gdmarket_domain::ItemNo;

impl Queries {
    /// An alarm, by its item's number.
    pub async fn alarm(&self, no: ItemNo) -> Answer<Option<FoundAlarm>> {
        let row = one(self.reader(), &self.0.alarms, no.get()).await?;
        Ok(row.and_then(alarm))
    }

    /// Alarms.
    pub async fn alarms(&self, filter: &Filter, request: PageRequest) -> Answer<Page<FoundAlarm>> {
        let people = Some((self.0.items.name(), "no"));
        let columns = FilterColumns { people, status: "alarm_status", ..FilterColumns::default() };
        let (reader, table) = (self.reader(), &self.0.alarms);
        let selection = Selection { filter, columns, request };
        Ok(page(reader, table, selection).await?.filter_map(alarm))
    }
}

fn alarm(row: Stored<AlarmRow>) -> Option<FoundAlarm> {
    found(row, AlarmRow::body, |row| *row.state())
}
