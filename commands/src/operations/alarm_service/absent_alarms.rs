//! The alarm service where it is neither in this process nor at a known address: every registration is refused before
//! anything is written.

use super::{AlarmService, down};
use crate::error::CommandError;
use crate::executor::CommandMeta;
use crate::outside::{AlarmAnswer, Permit};
use async_trait::async_trait;
use gdmarket_domain::ItemNo;
use std::time::Duration;

/// An alarm service without an address.
#[derive(Debug)]
pub(crate) struct AbsentAlarms {
    pub(crate) retry_after: Duration,
}

impl AbsentAlarms {
    fn refusal(&self) -> CommandError {
        down(self.retry_after, "the alarm service is not in this process, and has no address")
    }
}

#[async_trait]
impl AlarmService for AbsentAlarms {
    fn admit(&self) -> Result<Permit, CommandError> {
        Err(self.refusal())
    }

    async fn raise(
        &self,
        _item_no: ItemNo,
        _permit: Permit,
        _meta: &CommandMeta,
    ) -> Result<AlarmAnswer, CommandError> {
        Err(self.refusal())
    }
}
