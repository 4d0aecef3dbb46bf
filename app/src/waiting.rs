//! Bounded waits: for the decision of another aggregate about a request, and for the views that show it.

use crate::context::WriteContext;
use crate::use_cases::{UseCases, is_refused};
use gdmarket_commands::CommandError;
use gdmarket_domain::ReservationError;
use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;

/// How long a write waits until reactions and views have applied it.
pub(crate) const VIEW_WAIT: Duration = Duration::from_millis(250);
/// How long a write waits for a decision that is certain to come: the item's about a request to reserve, and the
/// reservation's about a payment whose outcome is known.
pub(crate) const DECISION_WAIT: Duration = Duration::from_secs(5);

impl UseCases {
    /// The position of the newest event.
    pub fn head(&self) -> i64 {
        *self.head.borrow()
    }

    /// Waits until the log is beyond this position; `false` if the deadline is reached before.
    pub(crate) async fn moved_past(&self, position: i64, deadline: Instant) -> bool {
        let mut head = self.head.clone();
        let moved = head.wait_for(|head| *head > position);
        tokio::time::timeout_at(deadline, moved).await.is_ok_and(|moved| moved.is_ok())
    }

    /// Waits until process managers have reacted to this position; returns the position that they led to, as
    /// far as it is known at the deadline.
    pub(crate) async fn reacted(&self, position: i64, deadline: Instant) -> i64 {
        self.applied.wait_reactions(position, 1, deadline).await.unwrap_or(position)
    }

    /// Waits until the reactions to this position are done and the views have applied them. Those that are late follow
    /// after the answer.
    pub(crate) async fn settle_views(&self, position: i64, context: &WriteContext) {
        let deadline = context.wait.deadline(VIEW_WAIT);
        if position > 0 {
            let reached = self.reacted(position, deadline).await;
            self.applied.wait_views(reached, deadline).await;
        }
    }

    /// Repeats `attempt` while an open payment is in its way and something has happened since, until the
    /// deadline.
    pub(crate) async fn once_no_payment_is_pending<T, F, A>(
        &self,
        deadline: Instant,
        attempt: A,
    ) -> Result<T, CommandError>
    where
        F: Future<Output = Result<T, CommandError>>,
        A: Fn() -> F,
    {
        loop {
            let head = self.head();
            let attempted = attempt().await;
            let is_pending = attempted
                .as_ref()
                .is_err_and(|error| is_refused(error, &ReservationError::PaymentPending));
            if !is_pending || !self.moved_past(head, deadline).await {
                return attempted;
            }
        }
    }
}
