//! Conditional requests (RFC 9110, section 13): the entity tags of `If-Match` and `If-None-Match`.
//!
//! A tag is `"N.H"`: the version of the aggregate and a hash of the representation. `If-Match`
//! compares versions, since a write changes an aggregate; `If-None-Match` compares whole tags.

use crate::problem::field_fault::{Fault, shape};
use http::{HeaderMap, HeaderName};

/// The version of a tag that this server did not make; it matches no version.
const NO_VERSION: i64 = -1;

/// The value of `If-Match` or `If-None-Match`, over all its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tags {
    /// `*`
    Any,
    /// The text between the quotes of each tag; weak tags count as strong.
    Listed(Vec<String>),
}

impl Tags {
    /// The tags of a header; `None` if the header is absent.
    pub(crate) fn of(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Self>, Fault> {
        let mut lines = headers.get_all(name).iter().peekable();
        if lines.peek().is_none() {
            return Ok(None);
        }
        let (mut tags, mut is_any) = (vec![], false);
        for line in lines {
            let line = line.as_bytes().trim_ascii();
            if line == b"*" {
                is_any = true;
            } else {
                read_list(line, &mut tags).ok_or(Fault::WrongType(shape::ETAG))?;
            }
        }
        match (is_any, tags.is_empty()) {
            (true, true) => Ok(Some(Self::Any)),
            (false, false) => Ok(Some(Self::Listed(tags))),
            _ => Err(Fault::WrongType(shape::ETAG)),
        }
    }

    /// The listed versions; `None` for `*`, which every version matches.
    pub(crate) fn versions(&self) -> Option<Vec<i64>> {
        match self {
            Self::Any => None,
            Self::Listed(tags) => Some(tags.iter().map(|tag| version(tag)).collect()),
        }
    }

    /// Whether `If-Match` with these tags matches a tag of this server.
    pub(crate) fn match_version_of(&self, etag: &str) -> bool {
        let current = opaque(etag).map_or(NO_VERSION, version);
        self.versions().is_none_or(|listed| current != NO_VERSION && listed.contains(&current))
    }

    /// Whether `If-None-Match` with these tags names this representation.
    pub(crate) fn name(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(tags) => {
                opaque(etag).is_some_and(|current| tags.iter().any(|tag| tag == current))
            }
        }
    }
}

/// Reads a comma-separated list of entity tags; a comma may be part of a tag.
fn read_list(mut rest: &[u8], tags: &mut Vec<String>) -> Option<()> {
    loop {
        rest = rest.trim_ascii_start();
        while let Some(after) = rest.strip_prefix(b",") {
            rest = after.trim_ascii_start();
        }
        if rest.is_empty() {
            return Some(());
        }
        let quoted = rest.strip_prefix(b"W/").unwrap_or(rest).strip_prefix(b"\"")?;
        let end = quoted.iter().position(|byte| *byte == b'"')?;
        let (tag, after) = quoted.split_at_checked(end)?;
        if tag.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
            return None;
        }
        tags.push(String::from_utf8_lossy(tag).into_owned());
        rest = after.strip_prefix(b"\"")?.trim_ascii_start();
        if !rest.is_empty() && !rest.starts_with(b",") {
            return None;
        }
    }
}

/// The text between the quotes of a tag.
fn opaque(etag: &str) -> Option<&str> {
    etag.strip_prefix("W/").unwrap_or(etag).strip_prefix('"')?.strip_suffix('"')
}

/// The version in the text of a tag: `N`, or `N.` and what a server or proxy appended.
fn version(tag: &str) -> i64 {
    let digits = tag.split('.').next().unwrap_or_default();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number).unwrap_or(NO_VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::IF_MATCH;

    fn tags(lines: &[&str]) -> Result<Option<Tags>, Fault> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(IF_MATCH, line.parse().unwrap());
        }
        Tags::of(&headers, &IF_MATCH)
    }

    #[test]
    fn lists_lines_weak_tags_and_both_forms_are_read() {
        for (lines, versions) in [
            (&["\"7\""][..], vec![7]),
            (&["W/\"7\""], vec![7]),
            (&["\"99\" , \"7.0a1b\""], vec![99, 7]),
            (&["\"99\"", "W/\"7.0a-gzip\","], vec![99, 7]),
            (&["\"a,b\",, \"\""], vec![NO_VERSION, NO_VERSION]),
            (&["\"7x\", \"-7\", \"99999999999999999999\""], vec![NO_VERSION; 3]),
        ] {
            assert_eq!(tags(lines).unwrap().unwrap().versions(), Some(versions), "{lines:?}");
        }
        assert_eq!(tags(&["*"]), Ok(Some(Tags::Any)));
        assert_eq!(tags(&[]), Ok(None));
    }

    #[test]
    fn malformed_values_are_faults() {
        for lines in
            [&["7"][..], &["\"7"], &[""], &[","], &["*, \"7\""], &["*", "\"7\""], &["\"7\" \"8\""]]
        {
            assert!(tags(lines).is_err(), "{lines:?}");
        }
    }

    #[test]
    fn if_match_compares_versions_and_if_none_match_whole_tags() {
        let sent = tags(&["\"99\", W/\"7.aa\""]).unwrap().unwrap();
        assert!(sent.match_version_of("\"7.bb\"") && !sent.match_version_of("\"8.aa\""));
        assert!(sent.name("\"7.aa\"") && sent.name("W/\"7.aa\"") && !sent.name("\"7.bb\""));
        let foreign = tags(&["\"x\""]).unwrap().unwrap();
        assert!(!foreign.match_version_of("\"y\""));
    }
}
