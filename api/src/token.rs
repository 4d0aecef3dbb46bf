//! `Gdmarket-At`, `?at_least=` and the ids of events: an opaque, signed (source, position). A source is one log in one
//! epoch, so that a token of the log before a restore never counts for the restored one. The key of the signature is
//! kept with the log, so that no caller can make up a token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::fmt;
use uuid::Uuid;

/// How many bytes of the signature a token contains.
const SIGNATURE: usize = 16;

/// Makes and reads the tokens of one log.
#[derive(Clone)]
pub struct Tokens {
    source: String,
    key: Hmac<Sha256>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Tokens {
    /// The tokens of a log in an epoch; `None` if the key is none.
    pub fn new(log_id: Uuid, epoch: i64, key: &[u8]) -> Option<Self> {
        let key = Hmac::new_from_slice(key).ok()?;
        Some(Self { source: format!("{}.{epoch}", log_id.simple()), key })
    }

    pub(crate) fn token(&self, position: i64) -> String {
        let mut token = format!("{}@{position}", self.source).into_bytes();
        let signature = self.key.clone().chain_update(&token).finalize().into_bytes();
        token.extend(signature.iter().take(SIGNATURE));
        URL_SAFE_NO_PAD.encode(token)
    }

    /// The position that a token names; `None` if it wasn't made for this log.
    pub(crate) fn position(&self, token: &str) -> Option<i64> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (text, signature) = bytes.split_at_checked(bytes.len().checked_sub(SIGNATURE)?)?;
        self.key.clone().chain_update(text).verify_truncated_left(signature).ok()?;
        let (source, position) = std::str::from_utf8(text).ok()?.rsplit_once('@')?;
        let position = position.parse().ok()?;
        (source == self.source && position >= 0).then_some(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(log: u128, epoch: i64, key: u8) -> Tokens {
        Tokens::new(Uuid::from_u128(log), epoch, &[key; 32]).unwrap()
    }

    #[test]
    fn token_is_accepted_by_its_own_log_only() {
        let log = tokens(1, 1, 1);
        let token = log.token(42);
        assert_eq!(log.position(&token), Some(42));
        for other in [tokens(1, 2, 1), tokens(2, 1, 1), tokens(1, 1, 2)] {
            assert_eq!(other.position(&token), None, "{other:?}");
        }
        for bad in ["", "42", "!!", &URL_SAFE_NO_PAD.encode("x@y")] {
            assert_eq!(log.position(bad), None, "{bad}");
        }
    }

    #[test]
    fn changed_and_invented_tokens_are_refused() {
        let log = tokens(1, 1, 1);
        let bytes = URL_SAFE_NO_PAD.decode(log.token(42)).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(log.position(&URL_SAFE_NO_PAD.encode(changed)), None, "{at}");
        }
        let unsigned = format!("{}.1@9000000000000000000", Uuid::from_u128(1).simple());
        assert_eq!(log.position(&URL_SAFE_NO_PAD.encode(unsigned)), None);
    }
}
