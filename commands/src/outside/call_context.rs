//! What goes with a command to another service, as JSON.

use crate::executor::{Causation, CommandMeta, Precondition};
use gdmarket_domain::ActorError;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What goes with a command to another service, in addition to its id and its trace, which are headers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallContext {
    correlation_id: Uuid,
    actor: String,
    /// The digest of the client's request, in hexadecimal; empty without a client's key.
    #[serde(default)]
    fingerprint: String,
    /// The event that caused the command, in the caller's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<CallCause>,
}

/// An event of the caller's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallCause {
    source: String,
    position: i64,
}

/// Why the context of a call can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallContextError {
    /// It names no actor that sends such commands.
    #[error(transparent)]
    Actor(#[from] ActorError),
    /// The fingerprint is not hexadecimal.
    #[error("the fingerprint is not hexadecimal")]
    Fingerprint,
}

impl CallContext {
    /// The context of a command on its way to another service.
    pub fn of(meta: &CommandMeta) -> Self {
        let cause = meta.causation.clone();
        Self {
            correlation_id: meta.correlation_id,
            actor: meta.actor.to_string(),
            fingerprint: hex::encode(&meta.fingerprint),
            cause: cause.map(|Causation { source, position }| CallCause { source, position }),
        }
    }

    /// The command's meta on the side of the service that is called. Its id identifies repeats.
    pub fn into_meta(
        self,
        command_id: Uuid,
        traceparent: Option<String>,
    ) -> Result<CommandMeta, CallContextError> {
        let Self { correlation_id, actor, fingerprint, cause } = self;
        Ok(CommandMeta {
            command_id,
            correlation_id,
            causation: cause.map(|CallCause { source, position }| Causation { source, position }),
            actor: actor.parse()?,
            traceparent,
            fingerprint: hex::decode(fingerprint).map_err(|_| CallContextError::Fingerprint)?,
            precondition: Precondition::default(),
            keyed: true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gdmarket_domain::Actor;

    #[test]
    fn meta_of_a_command_crosses_to_the_other_service() {
        let sent = CommandMeta {
            command_id: Uuid::from_u128(1),
            correlation_id: Uuid::from_u128(2),
            causation: Some(Causation { source: "log".to_owned(), position: 7 }),
            actor: Actor::Operator("local".to_owned()),
            traceparent: None,
            fingerprint: vec![0xab; 32],
            precondition: Precondition::default(),
            keyed: false,
        };
        let text = serde_json::to_string(&CallContext::of(&sent)).unwrap();
        let context: CallContext = serde_json::from_str(&text).unwrap();
        let received = context.into_meta(sent.command_id, None).unwrap();
        assert_eq!(received.to_json(None).unwrap(), sent.to_json(None).unwrap());
        assert_eq!(received.fingerprint, sent.fingerprint);
        assert!(received.keyed, "a repeat is recognised");
    }

    #[test]
    fn context_of_a_process_or_with_another_fingerprint_is_refused() {
        for (actor, fingerprint) in [("process:holding", ""), ("operator:local", "xy")] {
            let context = CallContext {
                correlation_id: Uuid::nil(),
                actor: actor.to_owned(),
                fingerprint: fingerprint.to_owned(),
                cause: None,
            };
            assert!(context.into_meta(Uuid::nil(), None).is_err(), "{actor} {fingerprint}");
        }
    }
}
