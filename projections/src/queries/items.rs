//! Queries of items: the item, the owner's integrated view, and the calendar.

use super::QueryError;
use super::select::{FilterColumns, Selection, found, one, page};
use super::{
    Answer, Filter, Found, FoundItem, FoundItemInfo, Page, PageRequest, Queries, Stale, repair,
};
use crate::engine::view::View as _;
use crate::engine::view_table::Stored;
use crate::views::items::{Calendar, ItemInfo, ItemInfoBody, ItemRow};
use chrono::NaiveDate;
use gdmarket_domain::{Item, ItemEvent, ItemNo, MarketEvent};

/// The number of a row is the item's number.
const BY_NUMBER: FilterColumns<'static> =
    FilterColumns { item_no: "no", status: "item_status", people: None };

impl Queries {
    /// An item on the market.
    pub async fn item(&self, no: ItemNo) -> Answer<Option<FoundItem>> {
        let row = one(self.reader(), &self.0.items, no.get()).await?;
        Ok(row.and_then(item))
    }

    /// An item as of a version of its stream, even if that version deleted it; [`NEWEST`](super::NEWEST) is the newest, read
    /// from the log.
    pub async fn item_at(&self, no: ItemNo, version: i64) -> Answer<Option<FoundItem>> {
        Ok(self.at(&self.0.items, no.get(), version).await?.and_then(item))
    }

    /// An item from the first event of its stream, without reading the log.
    pub fn new_item(&self, no: ItemNo, event: ItemEvent) -> Answer<Option<FoundItem>> {
        let mut stored = Stored::new(no.get());
        ItemInfo::fold(&mut stored.row, MarketEvent::Item(event))
            .map_err(|error| QueryError::Broken(error.to_string()))?;
        stored.sequence = 1;
        Ok(item(stored))
    }

    /// Items on the market.
    pub async fn items(&self, filter: &Filter, request: PageRequest) -> Answer<Page<FoundItem>> {
        let (reader, table) = (self.reader(), &self.0.items);
        let selection = Selection { filter, columns: BY_NUMBER, request };
        Ok(page(reader, table, selection).await?.filter_map(item))
    }

    /// The integrated view of an item.
    pub async fn item_info(&self, no: ItemNo) -> Answer<Option<FoundItemInfo>> {
        let row = one(self.reader(), &self.0.items, no.get()).await?;
        let mut rows: Vec<_> = row.and_then(info).into_iter().collect();
        self.join(&mut rows).await?;
        Ok(rows.pop())
    }

    /// The integrated view of items.
    pub async fn item_infos(
        &self,
        filter: &Filter,
        request: PageRequest,
    ) -> Answer<Page<FoundItemInfo>> {
        let (reader, table) = (self.reader(), &self.0.items);
        let selection = Selection { filter, columns: BY_NUMBER, request };
        let mut infos = page(reader, table, selection).await?.filter_map(info);
        self.join(&mut infos.rows).await?;
        Ok(infos)
    }

    /// The taken days of an item as of `today`, between two days where given.
    pub async fn calendar(
        &self,
        no: ItemNo,
        from: Option<NaiveDate>,
        to: Option<NaiveDate>,
        today: NaiveDate,
    ) -> Answer<Option<Found<Calendar, Item>>> {
        let row = one(self.reader(), &self.0.items, no.get()).await?;
        let calendar = |row: &ItemRow| Some(row.calendar(from, to, today));
        Ok(row.and_then(|row| found(row, calendar, |row| row.state().clone())))
    }

    /// Joins the alarm and the renter's name.
    async fn join(&self, infos: &mut [FoundItemInfo]) -> Answer<()> {
        let numbers: Vec<i64> = infos.iter().map(|info| info.number).collect();
        let mut alarms = repair::rows(self.reader(), &self.0.alarms, &numbers).await?;
        let shown = infos.iter().filter_map(|info| {
            let ItemInfoBody { item, joined } = &info.body;
            item.reservation_no.zip(joined.customer_id)
        });
        let names = self.names(shown).await?;
        for info in infos {
            // A stale row of the alarm makes this row stale, too.
            if let Some(alarm) = alarms.remove(&info.number) {
                info.body.joined.alarm_status = alarm.row.status();
                let stale = alarm.stale.map(Stale::from);
                info.stale = info.stale.take().or(stale);
            }
            let shown = info.body.item.reservation_no;
            info.body.joined.customer_name = shown.and_then(|no| names.get(&no.get()).cloned());
        }
        Ok(())
    }
}

fn item(row: Stored<ItemRow>) -> Option<FoundItem> {
    found(row, ItemRow::body, |row| row.state().clone())
}

fn info(row: Stored<ItemRow>) -> Option<FoundItemInfo> {
    found(row, ItemRow::info_body, |row| row.state().clone())
}
