//! The invariants between events, and between them and receipts.

use super::{Check, Finding, MAX_REPORTED};
use crate::db::Tx;
use crate::error::StoreError;
use crate::log::{NumberKind, NumberUser, lossy};
use crate::on_tx;
use sqlx::Row;

/// Each event with its predecessor in its stream. One pass over the index of streams.
pub(crate) const STEPS: &str = "SELECT aggregate_type, aggregate_id, sequence, position, sequence_before, \
    position_before FROM ( \
    SELECT aggregate_type, aggregate_id, sequence, position, \
    lag(sequence, 1, 0) OVER stream AS sequence_before, \
    lag(position, 1, 0) OVER stream AS position_before FROM events \
    WINDOW stream AS (PARTITION BY aggregate_type, aggregate_id ORDER BY sequence) ) AS steps \
    WHERE sequence <> sequence_before + 1 OR position <= position_before LIMIT $1";

/// Receipts of events that don't exist. One pass over the receipts, and a look-up in the index for each.
const WITHOUT_EVENTS: &str = "SELECT aggregate_type, aggregate_id, first_sequence, event_count \
    FROM receipts r WHERE event_count > 0 AND NOT EXISTS (SELECT 1 FROM events e \
    WHERE e.aggregate_type = r.aggregate_type AND e.aggregate_id = r.aggregate_id \
    AND e.sequence = r.first_sequence + r.event_count - 1) LIMIT $1";

/// Streams of which more, or fewer, events are there than receipts account for. One pass over both.
const ACCOUNTS: &str = "SELECT e.aggregate_type, e.aggregate_id, e.events, \
    coalesce(r.receipted, 0) FROM ( \
    SELECT aggregate_type, aggregate_id, count(*) AS events FROM events \
    GROUP BY aggregate_type, aggregate_id) e LEFT JOIN ( \
    SELECT aggregate_type, aggregate_id, CAST(sum(event_count) AS bigint) AS receipted \
    FROM receipts GROUP BY aggregate_type, aggregate_id) r \
    ON e.aggregate_type = r.aggregate_type AND e.aggregate_id = r.aggregate_id \
    WHERE e.events <> coalesce(r.receipted, 0) LIMIT $1";

/// A stream with its events and those that receipts account for.
type Account = (String, String, i64, i64);

impl Check {
    /// Sequences of each stream begin with 1 and have neither gaps nor doubles, in the order of
    /// positions.
    pub async fn sequences(&mut self) -> Result<Vec<Finding>, StoreError> {
        type Step = (String, String, i64, i64, i64, i64);
        let rows: Result<Vec<Step>, StoreError> = on_tx!(&mut self.snapshot.log, connection => {
            let rows = sqlx::query(STEPS).bind(MAX_REPORTED).fetch_all(connection).await?;
            let step = |row| {
                let number = |column: usize| Row::try_get::<i64, _>(row, column);
                Ok((lossy(row, 0), lossy(row, 1), number(2)?, number(3)?, number(4)?, number(5)?))
            };
            rows.iter().map(step).collect()
        });
        let rows = rows?;
        let finding = |(kind, id, sequence, position, before, position_before): Step| {
            if sequence != before + 1 {
                let code = if sequence == before { "sequence-double" } else { "sequence-gap" };
                let detail =
                    format!("{kind}/{id}: sequence {sequence} at {position} comes after {before}");
                return Finding::fault(code, detail);
            }
            Finding::fault(
                "position-order",
                format!(
                    "{kind}/{id}: sequence {sequence} is at {position}, before its predecessor \
                     at {position_before}"
                ),
            )
        };
        Ok(rows.into_iter().map(finding).collect())
    }

