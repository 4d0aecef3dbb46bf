//! Queries of reservations.

use super::select::{FilterColumns, Selection, found, one, page};
use super::{Answer, Filter, FoundReservation, Page, PageRequest, Queries, repair};
use crate::engine::view_table::Stored;
use crate::views::reservations::ReservationRow;
use crate::views::status::ReservationStatus;
use gdmarket_domain::ReservationNo;

impl Queries {
    /// A reservation.
    pub async fn reservation(&self, no: ReservationNo) -> Answer<Option<FoundReservation>> {
        let row = one(self.reader(), &self.0.reservations, no.get()).await?;
        self.named(row.and_then(reservation)).await
    }

    /// A reservation as of a version of its stream; [`NEWEST`](super::NEWEST) is the newest, read from the log.
    pub async fn reservation_at(
        &self,
        no: ReservationNo,
        version: i64,
    ) -> Answer<Option<FoundReservation>> {
        let row = self.at(&self.0.reservations, no.get(), version).await?;
        self.named(row.and_then(reservation)).await
    }

    /// Reservations.
    pub async fn reservations(
        &self,
        filter: &Filter,
        request: PageRequest,
    ) -> Answer<Page<FoundReservation>> {
        let (reader, table) = (self.reader(), &self.0.reservations);
        let selection = Selection { filter, columns: FilterColumns::default(), request };
        let mut found = page(reader, table, selection).await?.filter_map(reservation);
        self.join_names(&mut found.rows).await?;
        Ok(found)
    }

    async fn named(&self, found: Option<FoundReservation>) -> Answer<Option<FoundReservation>> {
        let mut rows: Vec<_> = found.into_iter().collect();
        self.join_names(&mut rows).await?;
        Ok(rows.pop())
    }

    async fn join_names(&self, found: &mut [FoundReservation]) -> Answer<()> {
        // A rejected reservation never shows a name.
        let accepted =
            found.iter().filter(|found| found.body.status != ReservationStatus::Rejected);
        let accepted = accepted.map(|found| (found.body.reservation_no, found.body.customer_id));
        let mut names = self.names(accepted).await?;
        for found in &mut *found {
            found.body.customer_name = names.remove(&found.number);
        }
        self.join_owners(found).await
    }

    /// Joins the item's owner while the item hasn't answered: the reservation has no owner yet.
    async fn join_owners(&self, found: &mut [FoundReservation]) -> Answer<()> {
        let mut open: Vec<_> = found
            .iter_mut()
            .map(|found| &mut found.body)
            .filter(|body| {
                body.status == ReservationStatus::Requested && body.customer_name.is_some()
            })
            .collect();
        if open.is_empty() {
            return Ok(());
        }
        let items: Vec<i64> = open.iter().map(|body| body.item_no.get()).collect();
        let items = repair::rows(self.reader(), &self.0.items, &items).await?;
        for body in &mut open {
            let item = items.get(&body.item_no.get());
            body.owner_id = item.and_then(|item| item.row.state().owner_id());
        }
        Ok(())
    }
}

fn reservation(row: Stored<ReservationRow>) -> Option<FoundReservation> {
    found(row, ReservationRow::body, |row| row.state().clone())
}
