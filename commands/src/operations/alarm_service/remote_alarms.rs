//! The alarm service in another process. An alarm whose answer is lost stays: the repeat of the registration finds its
//! number, and without a repeat the registration is abandoned and the alarm withdrawn.

use super::{AlarmService, admit, down};
use crate::error::CommandError;
use crate::executor::CommandMeta;
use crate::outside::{
    AlarmAnswer, CallOutcome, CircuitBreaker, Permit, RemoteAlarmService, ServiceCallError,
};
use async_trait::async_trait;
use gdmarket_domain::ItemNo;
use std::sync::Arc;
use std::time::Duration;

/// The code of a request whose key was used for another one.
const KEY_REUSED: &str = "key-reused";

/// The alarm service at an address.
pub(crate) struct RemoteAlarms {
    pub(crate) service: Arc<dyn RemoteAlarmService>,
    pub(crate) breaker: CircuitBreaker,
    pub(crate) answer_within: Duration,
    pub(crate) retry_after: Duration,
}

impl RemoteAlarms {
    fn refusal(&self, error: &ServiceCallError) -> CommandError {
        match error {
            ServiceCallError::Refused { code, .. } if code == KEY_REUSED => CommandError::KeyReused,
            error => {
                let retry_after = error.retry_after().unwrap_or(self.retry_after);
                down(retry_after, format!("the alarm service: {error}"))
            }
        }
    }
}

#[async_trait]
impl AlarmService for RemoteAlarms {
    fn admit(&self) -> Result<Permit, CommandError> {
        admit(&self.breaker)
    }

    async fn raise(
        &self,
        item_no: ItemNo,
        permit: Permit,
        meta: &CommandMeta,
    ) -> Result<AlarmAnswer, CommandError> {
        // The alarm of a new number has no version; the other service doesn't know the client's condition.
        if !meta.precondition.is_matched_by(0) {
            return Err(CommandError::StaleVersion { current: 0 });
        }
        let answer = self.service.raise(item_no, self.answer_within, meta).await;
        permit.record(match &answer {
            Ok(_) => CallOutcome::Answered,
            Err(error) => error.outcome(),
        });
        answer.map_err(|error| self.refusal(&error))
    }
}
