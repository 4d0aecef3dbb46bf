//! Queries of payment attempts. Their owners and renters are in the rows of their reservations.

use super::select::{FilterColumns, Selection, found, one, page};
use super::{Answer, Filter, FoundPayment, Page, PageRequest, Queries};
use crate::engine::view_table::Stored;
use crate::views::payments::PaymentRow;
use gdmarket_domain::PaymentNo;

impl Queries {
    /// A payment attempt.
    pub async fn payment(&self, no: PaymentNo) -> Answer<Option<FoundPayment>> {
        let row = one(self.reader(), &self.0.payments, no.get()).await?;
        Ok(row.and_then(payment))
    }

    /// A payment attempt as of a version of its stream; [`NEWEST`](super::NEWEST) is the newest, read from the
    /// log.
    pub async fn payment_at(&self, no: PaymentNo, version: i64) -> Answer<Option<FoundPayment>> {
        Ok(self.at(&self.0.payments, no.get(), version).await?.and_then(payment))
    }

    /// Payment attempts.
    pub async fn payments(
        &self,
        filter: &Filter,
        request: PageRequest,
    ) -> Answer<Page<FoundPayment>> {
        let people = Some((self.0.reservations.name(), "reservation_no"));
        let columns = FilterColumns { people, ..FilterColumns::default() };
        let (reader, table) = (self.reader(), &self.0.payments);
        let selection = Selection { filter, columns, request };
        Ok(page(reader, table, selection).await?.filter_map(payment))
    }
}

fn payment(row: Stored<PaymentRow>) -> Option<FoundPayment> {
    found(row, PaymentRow::body, |row| row.state().clone())
}
