//! The taken days of an item, without the people who took them.

use super::ItemRow;
use chrono::NaiveDate;
use gdmarket_domain::Span;
use serde::Serialize;

/// An item's taken days, merged and in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Calendar {
    /// Half-open ranges. The last one has no end if the item is taken until it is returned.
    pub busy: Vec<Busy>,
}

/// A range of taken days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Busy {
    /// The days.
    #[serde(flatten)]
    pub span: Span,
    /// Whether an overdue rental is among them; the range then ends today, if not later.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub overdue: bool,
}

impl ItemRow {
    /// The taken days as of `today`, merged; with `from` or `to`, the ranges that overlap that period.
    pub(crate) fn calendar(
        &self,
        from: Option<NaiveDate>,
        to: Option<NaiveDate>,
        today: NaiveDate,
    ) -> Calendar {
        let taken = |span: Span| Busy { span, overdue: false };
        let rental = self.state().rental().map(|rental| Busy {
            span: rental.span.through(today),
            overdue: rental.span.is_over(today),
        });
        let holds = self.state().holds().iter().map(|hold| taken(hold.span));
        let blocks = self.state().blocks().iter().map(|block| taken(Span::from(*block)));
        let mut all: Vec<Busy> = holds.chain(blocks).chain(rental).collect();
        all.sort_by_key(|busy| busy.span.from);
        let mut busy = merged(all);
        busy.retain(|Busy { span, .. }| {
            to.is_none_or(|to| span.from < to)
                && from.is_none_or(|from| span.to.is_none_or(|end| from < end))
        });
        Calendar { busy }
    }
}

/// Joins adjacent ranges, so that the bookings can't be counted.
fn merged(sorted: Vec<Busy>) -> Vec<Busy> {
    let mut all: Vec<Busy> = vec![];
    for busy in sorted {
        match all.last_mut() {
            Some(last) if last.span.to.is_none_or(|end| busy.span.from <= end) => {
                last.span.to = last.span.to.zip(busy.span.to).map(|(one, other)| one.max(other));
                last.overdue |= busy.overdue;
            }
            Some(_) | None => all.push(busy),
        }
    }
    all
}
