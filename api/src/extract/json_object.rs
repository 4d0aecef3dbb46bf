//! Bytes to one JSON object with its fields still unread. A fault names its field where that is known.

use crate::problem::field_fault::{Fault, FieldFault, shown_name};
use crate::problem::{Problem, kind};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// How deep objects and arrays may nest.
pub(crate) const MAX_DEPTH: usize = 32;
/// The most fields of an object that is read.
pub(crate) const MAX_FIELDS: usize = 64;
/// Marks bytes that are not UTF-8, and control characters.
const REPLACEMENT: &str = "\u{fffd}";

/// The fields of a body in the order in which they were sent, each with its value as JSON text.
#[derive(Debug, Default)]
pub(crate) struct Fields(pub(super) Vec<(String, Box<RawValue>)>);

pub(super) fn parse(bytes: &[u8]) -> Result<Fields, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let byte = error.valid_up_to();
        let marked = String::from_utf8_lossy(bytes);
        Problem::new(&kind::MALFORMED_JSON)
            .with_detail(
                format!("The body is not UTF-8: byte {byte}."),
                format!("본문이 UTF-8이 아니에요: {byte}번째 바이트를 확인하세요."),
            )
            .with_errors(marked_field(bytes, &marked, Fault::NotUtf8))
    })?;
    if let Some(field) = too_deep(text) {
        let errors = vec![FieldFault::new(field, Fault::TooDeep)];
        return Err(Problem::new(&kind::MALFORMED_JSON).with_errors(errors));
    }
    let fields = object(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let is_control = |c: char| c < ' ' && !matches!(c, '\t' | '\n' | '\r');
        let marked = text.replace(is_control, REPLACEMENT);
        Problem::new(&kind::MALFORMED_JSON)
            .with_detail(
                format!("The body is no JSON object: {error}."),
                format!(
                    "본문이 JSON 객체가 아니에요: {line}번째 줄 {column}번째 글자를 확인하세요."
                ),
            )
            .with_errors(marked_field(bytes, &marked, Fault::ControlCharacter))
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

/// The field whose value has a mark, if `marked`, the body with replacement characters in the place of
/// what JSON can't contain, is an object.
fn marked_field(bytes: &[u8], marked: &str, fault: Fault) -> Vec<FieldFault> {
    // In a body that has a replacement character itself, the marks can't be told apart from it.
    if bytes.windows(REPLACEMENT.len()).any(|part| part == REPLACEMENT.as_bytes()) {
        return vec![];
    }
    let fields = object(marked).unwrap_or_default().0;
    let marked = fields.into_iter().find(|(_, json)| json.get().contains(REPLACEMENT));
    marked.map(|(name, _)| FieldFault::new(shown_name(&name), fault)).into_iter().collect()
}

/// The field that nests deeper than allowed. Counting brackets comes before parsing, so that no body can
/// exhaust the parser.
fn too_deep(text: &str) -> Option<String> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let (mut field, mut start) = ("", 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' if in_string => {
                in_string = false;
                let is_name = depth == 1 && text.get(at..).is_some_and(names_a_field);
                if is_name {
                    field = text.get(start..at).unwrap_or_default();
                }
            }
            b'"' => (in_string, start) = (true, at.saturating_add(1)),
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
        // One field above the limit shows that there are too many; the rest is checked, and not kept.
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
    fn field_that_nests_too_deep_is_named() {
        let deep = format!(r#"{{"a": 1, "itemName": {}{}}}"#, "[".repeat(40), "]".repeat(40));
        assert_eq!(too_deep(&deep), Some("itemName".to_owned()));
        let endless = format!(r#"{{"period": {}"#, r#"{"x":"#.repeat(100_000));
        assert_eq!(too_deep(&endless), Some("period".to_owned()));
        let fine = format!(r#"{{"a": {}{}}}"#, "[".repeat(31), "]".repeat(31));
        assert_eq!(too_deep(&fine), None);
        assert_eq!(too_deep(r#"{"a": "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"{{{{"}"#), None);
    }

    #[test]
    fn object_has_at_most_64_fields() {
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
    fn body_that_is_no_object_is_malformed() {
        for bytes in [&b"[]"[..], b"{", b"{} {}", b"\"a\"", b"{\"a\":}", b"\xff", b"{'a':1}"] {
            assert_eq!(parse(bytes).unwrap_err().code(), "malformed-json", "{bytes:?}");
        }
    }
}
