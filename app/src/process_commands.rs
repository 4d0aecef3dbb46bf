//! The port through which process managers send commands. Each command runs on behalf of the manager, and its outcome
//! becomes one of the answers that a manager can act on.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gdmarket_commands::{Causation, CommandError, CommandMeta, Commands, Precondition};
use gdmarket_domain::payment::StartedPayment;
use gdmarket_domain::{Actor, PaymentNo};
use gdmarket_projections::{CommandContext, CommandPort, Handled, OutgoingCommand, PortError};

/// The commands of process managers, executed by the write side of this process.
pub struct ProcessCommands {
    commands: Commands,
}

impl ProcessCommands {
    /// Sends through these commands.
    pub const fn new(commands: Commands) -> Self {
        Self { commands }
    }
}

#[async_trait]
impl CommandPort for ProcessCommands {
    async fn execute(&self, outgoing: OutgoingCommand) -> Result<Handled, PortError> {
        let OutgoingCommand { command, context } = outgoing;
        let executed = self.commands.send(command, &meta(context)).await;
        executed.map_or_else(handled, |_| Ok(Handled::Done))
    }

    async fn settle_payment(
        &self,
        number: PaymentNo,
        requested: Option<StartedPayment>,
        context: CommandContext,
    ) -> Result<Handled, PortError> {
        let meta = meta(context);
        let settled = match requested {
            Some(attempt) => self.commands.settle_attempt(attempt, &meta).await,
            None => self.commands.settle_payment(number, &meta).await,
        };
        settled.map_or_else(handled, |_| Ok(Handled::Done))
    }

    async fn refund_payment(
        &self,
        number: PaymentNo,
        context: CommandContext,
    ) -> Result<Handled, PortError> {
        let refunded = self.commands.refund_payment(number, &meta(context)).await;
        refunded.map_or_else(handled, |()| Ok(Handled::Done))
    }

    fn now(&self) -> DateTime<Utc> {
        self.commands.now()
    }
}

fn meta(context: CommandContext) -> CommandMeta {
    let CommandContext { manager, command_id, cause } = context;
    CommandMeta {
        command_id,
        correlation_id: cause.correlation_id,
        causation: Some(Causation { source: cause.source, position: cause.position }),
        actor: Actor::Process(manager),
        traceparent: cause.traceparent,
        fingerprint: Vec::new(),
        precondition: Precondition::default(),
        keyed: false,
    }
}

/// The meaning of an error to a manager: a refusal to act on, or a reason to try again later.
fn handled(error: CommandError) -> Result<Handled, PortError> {
    match error {
        CommandError::Refused { code, .. } | CommandError::NotFound { code, .. } => {
            Ok(Handled::Refused(code.into_owned()))
        }
        CommandError::NewerEvent => Err(PortError::Newer),
        CommandError::Damaged(why) => Err(PortError::Damaged(why)),
        // A manager's own command never leads to these; retrying would hide the defect for ever. They are no refusals
        // either: a refusal may mean that there is nothing left to do.
        error @ (CommandError::WrongActor
        | CommandError::StaleVersion { .. }
        | CommandError::ExcludedVersion { .. }
        | CommandError::KeyReused
        | CommandError::Rejected(_)
        | CommandError::Broken(_)) => {
            tracing::error!(%error, "a process manager's command");
            Err(PortError::Impossible(error.to_string()))
        }
        error @ (CommandError::Conflict { .. }
        | CommandError::Unavailable { .. }
        | CommandError::OutcomeUnknown { .. }) => Err(PortError::Retry(error.to_string())),
    }
}
