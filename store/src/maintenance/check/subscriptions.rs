//! The check of subscriptions: their checkpoints, parked keys and deadlines must refer to something that exists.

use super::{Check, Finding, KnownSubscriptions, MAX_REPORTED};
use crate::error::StoreError;
use crate::on_tx;
use crate::subscription::SubscriptionId;
use sqlx::QueryBuilder;
use std::collections::BTreeSet;

/// Queued positions that are looked up at once.
const PAGE: i64 = 500;

impl Check {
    /// Checkpoints are of this log and not past its end, and belong to a subscription of this program.
    pub async fn checkpoints(
        &mut self,
        known: KnownSubscriptions<'_>,
    ) -> Result<Vec<Finding>, StoreError> {
        let head: i64 = on_tx!(&mut self.snapshot.log, connection => {
            let sql = "SELECT coalesce(max(position), 0) FROM events";
            sqlx::query_scalar(sql).fetch_one(connection).await?
        });
        // Only the other services can say where their logs end.
        let rows: Vec<(String, String, i64, i64)> = on_tx!(self.snapshot.views(), connection => {
            let sql = "SELECT subscription, source, log_epoch, position FROM checkpoints \
                       WHERE source NOT IN (SELECT log_id FROM sources) \
                       ORDER BY subscription, source";
            sqlx::query_as(sql).fetch_all(connection).await?
        });
        let own = self.identity.log_id.to_string();
        let mut findings = Vec::new();
        for (subscription, source, epoch, position) in rows {
            if !known.has(&subscription) {
                let detail = format!("this program has no subscription {subscription}");
                findings.push(Finding::warning("checkpoint-unknown", detail));
            }
            if source != own {
                let detail = format!("{subscription} reads the log {source}");
                findings.push(Finding::warning("checkpoint-other-log", detail));
            } else if epoch != self.identity.epoch {
                let detail = format!(
                    "{subscription} is in epoch {epoch}, the log is in {}",
                    self.identity.epoch
                );
                findings.push(Finding::fault("checkpoint-other-epoch", detail));
            } else if position > head {
                let detail = format!("{subscription} is at {position}, the log ends at {head}");
                findings.push(Finding::fault("checkpoint-past-head", detail));
            }
        }
        Ok(findings)
    }

    /// Queued events queue behind a parked key and are in the log; each parked key is a warning.
    pub async fn parked(
        &mut self,
        known: KnownSubscriptions<'_>,
    ) -> Result<Vec<Finding>, StoreError> {
        let rows: Vec<(String, i64)> = on_tx!(self.snapshot.views(), connection => {
            let sql = "SELECT subscription, count(*) FROM parked GROUP BY subscription \
                       ORDER BY subscription";
            sqlx::query_as(sql).fetch_all(connection).await?
        });
        let mut findings = Vec::new();
        for (subscription, count) in rows {
            let detail = format!("{subscription}: {count} keys are parked");
            findings.push(Finding::warning("parked", detail));
            if !known.has(&subscription) {
                let detail = format!(
                    "{subscription}: {count} keys, but this program has no such subscription"
                );
                findings.push(Finding::warning("parked-unknown", detail));
            }
        }
        findings.extend(self.parked_keys().await?);
        let rows: Vec<(String, String, i64)> = on_tx!(self.snapshot.views(), connection => {
            let sql = "SELECT subscription, key, min(position) FROM parked_events e \
                       WHERE NOT EXISTS (SELECT 1 FROM parked p WHERE p.subscription = \
                       e.subscription AND p.key = e.key) GROUP BY subscription, key \
                       ORDER BY subscription, key LIMIT $1";
            sqlx::query_as(sql).bind(MAX_REPORTED).fetch_all(connection).await?
        });
        findings.extend(rows.into_iter().map(|(subscription, key, position)| {
            let detail = format!(
                "{subscription} {key}: event {position} queues behind a key that is not parked"
            );
            Finding::fault("queue-without-parked", detail)
        }));
        findings.extend(self.blocked_deadlines().await?);
        findings.extend(self.queued().await?);
        Ok(findings)
    }

