//! Bulk writes of a build.

use super::{Stored, ViewTable};
use crate::engine::throttle::Throttle;
use crate::engine::view::View;
use gdmarket_store::{Db, StoreError};
use std::collections::HashSet;
use tokio::time::Instant;

/// Rows per transaction while commands come in, which run between two transactions.
const FEW: usize = 200;
/// Rows per transaction without commands.
const MANY: usize = 10_000;

impl<V: View> ViewTable<V> {
    /// Writes the rows of a build; commands go first. `replaced` are the numbers of rows that the table
    /// already has.
    pub(crate) async fn write_many(
        &self,
        db: &Db,
        mut rows: &[&Stored<V::Row>],
        replaced: &HashSet<i64>,
        throttle: &Throttle,
    ) -> Result<(), StoreError> {
        while !rows.is_empty() {
            let began = Instant::now();
            let most = if throttle.is_active() { FEW } else { MANY };
            let (part, rest) = rows.split_at(most.min(rows.len()));
            rows = rest;
            let numbers = part.iter().map(|stored| stored.number);
            let again: Vec<i64> = numbers.filter(|number| replaced.contains(number)).collect();
            let whole = part.iter().map(|stored| self.whole(stored));
            self.rows.write_many(db, whole, &again).await?;
            throttle.pause_after(began).await;
        }
        Ok(())
    }
}
