//! The taken days of an item, without the bookings that take them.

use super::ItemRow;
use chrono::NaiveDate;
use gdmarket_domain::Span;
use serde::Serialize;
use utoipa::ToSchema;

/// Days that are taken, without a word of by whom.
// The texts of these types are part of the OpenAPI document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Calendar {
    /// Merged and in order.
    pub busy: Vec<Busy>,
}

/// A range of taken days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Busy {
    /// The first day taken.
    pub from: NaiveDate,
    /// The first day free again; `null` until the item is returned.
    #[schema(required)]
    pub to: Option<NaiveDate>,
    /// There, and `true`, while something that should be back is not: then today is taken at least.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub overdue: bool,
}

impl Busy {
    const fn days(Span { from, to }: Span) -> Self {
        Self { from, to, overdue: false }
    }
}

impl ItemRow {
    /// The taken days as of `today`, merged; with `from` or `to`, the ranges that overlap that period.
    pub(crate) fn calendar(
        &self,
        from: Option<NaiveDate>,
        to: Option<NaiveDate>,
        today: NaiveDate,
    ) -> Calendar {
        let rental = self.state().rental().map(|rental| Busy {
            overdue: rental.span.is_over(today),
            ..Busy::days(rental.span.through(today))
        });
        let holds = self.state().holds().iter().map(|hold| Busy::days(hold.span));
        let blocks = self.state().blocks().iter().map(|block| Busy::days(Span::from(*block)));
        let mut all: Vec<Busy> = holds.chain(blocks).chain(rental).collect();
        all.sort_by_key(|busy| busy.from);
        let mut busy = merged(all);
        busy.retain(|busy| {
            to.is_none_or(|to| busy.from < to)
                && from.is_none_or(|from| busy.to.is_none_or(|end| from < end))
        });
        Calendar { busy }
    }
}

/// Joins adjacent ranges, so that the bookings can't be counted.
fn merged(sorted: Vec<Busy>) -> Vec<Busy> {
    let mut all: Vec<Busy> = vec![];
    for busy in sorted {
        match all.last_mut() {
            Some(last) if last.to.is_none_or(|end| busy.from <= end) => {
                last.to = last.to.zip(busy.to).map(|(one, other)| one.max(other));
                last.overdue |= busy.overdue;
            }
            Some(_) | None => all.push(busy),
        }
    }
    all
}
