//! A database's URL, which may carry a password: shown without it, handed out only by name.

use secrecy::{ExposeSecret as _, SecretString};
use std::fmt;
use std::str::FromStr;

/// The URL of a PostgreSQL database.
#[derive(Clone)]
pub struct DatabaseUrl(SecretString);

impl DatabaseUrl {
    /// The URL with its password, for whoever connects.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    fn redacted(&self) -> String {
        let text = self.expose();
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let address = rest.split('?').next().unwrap_or_default();
        let host = address.rsplit_once('@').map_or(address, |(_, host)| host);
        let user = if address.contains('@') { "***@" } else { "" };
        let options = if rest.contains('?') { "?***" } else { "" };
        format!("{scheme}://{user}{host}{options}")
    }
}

impl FromStr for DatabaseUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_postgres = ["postgres://", "postgresql://"].iter().any(|p| text.starts_with(p));
        if is_postgres {
            Ok(Self(SecretString::from(text.to_owned())))
        } else {
            Err("must begin with postgres:// (for SQLite set server.data_dir instead)")
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("postgres://me:s3cret@db:5432/market", "postgres://***@db:5432/market"),
            ("postgres:///market?host=/run&password=s3cret", "postgres:///market?***"),
            ("postgres://db/market", "postgres://db/market"),
        ] {
            let url: DatabaseUrl = url.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
        }
    }
}
