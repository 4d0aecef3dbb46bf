//! A resource as bytes, with the entity tag of exactly these bytes.

use crate::resource::Versioned;
use bytes::Bytes;
use http::HeaderValue;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// How many bytes of the hash a tag contains.
const HASH_BYTES: usize = 8;

/// One representation of a resource.
#[derive(Debug, Clone)]
pub(crate) struct Representation {
    /// `"N.H"`
    pub(crate) etag: String,
    pub(crate) json: Bytes,
}

impl Representation {
    /// The JSON of a resource.
    pub(crate) fn of<T: Serialize>(resource: &Versioned<T>) -> Self {
        // Texts, numbers and maps with texts as keys: always JSON.
        let json = serde_json::to_vec(&resource.body).unwrap_or_default();
        let etag = format!("\"{}.{}\"", resource.version, hash(&json));
        Self { etag, json: json.into() }
    }

    /// The tag as a header.
    pub(crate) fn etag_header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.etag).ok()
    }
}

/// The hash of a representation, as tags contain it.
pub(crate) fn hash(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().take(HASH_BYTES).fold(String::new(), |mut text, byte| {
        // Writing to a String doesn't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
