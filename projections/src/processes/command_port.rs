//! The trait that process managers send commands through.
//!
//! The write side implements [`CommandPort`] in another crate, `gdmarket_app`, so that this one doesn't depend
//! on it. An implementation is idempotent under the given command id: it may be called with the same id at any
//! time, also after it has returned.

use super::step::Step;
use crate::engine::process_manager::{CommandContext, Handled, Port, PortError};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gdmarket_domain::payment::StartedPayment;
use gdmarket_domain::{MarketCommand, PaymentNo};
use std::sync::Arc;

/// Sends the commands of process managers.
#[async_trait]
pub trait CommandPort: Send + Sync + 'static {
    /// Executes a command once per command id: a repeat returns [`Handled::Done`] like the first call, whatever
    /// the state of the aggregate is by now.
    async fn execute(&self, outgoing: OutgoingCommand) -> Result<Handled, PortError>;

    /// Queries the gateway about a payment without outcome, and records the answer; never charges.
    /// It changes nothing if an outcome is recorded already. `requested` is the attempt that the reservation asked for;
    /// deadlines of older programs don't have it, and their cause is in this process's own log.
    async fn settle_payment(
        &self,
        number: PaymentNo,
        requested: Option<StartedPayment>,
        context: CommandContext,
    ) -> Result<Handled, PortError>;

    /// Refunds an attempt: starts the refund, calls the gateway, records the result. It is done only once the
    /// money is back; [`Handled::Refused`] means that it can't be, which needs manual action.
    async fn refund_payment(
        &self,
        number: PaymentNo,
        context: CommandContext,
    ) -> Result<Handled, PortError>;

    /// The current time, for commands that contain one; deadlines use the database's clock.
    fn now(&self) -> DateTime<Utc>;
}

/// A command that a process manager sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingCommand {
    /// The command and its aggregate.
    pub command: MarketCommand,
    /// The sender, the command's id, and the cause.
    pub context: CommandContext,
}

/// The steps of this market, sent through a [`CommandPort`].
pub(crate) struct StepPort(pub(crate) Arc<dyn CommandPort>);

#[async_trait]
impl Port<Step> for StepPort {
    async fn take(&self, step: &Step, context: CommandContext) -> Result<Handled, PortError> {
        match step {
            Step::Send(_, command) => {
                self.0.execute(OutgoingCommand { command: command.clone(), context }).await
            }
            Step::Refund(number) => self.0.refund_payment(*number, context).await,
            Step::Settle(number, requested) => {
                self.0.settle_payment(*number, *requested, context).await
            }
        }
    }
}
