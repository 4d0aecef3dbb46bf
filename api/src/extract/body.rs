//! The bytes of a body as one JSON object, its fields still unread.
//!
//! Too large is 413, not JSON by its header 415, not JSON by its bytes 400, too slow 408. An absent
//! body is an empty object: most actions need no field.

use super::number::whole_number;
use crate::problem::Problem;
use crate::problem::field_fault::{Fault, FieldFault};
use crate::problem::kind;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use gdmarket_domain::checked_name;
use gdmarket_domain::name::MAX_NAME;
use http::{HeaderMap, HeaderValue, header};
use http_body_util::BodyExt as _;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The most bytes of a body.
pub(crate) const MAX_BODY: usize = 64 * 1024;
/// How deep objects and arrays may nest.
pub(crate) const MAX_DEPTH: usize = 32;
/// A refused body is still read up to here, so that the sender gets to see the answer.
const DRAIN_AT_MOST: usize = 1024 * 1024;
/// What stands for bytes that are no text.
const REPLACEMENT: &str = "\u{fffd}";
/// The media types that a body may have.
const MEDIA_TYPES: [&str; 3] =
    ["application/json", "application/hal+json", "application/merge-patch+json"];
/// What editors on Windows put before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// The links of HAL: callers send back what they got.
const LINKS: &str = "_links";
/// The most fields of an object that is read.
pub(crate) const MAX_FIELDS: usize = 64;
/// How long a body may take.
pub(crate) const READ_WITHIN: Duration = Duration::from_secs(10);

/// The fields of a body in the order they stand in, each as its JSON text.
#[derive(Debug, Default)]
pub(crate) struct Fields(pub(super) Vec<(String, Box<RawValue>)>);

impl Fields {
    /// What the body says as it is understood: whatever its blanks, the order of its fields, numbers as
    /// strings of digits, and how names are written. Where older programs understood it otherwise, their
    /// fingerprint follows, so that a key that they remember is known.
    pub(crate) fn fingerprint(&self, method: &str, path: &str) -> Vec<u8> {
        let understood: BTreeMap<&str, String> = self
            .0
            .iter()
            .filter_map(|(name, json)| Some((name.as_str(), understood(name, json)?)))
            .collect();
        let older: BTreeMap<&str, String> =
            self.0.iter().map(|(name, json)| (name.as_str(), canonical(json))).collect();
        let mut fingerprint = hash([method, path, &serde_json::json!(understood).to_string()]);
        if older != understood {
            fingerprint.extend(hash([method, path, &serde_json::json!(older).to_string()]));
        }
        fingerprint
    }
}

fn hash(parts: [&str; 3]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finalize().to_vec()
}

/// A field as it is understood; what is `null` is as if absent.
fn understood(name: &str, json: &RawValue) -> Option<String> {
    const NUMBERS: [&str; 6] =
        ["itemNo", "reservationNo", "paymentNo", "customerId", "ownerId", "itemPrice"];
    const NAMES: [&str; 2] = ["itemName", "customerName"];
    if json.get() == "null" {
        return None;
    }
    if NUMBERS.contains(&name)
        && let Ok(number) = whole_number(json.get(), i64::MIN, i64::MAX)
    {
        return Some(number.to_string());
    }
    if NAMES.contains(&name)
        && let Ok(text) = serde_json::from_str::<String>(json.get())
        && let Ok(name) = checked_name(&text)
    {
        return Some(serde_json::json!(name).to_string());
    }
    Some(canonical(json))
}

fn canonical(json: &RawValue) -> String {
    serde_json::from_str::<serde_json::Value>(json.get())
        .map_or_else(|_| json.get().to_owned(), |value| value.to_string())
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let reading = tokio::time::timeout(READ_WITHIN, read(body));
        let bytes = reading.await.map_err(|_| Problem::new(&kind::REQUEST_TIMEOUT))??;
        check_encoding(&parts.headers)?;
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        check_media_type(&parts.headers)?;
        let Self(mut fields) = parse(bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes))?;
        fields.retain(|(name, _)| name != LINKS);
        Ok(Self(fields))
    }
}

