//! What process managers send through: the trait that they need, and nothing of its implementation.
//!
//! The program implements [`CommandPort`] over the write side, so that neither side depends on the
//! other. An implementation repeats only what is safe under the command id that it was given, and may be
//! called again with the same id at any time, also after it has returned.

use super::step::Step;
use crate::engine::process_manager::{CommandContext, Handled, Port, PortError};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gdmarket_domain::{MarketCommand, PaymentNo};
use std::sync::Arc;

/// Where process managers send their commands.
#[async_trait]
pub trait CommandPort: Send + Sync + 'static {
    /// Executes a command once per command id: a repeat answers [`Handled::Done`] like the first time,
    /// whatever the aggregate would say by now.
    async fn execute(&self, outgoing: OutgoingCommand) -> Result<Handled, PortError>;

    /// Asks the gateway about a payment whose outcome isn't in, and records what it says; never
    /// charges. [`Handled::NoOp`] if an outcome stands already.
    async fn settle_payment(
        &self,
        number: PaymentNo,
        context: CommandContext,
    ) -> Result<Handled, PortError>;

    /// Gives an attempt's money back, as a whole: begin, ask the gateway, record. Done only once the
    /// money is back; [`Handled::Refused`] when that can never be, which a person must look at.
    async fn refund_payment(
        &self,
        number: PaymentNo,
        context: CommandContext,
    ) -> Result<Handled, PortError>;

    /// What time it is, for what a command says about time; deadlines use the database's clock.
    fn now(&self) -> DateTime<Utc>;
}

/// A command that a process manager means to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingCommand {
    /// What to do, and to which aggregate.
    pub command: MarketCommand,
    /// Who sends it, under which id, and why.
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
            Step::Settle(number) => self.0.settle_payment(*number, context).await,
        }
    }
}
