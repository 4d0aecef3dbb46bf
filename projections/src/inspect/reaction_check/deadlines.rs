//! The deadlines that a manager's events have set and not cleared: each waits in the database, unless its
//! steps are done.

use super::AT_ONCE;
use super::reaction_state::{ReactionState, States};
use crate::engine::process_manager::Moment;
use crate::processes::step::AnyManager;
use chrono::{DateTime, Utc};
use gdmarket_store::{Check, Finding, StoreError};
use serde_json::Value;
use std::collections::BTreeMap;

/// The deadlines that are set after the events so far, by key.
#[derive(Debug, Default)]
pub(super) struct SetDeadlines(BTreeMap<String, SetDeadline>);

#[derive(Debug)]
struct SetDeadline {
    due_at: DateTime<Utc>,
    data: Value,
    /// The position of the event that set it.
    position: i64,
}

/// The manager and the key of a deadline.
#[derive(Clone, Copy)]
struct DeadlineKey<'a> {
    manager: &'a AnyManager,
    key: &'a str,
}

impl SetDeadlines {
    pub(super) fn set(&mut self, key: String, due_at: DateTime<Utc>, data: Value, position: i64) {
        self.0.insert(key, SetDeadline { due_at, data, position });
    }

    pub(super) fn clear(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// Finds the deadlines that neither wait nor are done.
    pub(super) async fn missing(
        &self,
        check: &mut Check,
        manager: &AnyManager,
        now: DateTime<Utc>,
    ) -> Result<Vec<Finding>, StoreError> {
        let mut findings = vec![];
        let all: Vec<(&String, &SetDeadline)> = self.0.iter().collect();
        for some in all.chunks(AT_ONCE) {
            let keys: Vec<&str> = some.iter().map(|(key, _)| key.as_str()).collect();
            let waiting = check.deadlines_of(manager.name(), &keys).await?;
            let mut states = States::default();
            for (key, set) in some.iter().filter(|(key, _)| !waiting.contains(*key)) {
                let of = DeadlineKey { manager, key };
                if set.is_open(check, &mut states, of, now).await? {
                    findings.push(set.missing(of));
                }
            }
        }
        Ok(findings)
    }
}

impl SetDeadline {
    /// Whether a step of it is yet to be done.
    async fn is_open(
        &self,
        check: &mut Check,
        states: &mut States,
        of: DeadlineKey<'_>,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let moment = Moment { recorded_at: self.due_at };
        let Some(due) = of.manager.due(of.key, &self.data, moment) else { return Ok(false) };
        for step in &due.steps {
            let is_open = match states.of_step(check, step).await? {
                ReactionState::Done => false,
                ReactionState::Open => true,
                ReactionState::Provisional => self.fires_after(now, of),
            };
            if is_open {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the deadline is due after `now`, given how its manager sets it again.
    fn fires_after(&self, now: DateTime<Utc>, of: DeadlineKey<'_>) -> bool {
        let (mut due_at, mut data) = (self.due_at, self.data.clone());
        while due_at <= now {
            let due = of.manager.due(of.key, &data, Moment { recorded_at: due_at });
            let Some((pause, next)) = due.and_then(|due| due.again) else { return false };
            if pause.is_zero() {
                return false;
            }
            (due_at, data) = (due_at + pause, next);
        }
        true
    }

    fn missing(&self, of: DeadlineKey<'_>) -> Finding {
        let Self { due_at, position, .. } = self;
        let (manager, key) = (of.manager.name(), of.key);
        let detail = format!(
            "position {position}: {manager} has passed this event, but its deadline {key} of \
             {due_at} is missing, and its steps aren't done"
        );
        Finding::fault("deadline-missing", detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processes::options::Options;
    use crate::processes::payment_process::PaymentProcess;
    use crate::processes::reservation_process::ReservationProcess;
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn repeated_deadline_fires_until_its_last_time() {
        let options = Options::default();
        let due_at: DateTime<Utc> = "2027-01-01T00:00:00Z".parse().unwrap();
        let fires = |manager: &AnyManager, key: &str, data: Value, hours: i64| {
            let now = due_at + chrono::Duration::hours(hours);
            SetDeadline { due_at, data, position: 1 }.fires_after(now, DeadlineKey { manager, key })
        };
        let payment = |hours| {
            let data = json!({"paymentNo": 9, "looks": 0});
            fires(&PaymentProcess::new(&options), "payment/9", data, hours)
        };
        let last = i64::from(options.settle_looks - 1) * 24;
        assert!([-1, 0, 1, 24, last - 1].into_iter().all(payment));
        assert!(!payment(last) && !payment(last + 1_000));
        let reservation = |hours| {
            let manager = ReservationProcess { pay_within: Duration::from_mins(15) };
            fires(&manager, "reservation/7", json!(due_at), hours)
        };
        assert!(reservation(-1) && !reservation(0) && !reservation(1));
    }
}
