//! Which days of an item are taken, without a word of by whom.

use super::ItemRow;
use chrono::NaiveDate;
use gdmarket_domain::Span;
use serde::Serialize;

/// An item's taken days, merged and in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Calendar {
    /// Half-open stretches; the last may be without end: until returned.
    pub busy: Vec<Span>,
}

impl ItemRow {
    /// The taken days between `from` and `to`, where given; stretches are shown whole.
    pub(crate) fn calendar(&self, from: Option<NaiveDate>, to: Option<NaiveDate>) -> Calendar {
        let holds = self.state().holds().iter().chain(self.state().rental()).map(|b| b.span);
        let blocks = self.state().blocks().iter().map(|block| Span::from(*block));
        let asked = |span: &Span| {
            to.is_none_or(|to| span.from < to)
                && from.is_none_or(|from| span.to.is_none_or(|end| from < end))
        };
        let mut spans: Vec<Span> = holds.chain(blocks).filter(asked).collect();
        spans.sort_by_key(|span| span.from);
        Calendar { busy: merged(spans) }
    }
}

/// Joins what touches, so that nobody can count the bookings.
fn merged(sorted: Vec<Span>) -> Vec<Span> {
    let mut busy: Vec<Span> = vec![];
    for span in sorted {
        match busy.last_mut() {
            Some(last) if last.to.is_none_or(|end| span.from <= end) => {
                last.to = last.to.zip(span.to).map(|(one, other)| one.max(other));
            }
            Some(_) | None => busy.push(span),
        }
    }
    busy
}
