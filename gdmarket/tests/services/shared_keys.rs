//! The keys of service tokens in the memory of a test, to sign with.

use gdmarket_service_token::{ServiceKeys, SharedKeys};
use gdmarket_testkit::KeysFile;

/// The key that a file has which was made with this byte.
pub(crate) fn shared_keys(current: &str) -> SharedKeys {
    SharedKeys::new(ServiceKeys::from_toml(&KeysFile::text(current, None)).unwrap())
}
