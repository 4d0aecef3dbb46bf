//! Query parameters: filters, the page, and the token of a write that must be seen. Unknown ones are
//! refused, since a request with a mistyped filter would otherwise be answered with everything.

use super::json_object::MAX_FIELDS;
use super::number::whole_number;
use super::values::day;
use crate::problem::Problem;
use crate::problem::field_fault::{Fault, FieldFault, shape, shown_name};
use axum::extract::{FromRequestParts, Query};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::NaiveDate;
use gdmarket_domain::ids::MAX_ID;
use http::request::Parts;
use std::str::FromStr;
use uuid::Uuid;

/// How many members a page has unless the request says otherwise.
pub(crate) const DEFAULT_LIMIT: u32 = 100;
/// The most members of a page.
pub(crate) const MAX_LIMIT: u32 = 500;

/// The parameters of a request while they are read.
#[derive(Debug)]
pub(crate) struct Params {
    params: Vec<(String, String)>,
    faults: Vec<FieldFault>,
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        if query.bytes().filter(|byte| *byte == b'&').count() >= MAX_FIELDS {
            let fault = FieldFault::new("", Fault::TooManyFields(MAX_FIELDS));
            return Err(Problem::invalid(vec![fault]));
        }
        let Query(params) = Query::from_request_parts(parts, state).await.map_err(|_| {
            Problem::invalid(vec![FieldFault::new("", Fault::WrongType(shape::QUERY))])
        })?;
        Ok(Self { params, faults: vec![] })
    }
}

impl Params {
    fn fault(&mut self, name: &str, fault: Fault) {
        self.faults.push(FieldFault::new(name, fault));
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.params.iter().position(|(sent, _)| sent == name)?;
        let (_, value) = self.params.remove(at);
        if self.params.iter().any(|(sent, _)| sent == name) {
            self.params.retain(|(sent, _)| sent != name);
            self.fault(name, Fault::Duplicate);
            return None;
        }
        Some(value)
    }

    fn read<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, Fault>) -> Option<T> {
        match parse(&self.take(name)?) {
            Ok(value) => Some(value),
            Err(fault) => {
                self.fault(name, fault);
                None
            }
        }
    }

    pub(crate) fn number(&mut self, name: &str) -> Option<i64> {
        self.read(name, |text| whole_number(text, 1, MAX_ID))
    }

    /// A whole number between these limits.
    pub(crate) fn whole(&mut self, name: &str, least: i64, most: i64) -> Option<i64> {
        self.read(name, |text| whole_number(text, least, most))
    }

    pub(crate) fn id(&mut self, name: &str) -> Option<Uuid> {
        self.read(name, |text| Uuid::try_parse(text).map_err(|_| Fault::WrongType(shape::UUID)))
    }

    /// Numbers of resources, with full stops between them.
    pub(crate) fn numbers<N: FromStr>(&mut self, name: &str) -> Vec<N> {
        let parse = |text: &str| text.split('.').map(str::parse).collect::<Result<_, _>>();
        let numbers =
            self.read(name, |text| parse(text).map_err(|_| Fault::WrongType(shape::NUMBERS)));
        numbers.unwrap_or_default()
    }

    pub(crate) fn word(
        &mut self,
        name: &str,
        words: &'static [&'static str],
    ) -> Option<&'static str> {
        self.read(name, |sent| {
            words.iter().copied().find(|word| *word == sent).ok_or(Fault::NotOneOf(words))
        })
    }

    pub(crate) fn day(&mut self, name: &str) -> Option<NaiveDate> {
        self.read(name, day)
    }

    /// How many members a page has at most; `size` is another name for `limit`.
    pub(crate) fn limit(&mut self) -> u32 {
        let parse = |text: &str| whole_number(text, 1, i64::from(MAX_LIMIT));
        let names_both = self.names("limit") && self.names("size");
        let (limit, size) = (self.read("limit", parse), self.read("size", parse));
        if names_both {
            self.fault("size", Fault::NotTogetherWith("limit"));
        }
        let limit = limit.or(size);
        limit.and_then(|limit| u32::try_from(limit).ok()).unwrap_or(DEFAULT_LIMIT)
    }

    /// The number that a page begins after.
    pub(crate) fn after(&mut self) -> Option<i64> {
        self.read("after", |text| read_cursor(text).ok_or(Fault::UnknownToken))
    }

    /// Refuses the number of a page, and points to cursors.
    pub(crate) fn refuse_page_number(&mut self) {
        if self.names("page") {
            self.params.retain(|(sent, _)| sent != "page");
            self.fault("page", Fault::PageNumber);
        }
    }

    fn names(&self, name: &str) -> bool {
        self.params.iter().any(|(sent, _)| sent == name)
    }

    /// The opaque `Gdmarket-At` of a write that the answer must show.
    pub(crate) fn at_least(&mut self) -> Option<String> {
        self.take("at_least")
    }

    /// A token of this log, as the position that it names.
    pub(crate) fn token(
        &mut self,
        name: &str,
        position: impl FnOnce(&str) -> Option<i64>,
    ) -> Option<i64> {
        self.read(name, |token| position(token).ok_or(Fault::UnknownToken))
    }

    pub(crate) fn refuse_token(&mut self) {
        self.fault("at_least", Fault::UnknownToken);
    }

    pub(crate) fn upside_down(&mut self, name: &str, end: &'static str) {
        self.fault(name, Fault::UpsideDown(end));
    }

    /// Refuses every parameter that was not read, and reports all faults.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        for (name, _) in std::mem::take(&mut self.params) {
            self.fault(&shown_name(&name), Fault::Unknown);
        }
        if self.faults.is_empty() { Ok(()) } else { Err(Problem::invalid(self.faults)) }
    }
}

/// The opaque text that means "after this number".
pub(crate) fn cursor(after: i64) -> String {
    URL_SAFE_NO_PAD.encode(format!("after:{after}"))
}

fn read_cursor(text: &str) -> Option<i64> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let number = std::str::from_utf8(&bytes).ok()?.strip_prefix("after:")?.parse().ok()?;
    (1..=MAX_ID).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_is_read_back_as_its_number() {
        assert_eq!(read_cursor(&cursor(42)), Some(42));
        for bad in ["", "42", "!", &URL_SAFE_NO_PAD.encode("after:0")] {
            assert_eq!(read_cursor(bad), None, "{bad}");
        }
    }
}
