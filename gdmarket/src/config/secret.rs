//! A database's URL, which may contain a password: it is shown without the password, and only `expose` returns it
//! whole. Texts that may contain such a URL by mistake are masked before they are printed.

use secrecy::{ExposeSecret as _, SecretString};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use url::Url;

/// The schemes of PostgreSQL's URLs.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];
const NO_POSTGRES: &str = "must begin with postgres:// (for SQLite set server.data_dir instead)";
const MISPLACED: &str = "has a password that cuts the URL short: write % in it as %25, / as %2F, \
    ? as %3F, # as %23, @ as %40 and : as %3A";
const UNKNOWN: &str = "has a parameter that isn't known; those that are known: sslmode, sslrootcert, \
    sslcert, sslkey, host, hostaddr, port, dbname, user, password, options, application_name, \
    statement-cache-capacity";
const UNREADABLE: &str = "can't be read as a URL: postgres://USER:PASSWORD@HOST:PORT/DATABASE; in the \
    password write % as %25, / as %2F, ? as %3F, # as %23, @ as %40 and : as %3A";

/// What may follow the `?`, the names of one parameter each. The client ignores anything else: with a misspelt
/// `sslmode` it would connect without TLS.
const PARAMETERS: [&[&str]; 12] = [
    &["sslmode", "ssl-mode"],
    &["sslrootcert", "ssl-root-cert", "ssl-ca"],
    &["sslcert", "ssl-cert"],
    &["sslkey", "ssl-key"],
    &["statement-cache-capacity"],
    // The client uses the address as the host, so one of the two would be ignored.
    &["host", "hostaddr"],
    &["port"],
    &["dbname"],
    &["user"],
    &["password"],
    &[OPTIONS],
    &["application_name"],
];
/// The client joins several of these with blanks.
const OPTIONS: &str = "options";
/// The client accepts them in upper case too.
const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// The URL of a PostgreSQL database.
#[derive(Clone)]
pub struct DatabaseUrl {
    secret: SecretString,
    shown: String,
    has_password: bool,
}

impl DatabaseUrl {
    /// The URL with its password, for the code that connects.
    pub fn expose(&self) -> &str {
        self.secret.expose_secret()
    }

    /// Whether it contains a password.
    pub const fn has_password(&self) -> bool {
        self.has_password
    }
}

impl FromStr for DatabaseUrl {
    type Err = Cow<'static, str>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !SCHEMES.iter().any(|scheme| text.starts_with(scheme)) {
            return Err(NO_POSTGRES.into());
        }
        let url = Url::parse(text).map_err(|_| UNREADABLE)?;
        // A password with an unescaped delimiter ends the authority early, and its rest would count as
        // a database, a parameter or a fragment. Such a rest still has the @ of the authority.
        if url.fragment().is_some() || url.path().contains('@') {
            return Err(MISPLACED.into());
        }
        check_parameters(&url)?;
        Ok(Self {
            shown: without_password(&url),
            has_password: url.password().is_some()
                || url.query_pairs().any(|(name, _)| name == "password"),
            secret: SecretString::from(text.to_owned()),
        })
    }
}

/// Refuses parameters that the client would ignore, and values that it doesn't accept.
fn check_parameters(url: &Url) -> Result<(), Cow<'static, str>> {
    let is_misplaced = url.query().unwrap_or_default().contains('@');
    let mut seen = BTreeSet::new();
    for (name, value) in url.query_pairs() {
        let is_setting = name.starts_with("options[") && name.ends_with(']');
        let known = PARAMETERS.iter().position(|names| names.contains(&name.as_ref()));
        let known = known.or_else(|| is_setting.then_some(PARAMETERS.len()));
        let Some(known) = known else {
            return Err(if is_misplaced { MISPLACED } else { UNKNOWN }.into());
        };
        let mode = value.to_ascii_lowercase();
        if known == 0 && !SSL_MODES.contains(&mode.as_str()) {
            return Err(
                format!("has a wrong sslmode; choose one of {}", SSL_MODES.join(", ")).into()
            );
        }
        if !is_setting && name != OPTIONS && !seen.insert(known) {
            return Err("has a parameter twice, of which one would be ignored".into());
        }
        if name == "hostaddr" && url.host_str().is_some_and(|host| !host.is_empty()) {
            return Err("has a host and a hostaddr, of which one would be ignored".into());
        }
    }
    Ok(())
}

fn without_password(url: &Url) -> String {
    let named = !url.username().is_empty() || url.password().is_some();
    let user = if named { "***@" } else { "" };
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let options = if url.query().is_some() { "?***" } else { "" };
    format!("{}://{user}{host}{port}{}{options}", url.scheme(), url.path())
}

