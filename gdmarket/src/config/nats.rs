//! Where NATS is, and how the stream of this process is kept there.

use super::values;
use secrecy::SecretString;
use serde::Deserialize;
use std::borrow::Cow;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use url::Url;

/// NATS, as the fast path of events between services.
#[derive(Debug, Clone, Deserialize)]
pub struct NatsConfig {
    /// Its servers; without them events are polled.
    #[serde(deserialize_with = "values::optional")]
    pub url: Option<NatsUrl>,
    /// The file of credentials.
    #[serde(deserialize_with = "values::optional_file")]
    pub credentials_file: Option<PathBuf>,
    /// The file of certificates that the servers' certificates may be signed by.
    #[serde(deserialize_with = "values::optional_file")]
    pub ca_file: Option<PathBuf>,
    /// How long a message is kept.
    #[serde(rename = "keep_h", deserialize_with = "values::hours")]
    pub keep_for: Duration,
    /// How many mebibytes of messages are kept.
    #[serde(deserialize_with = "values::within::<16, 1_048_576, _, _>")]
    pub keep_mib: i64,
    /// How many servers keep it.
    #[serde(deserialize_with = "values::within::<1, 5, _, _>")]
    pub replicas: usize,
}

/// The addresses of the servers, separated by commas; they may hold a user and a password.
#[derive(Debug, Clone)]
pub struct NatsUrl(pub SecretString);

impl FromStr for NatsUrl {
    type Err = Cow<'static, str>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_address = |part: &str| {
            Url::parse(part.trim()).is_ok_and(|url| {
                matches!(url.scheme(), "nats" | "tls")
                    && url.has_host()
                    && matches!(url.path(), "" | "/")
                    && url.query().is_none()
                    && url.fragment().is_none()
            })
        };
        if text.split(',').all(is_address) {
            Ok(Self(SecretString::from(text.to_owned())))
        } else {
            Err("must be addresses of NATS servers, like nats://127.0.0.1:4222 or \
                 tls://USER:PASSWORD@HOST, separated by commas"
                .into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_names_one_server_or_several() {
        for text in [
            "nats://127.0.0.1:4222",
            "tls://nats.internal",
            "nats://me:s3cret@a:4222,nats://b:4222, nats://c",
        ] {
            let url = text.parse::<NatsUrl>();
            assert!(!format!("{:?}", url.unwrap()).contains("s3cret"), "{text}");
        }
        for text in
            ["127.0.0.1:4222", "http://a", "nats://a/b", "nats://a,", "nats://", "nats://a?x"]
        {
            assert!(text.parse::<NatsUrl>().is_err(), "{text}");
        }
    }
}
