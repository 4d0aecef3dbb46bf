//! `Gdmarket-At`, `?at_least=` and the ids of events: an opaque, signed set of (source, position). A source is one log in
//! one epoch, so that a token of the log before a restore never counts for the restored one. The key of the signature is
//! kept with the log, so that no caller can make up a token; services that share keys sign with those and read each other's
//! tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gdmarket_projections::Identity;
use gdmarket_service_token::{DerivedKeys, SharedKeys};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::fmt;
use uuid::Uuid;

/// What distinguishes the keys of these tokens from others that are made of the services' shared keys.
const PURPOSE: &str = "gdmarket position tokens, version 1";

/// How many bytes of the signature a token contains.
const SIGNATURE: usize = 16;

/// The most sources of a token: more than there are services.
const SOURCES: usize = 8;

/// The most characters of a token: of so many sources, each with an id, an epoch and a position.
const LONGEST: usize = 800;

/// Makes and reads the tokens of one log.
#[derive(Clone)]
pub struct Tokens {
    own: Identity,
    /// The key that is kept with the log.
    key: Hmac<Sha256>,
    /// The keys that services share, where there are any: they sign then.
    shared: Option<DerivedKeys>,
}

/// The positions of a token, each in a log of its own.
pub(crate) type Positions = BTreeMap<Identity, i64>;

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("own", &self.own).finish_non_exhaustive()
    }
}

impl Tokens {
    /// The tokens of a log in an epoch; `None` if the key is none.
    pub fn new(log_id: Uuid, epoch: i64, key: &[u8]) -> Option<Self> {
        let key = Hmac::new_from_slice(key).ok()?;
        Some(Self { own: Identity { log_id, epoch }, key, shared: None })
    }

    /// Signs with a key that is derived from those that services share, and reads what other services signed. Tokens
    /// that are signed with the log's own key stay readable.
    #[must_use]
    pub fn with_shared_keys(self, keys: &SharedKeys) -> Self {
        Self { shared: Some(keys.derived(PURPOSE)), ..self }
    }

    /// The token of a position of the own log.
    pub(crate) fn token(&self, position: i64) -> String {
        let Identity { log_id, epoch } = self.own;
        let mut token = format!("{}.{epoch}@{position}", log_id.simple()).into_bytes();
        let signature = self.sign(&token);
        token.extend(signature.iter().take(SIGNATURE));
        URL_SAFE_NO_PAD.encode(token)
    }

    fn sign(&self, text: &[u8]) -> [u8; 32] {
        match &self.shared {
            Some(shared) => shared.sign(text),
            None => self.key.clone().chain_update(text).finalize().into_bytes().into(),
        }
    }

    /// The position of the own log that a token names; `None` if it names none.
    pub(crate) fn position(&self, token: &str) -> Option<i64> {
        self.own_position(&self.positions(token)?)
    }

    /// The position of the own log among these.
    pub(crate) fn own_position(&self, positions: &Positions) -> Option<i64> {
        positions.get(&self.own).copied()
    }

