//! The payment provider's URL, and the key that it knows this market by.

use secrecy::SecretString;
use std::borrow::Cow;
use std::str::FromStr;
use url::Url;

/// The URL of a payment provider, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderUrl(String);

impl ProviderUrl {
    /// The URL as a text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProviderUrl {
    type Err = Cow<'static, str>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = "must be a URL like http://127.0.0.1:8090";
        let url = Url::parse(text).map_err(|_| form)?;
        if url.scheme() == "https" {
            return Err("can't be https: this program has no TLS for it; name a proxy on this \
                machine that adds TLS"
                .into());
        }
        if url.scheme() != "http" || !url.has_host() {
            return Err(form.into());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must hold no password; set payment.provider_key instead".into());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("must end with the path: without ? and #".into());
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }
}

/// The key that a payment provider knows this market by.
#[derive(Debug, Clone)]
pub struct ProviderKey(pub SecretString);

impl FromStr for ProviderKey {
    type Err = Cow<'static, str>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(SecretString::from(text.to_owned())))
        } else {
            Err("must be of letters, digits and signs of ASCII, without blanks".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_of_a_provider_is_a_place_and_nothing_more() {
        let read = |text: &str| text.parse::<ProviderUrl>().map(|url| url.as_str().to_owned());
        assert_eq!(read("http://127.0.0.1:8090/").as_deref(), Ok("http://127.0.0.1:8090"));
        assert_eq!(read("http://pay.internal/v1").as_deref(), Ok("http://pay.internal/v1"));
        for text in [
            "pay",
            "https://pay.example",
            "ftp://pay",
            "http://me:secret@pay",
            "http://pay?key=1",
            "http://pay#a",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn key_of_a_provider_fits_into_a_header() {
        assert!("sk_live-1+/=".parse::<ProviderKey>().is_ok());
        for text in ["two words", "한글", "line\nend"] {
            assert!(text.parse::<ProviderKey>().is_err(), "{text}");
        }
    }
}
