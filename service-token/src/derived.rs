//! Keys for another purpose, derived from the keys that services share: what they sign is never a service token, and no
//! service token is a signature of theirs.

use crate::keys::SharedKeys;
use std::fmt;

/// The keys of one purpose. They follow the shared keys while those are replaced.
#[derive(Clone)]
pub struct DerivedKeys {
    keys: SharedKeys,
    purpose: &'static str,
}

impl SharedKeys {
    /// The keys of a purpose: for each shared key the HMAC-SHA256 of the purpose's name.
    pub fn derived(&self, purpose: &'static str) -> DerivedKeys {
        DerivedKeys { keys: self.clone(), purpose }
    }
}

impl fmt::Debug for DerivedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DerivedKeys").field("purpose", &self.purpose).finish_non_exhaustive()
    }
}

impl DerivedKeys {
    /// The signature of a text, with the current key.
    pub fn sign(&self, text: &[u8]) -> [u8; 32] {
        self.keys.read(|keys| keys.derived(self.purpose).sign(text))
    }

    /// Whether one of the keys made a signature that begins with these bytes; they are compared in constant time.
    pub fn have_signed(&self, text: &[u8], beginning: &[u8]) -> bool {
        self.keys.read(|keys| keys.derived(self.purpose).have_signed_beginning(text, beginning))
    }
}

#[cfg(test)]
mod tests {
    use crate::keys::{ServiceKeys, SharedKeys};

    fn keys(current: &str, previous: Option<&str>) -> ServiceKeys {
        let line = |name: &str, key: &str| format!("{name} = \"{}\"\n", key.repeat(32));
        let previous = previous.map(|key| line("previous", key)).unwrap_or_default();
        ServiceKeys::from_toml(&format!("{}{previous}", line("current", current))).unwrap()
    }

    #[test]
    fn signature_is_of_one_purpose_and_one_key() {
        let shared = SharedKeys::new(keys("a1", None));
        let signature = shared.derived("first").sign(b"text");
        assert!(shared.derived("first").have_signed(b"text", &signature));
        assert!(shared.derived("first").have_signed(b"text", &signature[..16]));
        assert!(!shared.derived("first").have_signed(b"text", b""), "nothing is no signature");
        assert!(!shared.derived("first").have_signed(b"texts", &signature));
        assert!(!shared.derived("second").have_signed(b"text", &signature));
        assert!(
            !SharedKeys::new(keys("b2", None)).derived("first").have_signed(b"text", &signature)
        );
        let of_token = shared.read(|keys| keys.sign("text"));
        assert!(!shared.derived("first").have_signed(b"text", &of_token));
        assert!(!shared.read(|keys| keys.have_signed("text", &signature)));
    }

    #[test]
    fn keys_are_replaced_while_they_are_used() {
        let shared = SharedKeys::new(keys("a1", None));
        let derived = shared.derived("first");
        let old = derived.sign(b"text");
        shared.replace(keys("b2", Some("a1")));
        assert_ne!(derived.sign(b"text"), old);
        assert!(derived.have_signed(b"text", &old), "the previous key");
        shared.replace(keys("b2", None));
        assert!(!derived.have_signed(b"text", &old));
    }
}