/// The text with every PostgreSQL URL masked after its scheme, up to the next space or quote. For texts that may
/// contain such a URL by mistake, possibly a malformed one.
pub fn masked(text: &str) -> Cow<'_, str> {
    let Some((start, end)) = first_url(text) else { return Cow::Borrowed(text) };
    let (before, rest) = (text.get(..start), text.get(end..));
    let rest = masked(rest.unwrap_or_default());
    Cow::Owned(format!("{}***{rest}", before.unwrap_or_default()))
}

/// Where the rest of the first URL begins and ends, after its scheme.
fn first_url(text: &str) -> Option<(usize, usize)> {
    let lower = text.to_ascii_lowercase();
    let starts = SCHEMES.iter().filter_map(|scheme| Some(lower.find(scheme)? + scheme.len()));
    let start = starts.min()?;
    let length = text.get(start..)?.find(|c: char| c.is_whitespace() || "\"'`".contains(c));
    let end = length.map_or(text.len(), |length| start.saturating_add(length));
    // A URL that is masked already stays, and so does a scheme alone.
    match text.get(start..end)? {
        "" | "***" => {
            let (from, to) = first_url(text.get(end..)?)?;
            Some((end.saturating_add(from), end.saturating_add(to)))
        }
        _ => Some((start, end)),
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("postgres://me:s3cret@db:5432/market", "postgres://***@db:5432/market"),
            ("postgres://me:s3%3Fcret@db/market", "postgres://***@db/market"),
            ("postgres://me:s3@cret@db/market", "postgres://***@db/market"),
            ("postgres:///market?host=/run&password=s3cret", "postgres:///market?***"),
            ("postgresql://db/market", "postgresql://db/market"),
        ] {
            let parsed: DatabaseUrl = url.parse().unwrap();
            assert_eq!(parsed.to_string(), shown);
            assert_eq!(format!("{parsed:?}"), shown);
            assert_eq!(parsed.has_password(), url.contains("cret"), "{url}");
            assert_eq!(parsed.expose(), url);
        }
    }

    #[test]
    fn a_delimiter_inside_a_password_is_refused() {
        for password in ["12?34", "ab?cd", "12/34", "ab/cd", "12#34", "ab#cd"] {
            let url = format!("postgres://me:{password}@db/market");
            let fault = url.parse::<DatabaseUrl>().unwrap_err();
            assert!(fault.contains("%3F"), "{url}: {fault}");
        }
    }

    #[test]
    fn parameters_that_the_client_would_ignore_are_refused() {
        for query in [
            "sslmod=require",
            "SSLMODE=require",
            "sslmode=required",
            "sslmode=require&sslmode=disable",
            "sslmode=require&ssl-mode=disable",
            "sslrootcert=/a.pem&ssl-ca=/b.pem",
            "host=a&host=b",
            "hostaddr=127.0.0.1",
            "connect_timeout=5",
            "Options=x",
            "options[a=b",
            "sslmode=",
            "pool_max_conns=3",
            "x",
        ] {
            let url = format!("postgres://me:s3cret@db/market?{query}");
            let fault = url.parse::<DatabaseUrl>().unwrap_err();
            assert!(!fault.contains("s3cret") && fault.starts_with("has a"), "{url}: {fault}");
        }
        for query in [
            "sslmode=verify-full&sslrootcert=/ca.pem",
            "options=-c%20search_path=market",
            "options[search_path]=a",
        ] {
            let url = format!("postgres://me@db/market?{query}");
            url.parse::<DatabaseUrl>().unwrap();
        }
    }

    #[test]
    fn parameters_of_the_client_are_accepted() {
        for query in [
            "sslmode=REQUIRE",
            "ssl-mode=Verify-Full&ssl-ca=/ca.pem",
            "options=-c%20search_path=market&options=-c%20work_mem=8MB",
            "options[search_path]=a&options[work_mem]=8MB&options=-c%20jit=off",
            "application_name=me@here",
            "user=me@tenant&password=s3@cret",
            "application_name=a%26b",
        ] {
            for url in [
                format!("postgres://me@db/market?{query}"),
                format!("postgres:///market?host=/run/postgresql&{query}"),
            ] {
                assert!(url.parse::<DatabaseUrl>().is_ok(), "{url}");
            }
        }
    }

    #[test]
    fn a_url_in_another_text_is_masked() {
        for (text, shown) in [
            ("nothing", "nothing"),
            ("postgres:// is a scheme", "postgres:// is a scheme"),
            ("'POSTGRES://me:a?b@db' is no folder", "'POSTGRES://***' is no folder"),
            ("postgres://a postgresql://b:c@d", "postgres://*** postgresql://***"),
        ] {
            assert_eq!(masked(text), shown);
            assert_eq!(masked(shown), shown, "masking twice changes nothing");
        }
    }
}
