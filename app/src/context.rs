//! The context of a request to write: its actor, how a repeat of it is identified, and whether it waits.

use gdmarket_commands::{
    CommandError, CommandMeta, Commands, KeyedRequest, Precondition, http_command_id,
};
use gdmarket_domain::Actor;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// A request as it arrives, before it has a command id.
#[derive(Debug, Clone)]
pub struct IncomingRequest {
    /// The actor on whose behalf the request is sent.
    pub actor: Actor,
    /// The id that all commands and events of this request share.
    pub correlation_id: Uuid,
    /// The W3C trace context.
    pub traceparent: Option<String>,
    /// The versions that the request may change.
    pub precondition: Precondition,
    /// The key that identifies a repeat; without a key every request is a new one.
    pub key: Option<RequestKey>,
    /// Whether the caller waits for the outcome.
    pub wait: WaitPolicy,
}

/// An idempotency key, and the request that it was given for.
#[derive(Debug, Clone)]
pub struct RequestKey {
    /// The caller's key, 1 to 255 visible ASCII characters.
    pub key: String,
    /// The method of the request.
    pub method: String,
    /// The path of the request, without a trailing slash.
    pub path: String,
    /// The content of the request; the same key with another fingerprint is refused.
    pub fingerprint: Vec<u8>,
}

/// The context of a use case, in addition to its own arguments.
#[derive(Debug, Clone)]
pub struct WriteContext {
    /// What goes with each command.
    pub meta: CommandMeta,
    /// Whether the caller waits for the outcome.
    pub wait: WaitPolicy,
}

impl WriteContext {
    pub(crate) fn new(commands: &Commands, request: IncomingRequest) -> Self {
        let IncomingRequest { actor, correlation_id, traceparent, precondition, key, wait } =
            request;
        let command_id = key.as_ref().map_or_else(
            || commands.new_id(),
            |RequestKey { key, method, path, .. }| {
                http_command_id(&KeyedRequest { actor: &actor, method, route: path, key })
            },
        );
        let keyed = key.is_some();
        let meta = CommandMeta {
            command_id,
            correlation_id,
            causation: None,
            actor,
            traceparent,
            // Without a key nothing can be sent again, and there is nothing to compare.
            fingerprint: key.map(|key| key.fingerprint).unwrap_or_default(),
            precondition,
            keyed,
        };
        Self { meta, wait }
    }
}

/// Refuses every actor but an operator.
pub(crate) const fn operator_only(actor: &Actor) -> Result<(), CommandError> {
    match actor {
        Actor::Operator(_) => Ok(()),
        Actor::Owner(_) | Actor::Renter(_) | Actor::Process(_) | Actor::Anonymous => {
            Err(CommandError::WrongActor)
        }
    }
}

/// Whether a use case may wait. It is decided before each wait: a server may have no room for more waiting
/// requests.
#[derive(Debug, Clone, Copy)]
pub struct WaitPolicy(fn() -> bool);

impl WaitPolicy {
    /// The caller wants the answer at once.
    pub const NEVER: Self = Self(|| false);
    /// The caller waits as long as the use case does.
    pub const ALWAYS: Self = Self(|| true);

    /// The caller waits if `permit` allows it when the wait begins.
    pub const fn with_permit(permit: fn() -> bool) -> Self {
        Self(permit)
    }

    /// The end of a wait that begins now; the present time where waiting is not allowed.
    pub(crate) fn deadline(self, wait: Duration) -> Instant {
        let now = Instant::now();
        if (self.0)() { now.checked_add(wait).unwrap_or(now) } else { now }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gdmarket_domain::PersonId;

    #[test]
    fn only_an_operator_is_admitted_where_one_is_required() {
        let me = PersonId::new(7).unwrap();
        assert_eq!(operator_only(&Actor::Operator("local".to_owned())), Ok(()));
        for actor in [Actor::Owner(me), Actor::Renter(me), Actor::Process("p"), Actor::Anonymous] {
            assert_eq!(operator_only(&actor), Err(CommandError::WrongActor), "{actor:?}");
        }
    }
}
