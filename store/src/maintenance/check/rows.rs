//! The rows that a check reads: all events in the order of positions, receipts by the ids of commands, and the
//! positions that process managers have parked or dropped.

use super::{Check, Finding};
use crate::db::Tx;
use crate::db::sqlite::is_about_a_value;
use crate::error::StoreError;
use crate::log::{RecordedEvent, outcomes};
use crate::on_tx;
use crate::subscription::Deadlines;
use std::collections::{BTreeSet, HashMap};
use uuid::Uuid;

/// The code of the finding that no other finding can be relied on after.
pub const FILE_DAMAGED: &str = "file-damaged";
/// Events of one statement.
const PAGE: i64 = 4_096;

impl Check {
    /// The next events after a position, damaged rows among them; none at the end of the log. Metadata are
    /// those of the row, byte for byte as far as they are text.
    pub async fn page(&mut self, after: i64) -> Result<Vec<RecordedEvent>, StoreError> {
        let columns = RecordedEvent::COLUMNS;
        let sql =
            format!("SELECT {columns} FROM events WHERE position > $1 ORDER BY position LIMIT $2");
        on_tx!(&mut self.snapshot.log, connection => {
            let query = sqlx::query(&sql).bind(after).bind(PAGE);
            query.fetch_all(connection).await?.iter().map(RecordedEvent::from_row).collect()
        })
    }

    /// The faults that SQLite finds in the pages of its files; none on PostgreSQL, whose own tools do that.
    /// Reads both files whole.
    pub async fn files(&mut self) -> Result<Vec<Finding>, StoreError> {
        let mut findings = pages("log.db", &mut self.snapshot.log).await?;
        if let Tx::Sqlite(_) = self.snapshot.log {
            findings.extend(pages("views.db", self.snapshot.views()).await?);
        }
        Ok(findings)
    }

    /// How many streams there are. One pass over the index of streams.
    pub async fn count_streams(&mut self) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM events WHERE sequence = 1";
        let count: i64 = on_tx!(&mut self.snapshot.log, connection => {
            sqlx::query_scalar(sql).fetch_one(connection).await?
        });
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// The receipts of these commands, as far as there are any: the code of the refusal, if it is one.
    pub async fn outcomes(
        &mut self,
        ids: &[Uuid],
    ) -> Result<HashMap<Uuid, Option<String>>, StoreError> {
        outcomes(&mut self.snapshot.log, ids).await
    }

    /// Which of these deadlines of a manager wait for their time.
    pub async fn deadlines_of(
        &mut self,
        manager: &str,
        keys: &[&str],
    ) -> Result<BTreeSet<String>, StoreError> {
        Deadlines::present(self.snapshot.views(), manager, keys).await
    }

    /// How far a subscription is in this log; `None` if it never ran.
    pub async fn reached(&mut self, subscription: &str) -> Result<Option<i64>, StoreError> {
        let (log_id, epoch) = (self.identity.log_id.to_string(), self.identity.epoch);
        let sql = "SELECT position FROM checkpoints \
                   WHERE subscription = $1 AND source = $2 AND log_epoch = $3";
        on_tx!(self.snapshot.views(), connection => {
            let query = sqlx::query_scalar(sql).bind(subscription).bind(log_id).bind(epoch);
            Ok(query.fetch_optional(connection).await?)
        })
    }

    /// Whether a subscriber also reads logs of other services, which can't be checked here.
    pub async fn reads_other_services(&mut self, subscriber: &str) -> Result<bool, StoreError> {
        let sql = "SELECT count(*) > 0 FROM checkpoints \
                   WHERE subscription = $1 AND source IN (SELECT log_id FROM sources)";
        on_tx!(self.snapshot.views(), connection => {
            Ok(sqlx::query_scalar(sql).bind(subscriber).fetch_one(connection).await?)
        })
    }

    /// Whether a view of this name and version was built.
    pub async fn is_built(&mut self, view: &str) -> Result<bool, StoreError> {
        let sql = "SELECT count(*) FROM generations WHERE view = $1";
        let count: i64 = on_tx!(self.snapshot.views(), connection => {
            sqlx::query_scalar(sql).bind(view).fetch_one(connection).await?
        });
        Ok(count > 0)
    }

    /// The positions of a subscription that are queued behind a parked key, or dropped.
    pub async fn skipped(&mut self, subscription: &str) -> Result<BTreeSet<i64>, StoreError> {
        let sql = "SELECT position FROM parked_events WHERE subscription = $1 \
                   UNION SELECT position FROM dropped WHERE subscription = $1";
        let positions: Vec<i64> = on_tx!(self.snapshot.views(), connection => {
            sqlx::query_scalar(sql).bind(subscription).fetch_all(connection).await?
        });
        Ok(positions.into_iter().collect())
    }

    /// The transaction that tables of views are read in.
    pub const fn views(&mut self) -> &mut Tx {
        self.snapshot.views()
    }
}

async fn pages(file: &str, tx: &mut Tx) -> Result<Vec<Finding>, StoreError> {
    let Tx::Sqlite(tx) = tx else { return Ok(vec![]) };
    let found =
        sqlx::query_scalar::<_, String>("PRAGMA quick_check(20)").fetch_all(&mut **tx).await;
    let fault = |line: String| {
        let code = if is_about_a_value(&line) { "value-type" } else { FILE_DAMAGED };
        Finding::fault(code, format!("{file}: {line}"))
    };
    match found.map_err(StoreError::from) {
        Ok(lines) => Ok(lines.into_iter().filter(|line| line != "ok").map(fault).collect()),
        Err(StoreError::Damaged(why) | StoreError::Corrupt(why)) => Ok(vec![fault(why)]),
        Err(error) => Err(error),
    }
}
