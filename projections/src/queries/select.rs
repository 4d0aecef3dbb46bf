//! Reading rows of a view's table: one by its number, or a page by filters.

use super::QueryError;
use super::repair::{ViewReader, rebuilt};
use super::{Answer, Filter, Found, Page, PageRequest, Stale};
use crate::engine::view::View;
use crate::engine::view_table::{Stored, ViewTable};
use gdmarket_store::{Condition, PageQuery};

/// The columns of a view's table that the fields of a [`Filter`] select by.
#[derive(Debug, Clone, Copy)]
pub(super) struct FilterColumns<'a> {
    /// The item's number.
    pub(super) item_no: &'a str,
    /// The status.
    pub(super) status: &'a str,
    /// The table that has owner and renter, and the column here that refers to it; `None` if the rows have
    /// them themselves.
    pub(super) people: Option<(&'a str, &'a str)>,
}

impl Default for FilterColumns<'_> {
    fn default() -> Self {
        Self { item_no: "item_no", status: "status", people: None }
    }
}

impl FilterColumns<'_> {
    fn conditions<'f>(&'f self, filter: &'f Filter) -> Vec<Condition<'f>> {
        let mut all = vec![];
        all.extend(filter.item_no.map(|item_no| Condition::Number(self.item_no, item_no)));
        all.extend(filter.status.as_deref().map(|status| Condition::Text(self.status, status)));
        for (of, id) in [("owner_id", filter.owner_id), ("customer_id", filter.customer_id)] {
            all.extend(id.map(|number| match self.people {
                None => Condition::Number(of, number),
                Some((table, column)) => Condition::Of { column, table, of, number },
            }));
        }
        all
    }
}

/// The rows of a table that a page shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Selection<'a> {
    pub(super) filter: &'a Filter,
    /// The columns that the filter applies to.
    pub(super) columns: FilterColumns<'a>,
    pub(super) request: PageRequest,
}

/// The row of a number, unless it is gone. If even the first event can't be folded, the query fails: the
/// resource exists, but its state is unknown.
pub(super) async fn one<V: View>(
    reader: ViewReader<'_>,
    table: &ViewTable<V>,
    number: i64,
) -> Answer<Option<Stored<V::Row>>> {
    let mut looked_up = table.look_up(reader.store.views(), &[number]).await?;
    let found = match looked_up.broken.remove(&number) {
        Some(why) => rebuilt::<V>(reader, number, why).await?,
        None => looked_up.rows.remove(&number),
    };
    if let Some(Stored { sequence: 0, stale: Some(stale), .. }) = found {
        return Err(QueryError::Broken(stale.reason));
    }
    Ok(found.filter(|stored| !V::is_gone(&stored.row)))
}

/// The selected rows, ascending by number. One more than the limit is read, to know whether there
/// is another page.
pub(super) async fn page<V: View>(
    reader: ViewReader<'_>,
    table: &ViewTable<V>,
    Selection { filter, columns, request }: Selection<'_>,
) -> Answer<Page<Stored<V::Row>>> {
    let limit = i64::from(request.limit.max(1));
    let conditions = columns.conditions(filter);
    let query = PageQuery { conditions, after: request.after, limit: limit + 1 };
    let mut found = table.page(reader.store.views(), &query).await?;
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > most;
    found.truncate(most);
    let next = found.last().filter(|_| more).map(|(number, _)| *number);
    let mut rows = Vec::with_capacity(found.len());
    for (number, row) in found {
        match row {
            Ok(row) => rows.push(row),
            Err(why) => {
                let rebuilt = rebuilt::<V>(reader, number, why).await?;
                rows.extend(rebuilt.filter(|row| !V::is_gone(&row.row)));
            }
        }
    }
    Ok(Page { rows, next })
}

/// A row as a resource; `None` if it isn't shown.
pub(super) fn found<R, B, A>(
    row: Stored<R>,
    body: impl Fn(&R) -> Option<B>,
    aggregate: impl Fn(&R) -> A,
) -> Option<Found<B, A>> {
    Some(Found {
        number: row.number,
        version: row.sequence,
        stale: row.stale.map(Stale::from),
        body: body(&row.row)?,
        state: aggregate(&row.row),
    })
}

impl<T> Page<T> {
    /// Maps the rows of the page, and leaves out those without a result.
    pub(super) fn filter_map<U>(self, show: impl FnMut(T) -> Option<U>) -> Page<U> {
        Page { rows: self.rows.into_iter().filter_map(show).collect(), next: self.next }
    }
}