    /// Deadlines whose reaction was refused.
    async fn blocked_deadlines(&mut self) -> Result<Vec<Finding>, StoreError> {
        let rows: Vec<(String, String, String)> = on_tx!(self.snapshot.views(), connection => {
            let sql = "SELECT p.manager, p.key, p.problem FROM deadline_problems p \
                       JOIN deadlines d USING (manager, key, due_at) \
                       ORDER BY p.manager, p.key LIMIT $1";
            sqlx::query_as(sql).bind(MAX_REPORTED).fetch_all(connection).await?
        });
        let finding = |(manager, key, problem): (String, String, String)| {
            let detail = format!("{manager} {key}: the deadline can't be done: {problem}");
            Finding::warning("parked", detail)
        };
        Ok(rows.into_iter().map(finding).collect())
    }

    /// The first parked keys, each with the event that couldn't be processed.
    async fn parked_keys(&mut self) -> Result<Vec<Finding>, StoreError> {
        let rows: Vec<(String, String, i64, String)> = on_tx!(self.snapshot.views(), connection => {
            let sql = "SELECT subscription, key, since_position, reason FROM parked \
                       ORDER BY since_position, subscription, key LIMIT $1";
            sqlx::query_as(sql).bind(MAX_REPORTED).fetch_all(connection).await?
        });
        let finding = |(subscription, key, position, reason): (String, String, i64, String)| {
            let detail = format!("position {position}: {subscription} has parked {key}: {reason}");
            Finding::warning("parked-key", detail)
        };
        Ok(rows.into_iter().map(finding).collect())
    }

    /// Queued positions of this log without an event. Each is looked up in the log's index, a page at a time.
    async fn queued(&mut self) -> Result<Vec<Finding>, StoreError> {
        let mut findings = Vec::new();
        let mut after = 0;
        loop {
            let page: Vec<i64> = on_tx!(self.snapshot.views(), connection => {
                let sql = "SELECT DISTINCT position FROM \
                           (SELECT position FROM parked_events UNION ALL \
                            SELECT since_position FROM parked) AS positions \
                           WHERE position > $1 ORDER BY position LIMIT $2";
                sqlx::query_scalar(sql).bind(after).bind(PAGE).fetch_all(connection).await?
            });
            let Some(highest) = page.last() else { return Ok(findings) };
            after = *highest;
            let there: Vec<i64> = on_tx!(&mut self.snapshot.log, connection => {
                let mut query =
                    QueryBuilder::new("SELECT position FROM events WHERE position IN (");
                let mut list = query.separated(", ");
                for position in &page {
                    list.push_bind(*position);
                }
                query.push(")");
                query.build_query_scalar().persistent(false).fetch_all(connection).await?
            });
            let there: BTreeSet<i64> = there.into_iter().collect();
            let missing = page.iter().filter(|position| !there.contains(position));
            findings.extend(missing.map(|position| {
                let detail = format!("what is parked waits for event {position}, not there");
                Finding::fault("queue-without-event", detail)
            }));
            if findings.len() >= usize::try_from(MAX_REPORTED).unwrap_or(usize::MAX) {
                return Ok(findings);
            }
        }
    }

    /// Deadlines belong to a manager of this program.
    pub async fn deadlines(
        &mut self,
        known: KnownSubscriptions<'_>,
    ) -> Result<Vec<Finding>, StoreError> {
        let rows: Vec<(String, i64)> = on_tx!(self.snapshot.views(), connection => {
            let sql = "SELECT manager, count(*) FROM deadlines GROUP BY manager ORDER BY manager";
            sqlx::query_as(sql).fetch_all(connection).await?
        });
        let unknown = rows.into_iter().filter(|(manager, _)| !known.has(manager));
        let finding = |(manager, count): (String, i64)| {
            let detail = format!("{count} of {manager}, but this program has no such manager");
            Finding::warning("deadline-unknown", detail)
        };
        Ok(unknown.map(finding).collect())
    }
}

impl KnownSubscriptions<'_> {
    fn has(&self, subscription: &str) -> bool {
        let SubscriptionId { subscriber, .. } = SubscriptionId::parse(subscription);
        self.acting.contains(&subscriber.as_str()) || (self.is_derived)(&subscriber)
    }
}
