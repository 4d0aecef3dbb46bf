//! The alarm service in this process: calls the alarm, then records that it was raised.

use super::{AlarmService, admit, down};
use crate::error::CommandError;
use crate::executor::{CommandMeta, CommandRequest, Executor};
use crate::operations::{item_no, number_kinds};
use crate::options::AlarmOptions;
use crate::outside::{AlarmAnswer, AlarmSender, CallOutcome, CircuitBreaker, Permit};
use async_trait::async_trait;
use gdmarket_domain::{Alarm, AlarmCommand, ItemNo};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// The alarm service of this process.
#[derive(Clone)]
pub(crate) struct LocalAlarms {
    pub(crate) executor: Executor,
    pub(crate) sender: Arc<dyn AlarmSender>,
    pub(crate) breaker: CircuitBreaker,
    pub(crate) options: AlarmOptions,
}

impl LocalAlarms {
    /// Raises the alarm for a caller that waits so long. An equal request that raised it before is answered from its
    /// receipt, and raises nothing.
    pub(crate) async fn raise_within(
        &self,
        item_no: ItemNo,
        within: Duration,
        meta: &CommandMeta,
    ) -> Result<AlarmAnswer, CommandError> {
        let until = Instant::now() + within;
        if let Some(receipt) = self.executor.done_before(meta).await? {
            let item_no = self::item_no(receipt.stream.number)?;
            return Ok(AlarmAnswer::Raised { item_no });
        }
        let permit = self.admit()?;
        self.call(item_no, permit, until.saturating_duration_since(Instant::now())).await?;
        if Instant::now() >= until {
            return Err(down(self.executor.retry_after(), "the caller has no time left"));
        }
        self.record(item_no, meta).await
    }

    /// Calls the alarm, within the shorter of its own limit and the caller's.
    async fn call(
        &self,
        item_no: ItemNo,
        permit: Permit,
        within: Duration,
    ) -> Result<(), CommandError> {
        let within = within.min(self.options.answer_within);
        let (outcome, raised) = match timeout(within, self.sender.alert(item_no)).await {
            Ok(Ok(())) => (CallOutcome::Answered, Ok(())),
            Ok(Err(error)) => (CallOutcome::Failed, Err(format!("the alarm failed: {error}"))),
            Err(_) => (CallOutcome::Slow, Err("the alarm doesn't answer in time".to_owned())),
        };
        permit.record(outcome);
        raised.map_err(|cause| down(self.executor.retry_after(), cause))
    }

    async fn record(
        &self,
        item_no: ItemNo,
        meta: &CommandMeta,
    ) -> Result<AlarmAnswer, CommandError> {
        let command = AlarmCommand::RaiseRegistration { item_no };
        let request = CommandRequest::<Alarm>::new(item_no.get(), &command, meta);
        let Some(done) = self.executor.begin(request).await? else {
            let highest = self.executor.highest_in_use(number_kinds::ITEM).await?;
            return Ok(AlarmAnswer::NumberTaken { highest });
        };
        // Another process may have executed the same request: then its number is valid.
        Ok(AlarmAnswer::Raised { item_no: self::item_no(done.executed.number)? })
    }
}

#[async_trait]
impl AlarmService for LocalAlarms {
    fn admit(&self) -> Result<Permit, CommandError> {
        admit(&self.breaker)
    }

    async fn raise(
        &self,
        item_no: ItemNo,
        permit: Permit,
        meta: &CommandMeta,
    ) -> Result<AlarmAnswer, CommandError> {
        self.call(item_no, permit, self.options.answer_within).await?;
        gdmarket_store::failpoint!("commands.after-alert");
        self.record(item_no, meta).await
    }
}
