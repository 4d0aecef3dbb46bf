//! The text of a token: `v1.CALLER.AUDIENCE.EXPIRY.REQUEST.SIGNATURE`, with the expiry in milliseconds since 1970, and
//! the signature over all that is before its dot.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

const VERSION: &str = "v1";

/// The longest text that is read.
const MAX_LENGTH: usize = 512;

/// What a token says. The names are texts: a newer program may know other services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claims<'a> {
    pub(crate) caller: &'a str,
    pub(crate) audience: &'a str,
    pub(crate) expires_at_ms: i64,
    pub(crate) request_id: Uuid,
}

impl<'a> Claims<'a> {
    /// The text that is signed.
    pub(crate) fn signed_text(&self) -> String {
        let Self { caller, audience, expires_at_ms, request_id } = self;
        format!("{VERSION}.{caller}.{audience}.{expires_at_ms}.{}", request_id.simple())
    }

    /// Reads the signed text of a token; `None` if it isn't one.
    pub(crate) fn parse(signed_text: &'a str) -> Option<Self> {
        let mut parts = signed_text.split('.');
        let is_known = parts.next()? == VERSION;
        let claims = Self {
            caller: parts.next()?,
            audience: parts.next()?,
            expires_at_ms: parts.next()?.parse().ok()?,
            request_id: parts.next()?.parse().ok()?,
        };
        (is_known && parts.next().is_none()).then_some(claims)
    }
}

/// The whole token.
pub(crate) fn with_signature(mut signed_text: String, signature: &[u8]) -> String {
    signed_text.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut signed_text);
    signed_text
}

/// The signed text and the signature of a token.
pub(crate) fn split(token: &str) -> Option<(&str, Vec<u8>)> {
    let (signed_text, signature) = token.rsplit_once('.').filter(|_| token.len() <= MAX_LENGTH)?;
    Some((signed_text, URL_SAFE_NO_PAD.decode(signature).ok()?))
}