/// The whole body. One that comes in one piece, as it does when it was read before, is not copied.
pub(crate) async fn read(mut body: Body) -> Result<Bytes, Problem> {
    let (mut first, mut kept) = (Bytes::new(), BytesMut::new());
    let mut seen = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Problem::new(&kind::MALFORMED_JSON).with_cause(format!("reading the body: {error}"))
        })?;
        let Ok(data) = frame.into_data() else { continue };
        let is_first = seen == 0;
        seen = seen.saturating_add(data.len());
        if seen > DRAIN_AT_MOST {
            break;
        }
        if is_first {
            first = data;
        } else if seen <= MAX_BODY {
            if kept.is_empty() {
                kept.extend_from_slice(&first);
            }
            kept.extend_from_slice(&data);
        }
    }
    match (seen > MAX_BODY, kept.is_empty()) {
        (true, _) => Err(Problem::new(&kind::BODY_TOO_LARGE)),
        (false, true) => Ok(first),
        (false, false) => Ok(kept.freeze()),
    }
}

/// Bodies are taken as they are: a small one that unpacks to a large one is never met.
fn check_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    let lines = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut codings = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    if codings.all(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"identity")) {
        return Ok(());
    }
    let identity = HeaderValue::from_static("identity");
    Err(Problem::new(&kind::UNSUPPORTED_ENCODING).with_header("accept-encoding", identity))
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let sent = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = sent.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if MEDIA_TYPES.iter().any(|known| essence.eq_ignore_ascii_case(known)) {
        return Ok(());
    }
    let accept = HeaderValue::from_static("application/json");
    Err(Problem::new(&kind::UNSUPPORTED_MEDIA_TYPE)
        .with_header("accept-post", accept.clone())
        .with_header("accept-patch", accept))
}

pub(super) fn parse(bytes: &[u8]) -> Result<Fields, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let byte = error.valid_up_to();
        let detail = (
            format!("The body is not UTF-8: byte {byte}."),
            format!("본문이 UTF-8이 아니에요: {byte}번째 바이트를 확인하세요."),
        );
        malformed_in(bytes, &String::from_utf8_lossy(bytes), Fault::NotUtf8, detail)
    })?;
    if let Some(field) = too_deep(text) {
        let errors = vec![FieldFault::new(field, Fault::TooDeep)];
        return Err(Problem::new(&kind::MALFORMED_JSON).with_errors(errors));
    }
    let fields = object(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let detail = (
            format!("The body is no JSON object: {error}."),
            format!("본문이 JSON 객체가 아니에요: {line}번째 줄 {column}번째 글자를 확인하세요."),
        );
        let is_control = |c: char| c < ' ' && !matches!(c, '\t' | '\n' | '\r');
        let marked = text.replace(is_control, REPLACEMENT);
        malformed_in(bytes, &marked, Fault::ControlCharacter, detail)
    })?;
    if fields.0.len() > MAX_FIELDS {
        return Err(Problem::invalid(vec![FieldFault::new("", Fault::TooManyFields(MAX_FIELDS))]));
    }
    Ok(fields)
}

fn object(text: &str) -> Result<Fields, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let fields = json.deserialize_map(FieldsVisitor)?;
    json.end().map(|()| fields)
}

/// Names the field whose value is at fault, if `marked`, the body with replacement characters instead
/// of what can't stand there, is an object.
fn malformed_in(bytes: &[u8], marked: &str, fault: Fault, (en, ko): (String, String)) -> Problem {
    // Where one stood before, it isn't known which of them is a mark.
    let is_marked = !bytes.windows(REPLACEMENT.len()).any(|part| part == REPLACEMENT.as_bytes());
    let fields = object(marked).unwrap_or_default().0;
    let at_fault =
        fields.into_iter().find(|(_, json)| is_marked && json.get().contains(REPLACEMENT));
    let shown = |name: &str| -> String {
        name.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect()
    };
    let errors =
        at_fault.map(|(name, _)| FieldFault::new(shown(&name), fault)).into_iter().collect();
    Problem::new(&kind::MALFORMED_JSON).with_detail(en, ko).with_errors(errors)
}

/// The field that nests deeper than allowed. It only counts brackets, so that a body made to
/// exhaust a parser never meets one.
fn too_deep(text: &str) -> Option<String> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let (mut field, mut begun) = ("", 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' if in_string => {
                in_string = false;
                let is_name = depth == 1 && text.get(at..).is_some_and(names_a_field);
                if is_name {
                    field = text.get(begun..at).unwrap_or_default();
                }
            }
            b'"' => (in_string, begun) = (true, at.saturating_add(1)),
            _ if in_string => {}
            b'{' | b'[' => depth = depth.saturating_add(1),
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Some(field.chars().take(100).collect());
        }
    }
    None
}

