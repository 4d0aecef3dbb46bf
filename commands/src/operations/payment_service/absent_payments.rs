//! The payment service where it is neither in this process nor at a known address: every attempt is refused before
//! anything is written.

use super::{Attempted, PaymentAttempt, PaymentService};
use crate::error::{CommandError, Dependency};
use crate::executor::CommandMeta;
use crate::outside::Permit;
use async_trait::async_trait;
use std::time::Duration;

/// A payment service without an address.
#[derive(Debug)]
pub(crate) struct AbsentPayments {
    pub(crate) retry_after: Duration,
}

impl AbsentPayments {
    fn refusal(&self) -> CommandError {
        CommandError::Unavailable {
            what: Dependency::Payment,
            retry_after: self.retry_after,
            cause: "the payment service is not in this process, and has no address".to_owned(),
        }
    }
}

#[async_trait]
impl PaymentService for AbsentPayments {
    async fn admit(&self) -> Result<Permit, CommandError> {
        Err(self.refusal())
    }

    async fn pay(
        &self,
        _attempt: PaymentAttempt,
        _permit: Option<Permit>,
        _answer_within: Duration,
        _meta: &CommandMeta,
    ) -> Result<Attempted, CommandError> {
        Err(self.refusal())
    }
}
