//! Tokens with which the services of a split market prove to each other who calls. A token names its caller, its
//! audience, its expiry and the id of one request, and is signed with a key that all services share.
//!
//! [`TokenIssuer`] makes them, [`TokenVerifier`] checks them. Both take the time from their caller, and their keys from
//! [`SharedKeys`], which can be replaced while they run. [`DerivedKeys`] are made of the same keys for other purposes.

mod derived;
mod issuer;
mod keys;
mod token_text;
mod verifier;

pub use derived::DerivedKeys;
pub use issuer::TokenIssuer;
pub use keys::{KeysFault, ServiceKeys, SharedKeys};
pub use verifier::{TokenFault, TokenVerifier, VerifiedToken};

use std::time::Duration;

/// The header that carries a token.
pub const SERVICE_TOKEN: &str = "gdmarket-service-token";

/// The longest time for which a token may be valid.
pub const MAX_VALIDITY: Duration = Duration::from_mins(1);