    /// No position is used twice, none is out of range, and the next one is free. Holes are normal.
    pub async fn positions(&mut self) -> Result<Vec<Finding>, StoreError> {
        let sql = "SELECT position, count(*) FROM events GROUP BY position \
                   HAVING count(*) > 1 OR position < 1 ORDER BY position LIMIT $1";
        let rows: Vec<(i64, i64)> = on_tx!(&mut self.snapshot.log, connection => {
            sqlx::query_as(sql).bind(MAX_REPORTED).fetch_all(connection).await?
        });
        let double = |(position, count): (i64, i64)| {
            let detail = format!("position {position} is used {count} times");
            Finding::fault(if count > 1 { "position-double" } else { "position-range" }, detail)
        };
        let mut findings: Vec<Finding> = rows.into_iter().map(double).collect();
        let last: i64 = on_tx!(&mut self.snapshot.log, connection => {
            let sql = "SELECT coalesce(max(position), 0) FROM events";
            sqlx::query_scalar(sql).fetch_one(connection).await?
        });
        // On PostgreSQL not of the snapshot: it may be further by now, which does no harm.
        let sql = match &self.snapshot.log {
            Tx::Postgres(_) => {
                "SELECT coalesce(pg_sequence_last_value( \
                 pg_get_serial_sequence('events', 'position')::regclass), 0)"
            }
            Tx::Sqlite(_) => {
                "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)"
            }
        };
        let allocated: i64 = on_tx!(&mut self.snapshot.log, connection => {
            sqlx::query_scalar(sql).fetch_one(connection).await?
        });
        if allocated < last {
            let detail = format!("the next position is {}, but {last} is used", allocated + 1);
            findings.push(Finding::fault("position-next", detail));
        }
        Ok(findings)
    }

    /// Receipts have their events; events that no receipt accounts for are a warning.
    pub async fn receipts(&mut self) -> Result<Vec<Finding>, StoreError> {
        let rows: Vec<(String, String, i64, i64)> = on_tx!(&mut self.snapshot.log, connection => {
            sqlx::query_as(WITHOUT_EVENTS).bind(MAX_REPORTED).fetch_all(connection).await?
        });
        let missing = |(kind, id, first, count): (String, String, i64, i64)| {
            let last = first + count - 1;
            let detail = format!("{kind}/{id}: a receipt of events {first} to {last}, not there");
            Finding::fault("receipt-without-events", detail)
        };
        let mut findings: Vec<Finding> = rows.into_iter().map(missing).collect();
        let rows: Result<Vec<Account>, StoreError> = on_tx!(&mut self.snapshot.log, connection => {
            let rows = sqlx::query(ACCOUNTS).bind(MAX_REPORTED).fetch_all(connection).await?;
            let account = |row| {
                let number = |column: usize| Row::try_get::<i64, _>(row, column);
                Ok((lossy(row, 0), lossy(row, 1), number(2)?, number(3)?))
            };
            rows.iter().map(account).collect()
        });
        let rows = rows?;
        let differs = |(kind, id, events, receipted): (String, String, i64, i64)| {
            let detail = format!("{kind}/{id}: {events} events, receipts of {receipted}");
            if events > receipted {
                Finding::warning("event-without-receipt", detail)
            } else {
                Finding::fault("receipt-double", detail)
            }
        };
        findings.extend(rows.into_iter().map(differs));
        Ok(findings)
    }

    /// Numbers that are allocated next are not in use. One pass over the index of streams.
    pub async fn numbers(&mut self, kinds: &[NumberKind<'_>]) -> Result<Vec<Finding>, StoreError> {
        let mut findings = Vec::new();
        for of in kinds {
            let last: Option<i64> = on_tx!(&mut self.snapshot.log, connection => {
                let sql = "SELECT last FROM numbers WHERE kind = $1";
                sqlx::query_scalar(sql).bind(of.kind).fetch_optional(connection).await?
            });
            let last = last.unwrap_or(0);
            // An id that is no number is reported when its row is read.
            for user in of.users(matches!(&self.snapshot.log, Tx::Postgres(_))) {
                let highest: Option<i64> = on_tx!(&mut self.snapshot.log, connection => {
                    sqlx::query_scalar(&user.highest).fetch_one(connection).await?
                });
                let used = highest.filter(|highest| last < *highest);
                findings.extend(used.map(|highest| behind(of.kind, last, &user, highest)));
            }
        }
        Ok(findings)
    }
}

fn behind(kind: &str, last: i64, user: &NumberUser, highest: i64) -> Finding {
    let (next, name) = (last + 1, &user.name);
    let detail = format!("the next number of {kind} is {next}, but {name}{highest}");
    Finding::fault("number-behind", detail)
}