    /// The positions that a token names; `None` if it wasn't made for this log, nor by a service that shares a key.
    pub(crate) fn positions(&self, token: &str) -> Option<Positions> {
        if token.len() > LONGEST {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (text, signature) = bytes.split_at_checked(bytes.len().checked_sub(SIGNATURE)?)?;
        let is_shared = self.shared.as_ref().is_some_and(|keys| keys.have_signed(text, signature));
        let is_own =
            || self.key.clone().chain_update(text).verify_truncated_left(signature).is_ok();
        if !is_shared && !is_own() {
            return None;
        }
        let positions = read_positions(std::str::from_utf8(text).ok()?)?;
        let is_known = |of: &Identity| *of == self.own || is_shared && of.log_id != self.own.log_id;
        positions.keys().all(is_known).then_some(positions)
    }
}

/// Reads `ID.EPOCH@POSITION`, separated by semicolons.
fn read_positions(text: &str) -> Option<Positions> {
    let mut positions = Positions::new();
    for part in text.split(';') {
        let (source, position) = part.rsplit_once('@')?;
        let (log_id, epoch) = source.split_once('.')?;
        let log_id = Uuid::try_parse(log_id).ok()?;
        let source = Identity { log_id, epoch: epoch.parse().ok()? };
        let position: i64 = position.parse().ok()?;
        if position < 0 || positions.insert(source, position).is_some() {
            return None;
        }
    }
    (positions.len() <= SOURCES).then_some(positions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gdmarket_service_token::ServiceKeys;

    /// Keys of services, each given as one byte of it.
    fn keys(current: &str, previous: Option<&str>) -> SharedKeys {
        let line = |name: &str, key: &str| format!("{name} = \"{}\"\n", key.repeat(32));
        let previous = previous.map(|key| line("previous", key)).unwrap_or_default();
        let text = format!("{}{previous}", line("current", current));
        SharedKeys::new(ServiceKeys::from_toml(&text).unwrap())
    }

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

    fn set(log: &Tokens, entries: &[(u128, i64, i64)]) -> String {
        let entries: Vec<String> = entries
            .iter()
            .map(|(id, epoch, at)| format!("{}.{epoch}@{at}", Uuid::from_u128(*id).simple()))
            .collect();
        let mut token = entries.join(";").into_bytes();
        let signature = log.sign(&token);
        token.extend(signature.iter().take(SIGNATURE));
        URL_SAFE_NO_PAD.encode(token)
    }

    #[test]
    fn token_of_another_service_is_read_with_a_shared_key_only() {
        let shared = |log, key: &str| tokens(log, 1, 7).with_shared_keys(&keys(key, None));
        let (item, payment) = (shared(1, "09"), shared(2, "09"));
        let token = payment.token(42);
        let positions = item.positions(&token).unwrap();
        let of_payment = Identity { log_id: Uuid::from_u128(2), epoch: 1 };
        assert_eq!(positions, BTreeMap::from([(of_payment, 42)]));
        assert_eq!(item.position(&token), None, "it names no position of the own log");
        assert_eq!(shared(1, "08").positions(&token), None, "another key");
        assert_eq!(tokens(1, 1, 7).positions(&token), None, "no shared key");
        assert_eq!(tokens(1, 1, 9).positions(&token), None, "its own log's key is not for others");
    }

    #[test]
    fn set_of_positions_is_read_as_such() {
        let item = tokens(1, 1, 7).with_shared_keys(&keys("09", None));
        let token = set(&item, &[(1, 1, 5), (2, 3, 7)]);
        assert_eq!(item.position(&token), Some(5));
        assert_eq!(item.positions(&token).unwrap().len(), 2);
        let restored = set(&item, &[(1, 2, 5), (2, 3, 7)]);
        assert_eq!(item.positions(&restored), None, "the own log, in another epoch");
        let twice = set(&item, &[(2, 1, 5), (2, 1, 7)]);
        assert_eq!(item.positions(&twice), None, "two positions of one log");
    }

    #[test]
    fn tokens_are_bounded() {
        let item = tokens(1, 1, 7).with_shared_keys(&keys("09", None));
        let of = |count: u32| -> Vec<(u128, i64, i64)> {
            (0..count).map(|id| (u128::from(id) + 1, i64::MAX - 1, i64::MAX)).collect()
        };
        let mut most = of(8);
        most[0].1 = 1;
        let longest = set(&item, &most);
        assert_eq!(item.positions(&longest).unwrap().len(), 8, "{}", longest.len());
        assert_eq!(item.positions(&set(&item, &of(9))), None, "too many");
        assert_eq!(item.positions(&"A".repeat(100_000)), None);
    }

    #[test]
    fn tokens_from_before_the_shared_key_stay_readable() {
        let alone = tokens(1, 1, 7);
        let token = alone.token(42);
        let shared = alone.with_shared_keys(&keys("09", Some("08")));
        assert_eq!(shared.position(&token), Some(42));
        let rotated = tokens(1, 1, 7).with_shared_keys(&keys("08", None));
        assert_eq!(shared.position(&rotated.token(43)), Some(43), "the second key");
    }
}
