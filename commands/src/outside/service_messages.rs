//! What services send each other in these calls, as JSON. Both sides use these types.

use crate::executor::{Causation, CommandMeta, Precondition};
use gdmarket_domain::payment::StartedPayment;
use gdmarket_domain::{ActorError, ItemNo, Money, PaymentNo, ReservationNo};
use serde::{Deserialize, Serialize};
use std::time::Duration;
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

/// The request to raise the alarm of a registration; the item's number is in the path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RaiseRequest {
    /// What goes with the command.
    pub context: CallContext,
}

/// What became of the request to raise an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum AlarmAnswer {
    /// The alarm is raised, for the number of the first equal request.
    Raised {
        /// The number that the item gets.
        item_no: ItemNo,
    },
    /// The alarm of this number is another registration's.
    NumberTaken {
        /// The highest number that has an alarm.
        highest: i64,
    },
}

/// What an attempt to pay is about; the payment's number is in the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptContent {
    /// The reservation that is paid.
    pub reservation_no: ReservationNo,
    /// The item that is reserved.
    pub item_no: ItemNo,
    /// What is charged.
    pub amount: Money,
}

/// The request to start an attempt to pay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRequest {
    /// What it is about.
    #[serde(flatten)]
    pub content: AttemptContent,
    /// What goes with the command.
    pub context: CallContext,
}

impl AttemptContent {
    /// What this attempt is about.
    pub const fn of(attempt: &StartedPayment) -> Self {
        let StartedPayment { payment_no: _, reservation_no, item_no, amount } = *attempt;
        Self { reservation_no, item_no, amount }
    }

    /// The attempt of this number.
    pub const fn numbered(self, payment_no: PaymentNo) -> StartedPayment {
        let Self { reservation_no, item_no, amount } = self;
        StartedPayment { payment_no, reservation_no, item_no, amount }
    }
}

/// How far an attempt to pay has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum AttemptAnswer {
    /// The money was taken.
    Approved,
    /// The money was not taken.
    Declined {
        /// The payment side's reason.
        code: String,
    },
    /// Not known yet.
    Unknown,
    /// Surely not charged: the gateway was not reached.
    NotCharged {
        /// When another attempt may succeed, in milliseconds.
        #[serde(default)]
        retry_after_ms: Option<u64>,
    },
    /// The payment of this number has another content, so this attempt never began.
    NumberTaken {
        /// The highest number that has a payment.
        highest: i64,
    },
    /// No attempt of this number was started.
    NotStarted,
}

impl AttemptAnswer {
    /// The answer of an attempt that was not charged.
    pub(crate) fn not_charged(retry_after: Option<Duration>) -> Self {
        let retry_after = retry_after.map(|wait| u64::try_from(wait.as_millis()));
        Self::NotCharged { retry_after_ms: retry_after.and_then(Result::ok) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gdmarket_domain::Actor;
    use serde_json::json;

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

    #[test]
    fn forms_of_the_answers_are_kept() {
        let item_no = ItemNo::new(7).unwrap();
        let form = |answer: AlarmAnswer| serde_json::to_value(answer).unwrap();
        assert_eq!(form(AlarmAnswer::Raised { item_no }), json!({"result": "raised", "itemNo": 7}));
        let taken = AlarmAnswer::NumberTaken { highest: 9 };
        assert_eq!(form(taken), json!({"result": "number-taken", "highest": 9}));
        let form = |answer: AttemptAnswer| serde_json::to_value(answer).unwrap();
        assert_eq!(form(AttemptAnswer::Approved), json!({"outcome": "approved"}));
        let refused = AttemptAnswer::not_charged(Some(Duration::from_secs(2)));
        assert_eq!(form(refused), json!({"outcome": "not-charged", "retryAfterMs": 2_000}));
    }
}
