//! Rows as arrays, one per column: on PostgreSQL whatever their number is the same prepared statement.

use super::Whole;
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;

#[derive(Default)]
struct Columns {
    numbers: Vec<i64>,
    sequences: Vec<i64>,
    gone: Vec<i64>,
    owners: Vec<Option<i64>>,
    customers: Vec<Option<i64>>,
    items: Vec<Option<i64>>,
    reservations: Vec<Option<i64>>,
    statuses: Vec<Option<String>>,
    stale_since: Vec<Option<i64>>,
    stale_reasons: Vec<Option<String>>,
    documents: Vec<String>,
}

/// Binds the rows, column by column.
pub(super) fn bind(
    query: Query<'_, Postgres, PgArguments>,
    rows: Vec<Whole>,
) -> Query<'_, Postgres, PgArguments> {
    let mut columns = Columns::default();
    for row in rows {
        columns.push(row);
    }
    query
        .bind(columns.numbers)
        .bind(columns.sequences)
        .bind(columns.gone)
        .bind(columns.owners)
        .bind(columns.customers)
        .bind(columns.items)
        .bind(columns.reservations)
        .bind(columns.statuses)
        .bind(columns.stale_since)
        .bind(columns.stale_reasons)
        .bind(columns.documents)
}

impl Columns {
    fn push(&mut self, row: Whole) {
        let (
            number,
            sequence,
            gone,
            owner,
            customer,
            item,
            reservation,
            status,
            since,
            reason,
            doc,
        ) = row;
        self.numbers.push(number);
        self.sequences.push(sequence);
        self.gone.push(gone);
        self.owners.push(owner);
        self.customers.push(customer);
        self.items.push(item);
        self.reservations.push(reservation);
        self.statuses.push(status);
        self.stale_since.push(since);
        self.stale_reasons.push(reason);
        self.documents.push(doc);
    }
}
