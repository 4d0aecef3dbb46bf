//! Makes tokens.

use crate::keys::SharedKeys;
use crate::token_text::{Claims, with_signature};
use chrono::{DateTime, Utc};
use gdmarket_domain::Service;
use std::time::Duration;
use uuid::Uuid;

/// How long a token is valid: half of the longest time, so that the clocks of two machines may differ by the other half.
const VALIDITY: Duration = Duration::from_secs(30);

/// Makes the tokens of one caller.
#[derive(Debug, Clone)]
pub struct TokenIssuer {
    caller: Service,
    keys: SharedKeys,
}

impl TokenIssuer {
    /// Makes tokens for this service.
    pub const fn new(caller: Service, keys: SharedKeys) -> Self {
        Self { caller, keys }
    }

    /// A token for one request to a service. Every request needs an id of its own, also one that repeats another.
    pub fn issue(&self, audience: Service, now: DateTime<Utc>, request_id: Uuid) -> String {
        let validity_ms = i64::try_from(VALIDITY.as_millis()).unwrap_or(0);
        let claims = Claims {
            caller: self.caller.name(),
            audience: audience.name(),
            expires_at_ms: now.timestamp_millis().saturating_add(validity_ms),
            request_id,
        };
        let signed_text = claims.signed_text();
        let signature = self.keys.read(|keys| keys.sign(&signed_text));
        with_signature(signed_text, &signature)
    }
}
