//! The keys that services share: the one that signs, and a second one that is accepted while keys are replaced.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use sha2::Sha256;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// The shortest key, in bytes.
const KEY_BYTES: usize = 32;

/// The keys of one moment. Their debug output doesn't show them.
#[derive(Clone)]
pub struct ServiceKeys {
    current: Hmac<Sha256>,
    previous: Option<Hmac<Sha256>>,
}

/// Why a text holds no keys. It never quotes the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeysFault {
    /// It isn't the expected file.
    #[error("isn't TOML with `current` and, while keys are replaced, `previous`")]
    NotKeys,
    /// A key isn't one.
    #[error("`{0}` must be at least 32 random bytes in hexadecimal: `openssl rand -hex 32`")]
    NotAKey(&'static str),
    /// Both keys are the same.
    #[error("`current` and `previous` are the same key")]
    SameKey,
}

/// The file's shape.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeysFile {
    current: String,
    previous: Option<String>,
}

impl ServiceKeys {
    /// Reads the keys from the text of their file.
    pub fn from_toml(text: &str) -> Result<Self, KeysFault> {
        let KeysFile { current, previous } =
            toml::from_str(text).map_err(|_| KeysFault::NotKeys)?;
        if previous.as_ref().is_some_and(|previous| previous.eq_ignore_ascii_case(&current)) {
            return Err(KeysFault::SameKey);
        }
        let previous = previous.map(|previous| key("previous", &previous)).transpose()?;
        Ok(Self { current: key("current", &current)?, previous })
    }

    /// The keys of another purpose.
    pub(crate) fn derived(&self, purpose: &str) -> Self {
        let derive = |key: &Hmac<Sha256>| {
            let derived = key.clone().chain_update(purpose).finalize().into_bytes();
            // HMAC takes keys of any length, so this is the key that was derived.
            Hmac::new_from_slice(&derived).ok()
        };
        let current = derive(&self.current).unwrap_or_else(|| self.current.clone());
        Self { current, previous: self.previous.as_ref().and_then(derive) }
    }

    pub(crate) fn sign(&self, text: impl AsRef<[u8]>) -> [u8; 32] {
        self.current.clone().chain_update(text).finalize().into_bytes().into()
    }

    /// Whether one of the keys made this signature; both are compared in constant time.
    pub(crate) fn have_signed(&self, text: &str, signature: &[u8]) -> bool {
        let made_by =
            |key: &Hmac<Sha256>| key.clone().chain_update(text).verify_slice(signature).is_ok();
        let (by_current, by_previous) =
            (made_by(&self.current), self.previous.as_ref().is_some_and(made_by));
        by_current | by_previous
    }

    /// As [`ServiceKeys::have_signed`], for the first bytes of a signature.
    pub(crate) fn have_signed_beginning(&self, text: &[u8], beginning: &[u8]) -> bool {
        let made_by = |key: &Hmac<Sha256>| {
            key.clone().chain_update(text).verify_truncated_left(beginning).is_ok()
        };
        let (by_current, by_previous) =
            (made_by(&self.current), self.previous.as_ref().is_some_and(made_by));
        by_current | by_previous
    }
}

fn key(name: &'static str, text: &str) -> Result<Hmac<Sha256>, KeysFault> {
    let bytes = hex::decode(text.trim()).ok().filter(|bytes| bytes.len() >= KEY_BYTES);
    let key = bytes.and_then(|bytes| Hmac::new_from_slice(&bytes).ok());
    key.ok_or(KeysFault::NotAKey(name))
}

impl fmt::Debug for ServiceKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let previous = self.previous.is_some();
        f.debug_struct("ServiceKeys").field("previous", &previous).finish_non_exhaustive()
    }
}

/// The keys of a running process, which its operator may replace.
#[derive(Debug, Clone)]
pub struct SharedKeys(Arc<RwLock<ServiceKeys>>);

impl SharedKeys {
    /// Begins with these keys.
    pub fn new(keys: ServiceKeys) -> Self {
        Self(Arc::new(RwLock::new(keys)))
    }

    /// Uses these keys from now on.
    pub fn replace(&self, keys: ServiceKeys) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&ServiceKeys) -> T) -> T {
        read(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(current: &str, previous: &str) -> String {
        format!("current = \"{current}\"\nprevious = \"{previous}\"\n")
    }

    #[test]
    fn keys_are_32_bytes_in_hexadecimal() {
        let (long, other) = ("ab".repeat(32), "cd".repeat(40));
        assert!(ServiceKeys::from_toml(&file(&long, &other)).is_ok());
        assert!(ServiceKeys::from_toml(&format!("current = \"{long}\"")).is_ok());
        for (text, fault) in [
            (String::new(), KeysFault::NotKeys),
            (format!("previous = \"{long}\""), KeysFault::NotKeys),
            (format!("{}next = \"{long}\"", file(&long, &other)), KeysFault::NotKeys),
            (file(&long, &long.to_uppercase()), KeysFault::SameKey),
            (file(&long, ""), KeysFault::NotAKey("previous")),
            (file(&"ab".repeat(31), &other), KeysFault::NotAKey("current")),
            (file(&"xy".repeat(32), &other), KeysFault::NotAKey("current")),
        ] {
            assert_eq!(ServiceKeys::from_toml(&text).unwrap_err(), fault, "{text}");
            assert!(!fault.to_string().contains(&long));
        }
    }

    #[test]
    fn keys_are_not_shown() {
        let (current, previous) = ("ab".repeat(32), "cd".repeat(32));
        let keys = SharedKeys::new(ServiceKeys::from_toml(&file(&current, &previous)).unwrap());
        let shown = format!("{keys:?}");
        assert!(!shown.contains("ab") && !shown.contains("171"), "{shown}");
    }
}