/// Whether the closing quote at the start of `rest` ends a field's name.
fn names_a_field(rest: &str) -> bool {
    rest.get(1..).is_some_and(|after| after.trim_start().starts_with(':'))
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = vec![];
        // One more than are taken says that there are too many; the rest is checked, not kept.
        while fields.len() <= MAX_FIELDS {
            let Some(entry) = map.next_entry()? else { return Ok(Fields(fields)) };
            fields.push(entry);
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_that_nests_too_deep_is_named() {
        let deep = format!(r#"{{"a": 1, "itemName": {}{}}}"#, "[".repeat(40), "]".repeat(40));
        assert_eq!(too_deep(&deep), Some("itemName".to_owned()));
        let endless = format!(r#"{{"period": {}"#, r#"{"x":"#.repeat(100_000));
        assert_eq!(too_deep(&endless), Some("period".to_owned()));
        let fine = format!(r#"{{"a": {}{}}}"#, "[".repeat(31), "]".repeat(31));
        assert_eq!(too_deep(&fine), None);
        assert_eq!(too_deep(r#"{"a": "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"{{{{"}"#), None);
    }

    #[tokio::test]
    async fn a_body_in_one_piece_is_not_copied() {
        let sent = Bytes::from(vec![b' '; 1_000]);
        let read_once = read(Body::from(sent.clone())).await.unwrap();
        let read_twice = read(Body::from(read_once.clone())).await.unwrap();
        assert_eq!((read_once.as_ptr(), read_twice.as_ptr()), (sent.as_ptr(), sent.as_ptr()));
        let pieces = ["a", "", "b", "c"].map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece)));
        let pieces = Body::from_stream(futures::stream::iter(pieces));
        assert_eq!(read(pieces).await.unwrap(), "abc");
    }

    #[test]
    fn an_object_has_at_most_64_fields() {
        let object = |fields: usize| {
            let fields: Vec<_> = (0..fields).map(|field| format!("\"{field}\":0")).collect();
            format!("{{{}}}", fields.join(","))
        };
        assert!(parse(object(64).as_bytes()).is_ok());
        assert_eq!(parse(object(65).as_bytes()).unwrap_err().code(), "invalid");
        let broken = object(65).replace('}', ",}");
        assert_eq!(parse(broken.as_bytes()).unwrap_err().code(), "malformed-json");
    }

    #[test]
    fn a_fingerprint_depends_on_what_is_said_not_on_how() {
        let of = |text: &str| parse(text.as_bytes()).unwrap().fingerprint("POST", "/items");
        assert_eq!(of(r#"{"a":1,"b":[1, 2]}"#), of(r#" {"b" : [1,2], "a": 1} "#));
        assert_ne!(of(r#"{"a":1}"#), of(r#"{"a":2}"#));
        assert_ne!(of(r#"{"a":1}"#), of(r#"{"a":"1"}"#));
        let period = |text: &str| of(&format!(r#"{{"period": {text}}}"#));
        assert_eq!(period(r#"{"from": "x", "to": "y"}"#), period(r#"{"to":"y","from":"x"}"#));
    }

    /// The first part is what is compared; the second is how older programs understood it, if otherwise.
    #[test]
    fn numbers_and_names_are_compared_as_they_are_understood() {
        let of = |text: &str| parse(text.as_bytes()).unwrap().fingerprint("POST", "/items");
        let plain = of(r#"{"itemNo": 5, "customerName": "Kim"}"#);
        assert_eq!(plain.len(), 32);
        for (same, parts) in [
            (r#"{"itemNo": "5", "customerName": "Kim"}"#, 2),
            (r#"{"itemNo": "005", "customerName": "Kim"}"#, 2),
            (r#"{"customerName": " Kim\t", "itemNo": 5}"#, 2),
            (r#"{"itemNo": 5, "customerName": "Kim", "period": null}"#, 2),
            (r#"{"itemNo": 5, "customerName": "K\u0069m"}"#, 1),
        ] {
            let said = of(same);
            assert_eq!((&said[..32], said.len()), (&plain[..], parts * 32), "{same}");
        }
        for other in [
            r#"{"itemNo": 6, "customerName": "Kim"}"#,
            r#"{"itemNo": "5 ", "customerName": "Kim"}"#,
            r#"{"itemNo": 5.0, "customerName": "Kim"}"#,
            r#"{"itemNo": 5, "customerName": "K im"}"#,
            r#"{"itemNo": 5, "customerName": 5}"#,
        ] {
            assert_ne!(of(other)[..32], plain, "{other}");
        }
    }

    #[test]
    fn what_is_no_object_is_malformed() {
        for bytes in [&b"[]"[..], b"{", b"{} {}", b"\"a\"", b"{\"a\":}", b"\xff", b"{'a':1}"] {
            assert_eq!(parse(bytes).unwrap_err().code(), "malformed-json", "{bytes:?}");
        }
    }
}
