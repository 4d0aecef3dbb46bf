//! `Gdmarket-At` and `?at_least=`: an opaque set of (source, position). A source is one log in one
//! epoch, so that a token of a restored log is never taken for one of the log before.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// Makes and reads the tokens of one log.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    source: String,
}

impl Tokens {
    pub(crate) fn new(log_id: Uuid, epoch: i64) -> Self {
        Self { source: format!("{}.{epoch}", log_id.simple()) }
    }

    pub(crate) fn token(&self, position: i64) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}@{position}", self.source))
    }

    /// The position of this log that a token means; `None` if another log gave it out.
    pub(crate) fn position(&self, token: &str) -> Option<i64> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let text = std::str::from_utf8(&bytes).ok()?;
        text.split(',')
            .filter_map(|part| part.rsplit_once('@'))
            .find(|(source, _)| *source == self.source)
            .and_then(|(_, position)| position.parse().ok())
            .filter(|position| *position >= 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_by_the_log_that_gave_it_alone() {
        let log = Tokens::new(Uuid::from_u128(1), 1);
        let token = log.token(42);
        assert_eq!(log.position(&token), Some(42));
        assert_eq!(Tokens::new(Uuid::from_u128(1), 2).position(&token), None);
        assert_eq!(Tokens::new(Uuid::from_u128(2), 1).position(&token), None);
        for bad in ["", "42", "!!", &URL_SAFE_NO_PAD.encode("x@y")] {
            assert_eq!(log.position(bad), None, "{bad}");
        }
    }
}
