//! Checks tokens, and remembers the ids of their requests until they expire.

use crate::MAX_VALIDITY;
use crate::keys::SharedKeys;
use crate::token_text::{Claims, split};
use chrono::{DateTime, Utc};
use gdmarket_domain::{Service, Services};
use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// The most request ids that are remembered: more than a minute's calls, at some 40 bytes each.
const MAX_REMEMBERED: usize = 250_000;

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// It isn't a token.
    #[error("it isn't a service token")]
    Malformed,
    /// No known key signed it.
    #[error("no key of this service signed it")]
    WrongKey,
    /// It is for another service.
    #[error("it is for another service")]
    WrongAudience,
    /// Its caller is no service.
    #[error("its caller is not a known service")]
    UnknownCaller,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// It is valid for longer than a token may be: its maker's clock is ahead.
    #[error("it is valid for more than 60 seconds")]
    ValidForTooLong,
    /// A request with this id was accepted before.
    #[error("its request id was used before")]
    Replayed,
    /// More request ids would have to be remembered than fit.
    #[error("too many requests came within its validity")]
    TooMany,
}

/// What a valid token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedToken {
    /// The service that sent the request.
    pub caller: Service,
    /// The id of the request.
    pub request_id: Uuid,
}

/// Checks the tokens that come to one process; cheap to clone.
#[derive(Debug, Clone)]
pub struct TokenVerifier {
    audience: Services,
    keys: SharedKeys,
    accepted: Arc<Mutex<AcceptedIds>>,
}

impl TokenVerifier {
    /// Accepts tokens for the services of this process.
    pub fn new(audience: Services, keys: SharedKeys) -> Self {
        let accepted = AcceptedIds { capacity: MAX_REMEMBERED, ..AcceptedIds::default() };
        Self { audience, keys, accepted: Arc::new(Mutex::new(accepted)) }
    }

    /// Checks a token, and accepts its request id at most once.
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<VerifiedToken, TokenFault> {
        let (signed_text, signature) = split(token).ok_or(TokenFault::Malformed)?;
        let claims = Claims::parse(signed_text).ok_or(TokenFault::Malformed)?;
        // This comes first: nothing else of a forged token is looked at, or answered.
        if !self.keys.read(|keys| keys.have_signed(signed_text, &signature)) {
            return Err(TokenFault::WrongKey);
        }
        let is_own = |audience| self.audience.contains(audience);
        if !Service::named(claims.audience).is_some_and(is_own) {
            return Err(TokenFault::WrongAudience);
        }
        let caller = Service::named(claims.caller).ok_or(TokenFault::UnknownCaller)?;
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        accepted.accept(&claims, now.timestamp_millis())?;
        Ok(VerifiedToken { caller, request_id: claims.request_id })
    }
}

/// The ids of accepted requests, until their tokens expire.
#[derive(Debug, Default)]
struct AcceptedIds {
    by_expiry: BTreeSet<(i64, Uuid)>,
    ids: HashSet<Uuid>,
    capacity: usize,
    /// The latest time seen. A clock that is set back must not revive tokens whose ids are forgotten.
    latest_ms: i64,
}

impl AcceptedIds {
    fn accept(&mut self, claims: &Claims<'_>, now_ms: i64) -> Result<(), TokenFault> {
        self.latest_ms = self.latest_ms.max(now_ms);
        self.forget_expired();
        let Claims { expires_at_ms, request_id, .. } = *claims;
        if expires_at_ms <= self.latest_ms {
            return Err(TokenFault::Expired);
        }
        let validity_ms = i64::try_from(MAX_VALIDITY.as_millis()).unwrap_or(0);
        if expires_at_ms > now_ms.saturating_add(validity_ms) {
            return Err(TokenFault::ValidForTooLong);
        }
        if self.ids.contains(&request_id) {
            return Err(TokenFault::Replayed);
        }
        if self.ids.len() >= self.capacity {
            return Err(TokenFault::TooMany);
        }
        self.ids.insert(request_id);
        self.by_expiry.insert((expires_at_ms, request_id));
        Ok(())
    }

    fn forget_expired(&mut self) {
        let kept = self.by_expiry.split_off(&(self.latest_ms.saturating_add(1), Uuid::nil()));
        for (_, id) in std::mem::replace(&mut self.by_expiry, kept) {
            self.ids.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(number: u128, expires_at_ms: i64) -> Claims<'static> {
        let request_id = Uuid::from_u128(number);
        Claims { caller: "item", audience: "alarm", expires_at_ms, request_id }
    }

    #[test]
    fn ids_are_forgotten_when_their_tokens_expire_and_are_bounded_until_then() {
        let mut accepted = AcceptedIds { capacity: 2, ..AcceptedIds::default() };
        assert_eq!(accepted.accept(&claims(1, 1_000), 0), Ok(()));
        assert_eq!(accepted.accept(&claims(2, 2_000), 0), Ok(()));
        assert_eq!(accepted.accept(&claims(3, 3_000), 999), Err(TokenFault::TooMany));
        assert_eq!(accepted.accept(&claims(2, 2_000), 1_000), Err(TokenFault::Replayed));
        assert_eq!(accepted.accept(&claims(1, 1_000), 1_000), Err(TokenFault::Expired));
        assert_eq!(accepted.accept(&claims(3, 3_000), 1_000), Ok(()));
        assert_eq!(accepted.ids.len(), accepted.by_expiry.len());
    }

    #[test]
    fn clock_that_is_set_back_revives_no_token() {
        let mut accepted = AcceptedIds { capacity: 9, ..AcceptedIds::default() };
        assert_eq!(accepted.accept(&claims(1, 1_000), 0), Ok(()));
        assert_eq!(accepted.accept(&claims(2, 9_000), 5_000), Ok(()));
        assert_eq!(accepted.accept(&claims(1, 1_000), 0), Err(TokenFault::Expired));
    }
}
