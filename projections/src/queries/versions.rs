//! A row as of a version of its stream: the view's own fold over the log.

use super::QueryError;
use super::{Answer, Queries};
use crate::engine::projector::{Folded, fold};
use crate::engine::view::View;
use crate::engine::view_table::{Stored, ViewTable};
use gdmarket_store::StreamId;
use std::collections::HashMap;

/// The version that stands for the newest one.
pub const NEWEST: i64 = i64::MAX;

/// Up to this version only the stream is read, which is faster than reading the view first.
const SHORT: i64 = 16;

impl Queries {
    /// The row of a stream at `version`, folded from the view's row if that isn't past the version, else from
    /// the beginning of the stream. A stream that ends before `version` is an answer for [`NEWEST`] alone, and
    /// only if the log is still the one that was opened: any other version was in the log once.
    pub(super) async fn at<V: View>(
        &self,
        table: &ViewTable<V>,
        number: i64,
        version: i64,
    ) -> Answer<Option<Stored<V::Row>>> {
        let kept = if version > SHORT {
            table.load(self.0.store.views(), &[number]).await.unwrap_or_default()
        } else {
            HashMap::new()
        };
        let kept = kept.into_values().find(|row| row.sequence <= version);
        let mut row = kept.unwrap_or_else(|| Stored::new(number));
        row.stale = None;
        if row.sequence < version {
            let stream = StreamId::new(V::AGGREGATE, number);
            let events = self.0.store.log().stream(&stream, row.sequence).await?;
            for event in events.iter().take_while(|event| event.sequence <= version) {
                match fold::<V>(&mut row, event.as_event_ref()) {
                    Folded::Taken | Folded::Old => {}
                    Folded::Newer(what) => return Err(QueryError::Newer(what)),
                    Folded::Poison(reason) => return Err(QueryError::Broken(reason)),
                }
            }
        }
        if row.sequence < version {
            self.0.store.confirm_log().await?;
            if version < NEWEST {
                let stream = StreamId::new(V::AGGREGATE, number);
                let what = format!("{stream} ends before version {version}, which was in the log");
                return Err(QueryError::Unavailable(what));
            }
        }
        Ok((row.sequence > 0).then_some(row))
    }
}
