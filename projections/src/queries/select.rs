//! Reading rows of a view's table: one by its number, or a page by filters.

use super::QueryError;
use super::repair::rebuilt;
use super::{Answer, Filter, Found, Page, PageRequest, Stale};
use crate::engine::view::View;
use crate::engine::view_table::{Raw, Stored, ViewTable, read_row};
use gdmarket_store::{Store, StoreError, on_db};
use sqlx::QueryBuilder;

/// The number of a row, and its columns or why they can't be read.
type Numbered = (i64, Result<Raw, String>);

/// How a filter reaches a view whose rows don't hold the column themselves.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Via<'a> {
    /// The table that holds owner and renter, and the column here that is its number.
    pub(super) people: Option<(&'a str, &'a str)>,
}

/// The row of a number, unless it is gone. Where the first event can't be folded, something is there and
/// it is unknown what.
pub(super) async fn one<V: View>(
    store: &Store,
    table: &ViewTable<V>,
    number: i64,
) -> Answer<Option<Stored<V::Row>>> {
    let mut looked_up = table.look_up(store.views(), &[number]).await?;
    let found = match looked_up.broken.remove(&number) {
        Some(why) => rebuilt::<V>(store, number, why).await?,
        None => looked_up.rows.remove(&number),
    };
    if let Some(Stored { sequence: 0, stale: Some((_, reason)), .. }) = found {
        return Err(QueryError::Broken(reason));
    }
    Ok(found.filter(|stored| !V::is_gone(&stored.row)))
}

/// The rows that a filter lets pass, ascending by number; one more than the limit is read to know
/// whether there is another page.
pub(super) async fn page<V: View>(
    store: &Store,
    table: &ViewTable<V>,
    filter: &Filter,
    request: PageRequest,
    via: Via<'_>,
) -> Answer<Page<Stored<V::Row>>> {
    let limit = i64::from(request.limit.max(1));
    let raw: Result<Vec<Numbered>, StoreError> = on_db!(store.views(), pool => {
        let mut query = QueryBuilder::new(table.select_sql());
        query.push(" WHERE gone = 0 AND no > ").push_bind(request.after);
        if let Some(item_no) = filter.item_no {
            query.push(format!(" AND {} = ", V::ITEM_NO)).push_bind(item_no);
        }
        if let Some(status) = &filter.status {
            query.push(" AND status = ").push_bind(status.clone());
        }
        for (column, id) in [("owner_id", filter.owner_id), ("customer_id", filter.customer_id)] {
            let Some(id) = id else { continue };
            match via.people {
                None => query.push(format!(" AND {column} = ")).push_bind(id),
                Some((people, key)) => query
                    .push(format!(" AND {key} IN (SELECT no FROM {people} WHERE {column} = "))
                    .push_bind(id)
                    .push(")"),
            };
        }
        query.push(" ORDER BY no LIMIT ").push_bind(limit + 1);
        let found = query.build().fetch_all(pool).await.map_err(StoreError::from)?;
        found.iter().map(read_row).collect()
    });
    let mut raw = raw?;
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = raw.len() > wanted;
    raw.truncate(wanted);
    let next = raw.last().filter(|_| more).map(|(number, _)| *number);
    let mut rows = Vec::with_capacity(raw.len());
    for (number, raw) in raw {
        match table.decode((number, raw)) {
            Ok(row) => rows.push(row),
            Err(why) => {
                let rebuilt = rebuilt::<V>(store, number, why).await?;
                rows.extend(rebuilt.filter(|row| !V::is_gone(&row.row)));
            }
        }
    }
    Ok(Page { rows, next })
}

/// A row as it is shown; `None` if nothing is.
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
    /// The same page of what is shown of its rows.
    pub(super) fn filter_map<U>(self, show: impl FnMut(T) -> Option<U>) -> Page<U> {
        Page { rows: self.rows.into_iter().filter_map(show).collect(), next: self.next }
    }
}
