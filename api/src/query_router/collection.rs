//! Collections: HAL for whoever takes anything, plain JSON for whoever names it first; pages by
//! cursor, ascending by number.

use crate::extract::query::{Params, cursor};
use crate::problem::Problem;
use crate::resource::Link;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse as _, Response};
use gdmarket_projections::{Filter, Page, PageRequest};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::convert::Infallible;
use utoipa::ToSchema;

/// The media type of HAL.
const HAL_JSON: &str = "application/hal+json";

/// How a collection is asked for.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    path: String,
    query: String,
    is_plain: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Ok(Self {
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            is_plain: prefers_plain(&parts.headers),
        })
    }
}

/// The media type that a member is shown as; its bytes are the same. HAL is for callers that name it and
/// don't prefer plain JSON.
#[derive(Debug, Clone, Copy)]
pub(super) struct MemberType(pub(super) &'static str);

impl MemberType {
    pub(super) const JSON: Self = Self("application/json");
}

impl<S: Send + Sync> FromRequestParts<S> for MemberType {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let (hal, plain) = preferences(&parts.headers);
        let is_hal = hal.by == Some(Specific::Type) && !is_preferred(&plain, &hal);
        Ok(if is_hal && hal.quality > 0.0 { Self(HAL_JSON) } else { Self::JSON })
    }
}

/// Whether a caller gets plain JSON: it prefers that to HAL. HAL is for callers that take anything.
fn prefers_plain(headers: &HeaderMap) -> bool {
    let (hal, plain) = preferences(headers);
    is_preferred(&plain, &hal)
}

/// What a caller says about HAL, and about plain JSON.
fn preferences(headers: &HeaderMap) -> (Preference, Preference) {
    let lines = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges = lines.flat_map(|line| line.split(','));
    let (mut hal, mut plain) = (Preference::default(), Preference::default());
    for (place, range) in ranges.enumerate() {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality = parts.find_map(quality).unwrap_or(1.0);
        match name.as_str() {
            "application/json" => plain.take(Specific::Type, quality, place),
            HAL_JSON => hal.take(Specific::Type, quality, place),
            "application/*" | "*/*" => {
                let specific =
                    if name == "*/*" { Specific::Anything } else { Specific::Application };
                plain.take(specific, quality, place);
                hal.take(specific, quality, place);
            }
            _ => {}
        }
    }
    (hal, plain)
}

/// Whether plain JSON is preferred: the higher quality wins, then what is named first.
fn is_preferred(plain: &Preference, hal: &Preference) -> bool {
    match plain.quality.total_cmp(&hal.quality) {
        Ordering::Greater => true,
        Ordering::Less => false,
        Ordering::Equal if plain.quality == 0.0 => hal.is_named() && !plain.is_named(),
        Ordering::Equal => plain.place < hal.place,
    }
}

/// How narrow a media range is; the narrowest that fits a form decides about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Specific {
    Anything,
    Application,
    Type,
}

/// What a caller says about one form.
#[derive(Debug, Default)]
struct Preference {
    by: Option<Specific>,
    quality: f32,
    place: usize,
}

impl Preference {
    fn take(&mut self, by: Specific, quality: f32, place: usize) {
        if self.by.is_none_or(|known| known < by) {
            *self = Self { by: Some(by), quality, place };
        }
    }

    const fn is_named(&self) -> bool {
        self.by.is_some()
    }
}

/// The quality in a parameter `q=…`; what is no quality counts as none.
fn quality(parameter: &str) -> Option<f32> {
    let (name, value) = parameter.split_once('=')?;
    let quality = value.trim().parse().ok().filter(|quality| (0.0..=1.0).contains(quality));
    name.trim().eq_ignore_ascii_case("q").then_some(quality).flatten()
}

/// The words of a collection's `status`.
pub(super) type Statuses = &'static [&'static str];

/// Reads the filters, which every collection knows, and the page; `at_least` and unknown ones are left.
pub(super) fn read(params: &mut Params, statuses: Statuses) -> (Filter, PageRequest) {
    let filter = Filter {
        customer_id: params.number("customerId"),
        owner_id: params.number("ownerId"),
        item_no: params.number("itemNo"),
        status: params.word("status", statuses).map(str::to_owned),
    };
    params.refuse_page_number();
    let page = PageRequest { after: params.after().unwrap_or(0), limit: params.limit() };
    (filter, page)
}

/// The answer that shows a page; `key` names its members in HAL.
pub(super) fn answer<T: Serialize>(asked: &Asked, key: &str, page: Page<T>) -> Response {
    let next = page.next.map(cursor);
    let next_link = next.as_ref().map(|cursor| asked.link_after(cursor));
    let (media_type, body) = if asked.is_plain {
        ("application/json", text(&Plain { items: page.rows, next }))
    } else {
        let link = Link::to;
        let links = HalLinks { own: link(asked.own_link()), next: next_link.clone().map(link) };
        let embedded = BTreeMap::from([(key, page.rows)]);
        (HAL_JSON, text(&Hal { embedded, links }))
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::VARY, HeaderValue::from_static("accept, x-gdmarket-actor"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let link = next_link.and_then(|href| format!("<{href}>; rel=\"next\"").parse().ok());
    if let Some(link) = link {
        headers.insert(header::LINK, link);
    }
    (headers, body).into_response()
}

/// In the order of the fields, as members are shown alone.
fn text(body: &impl Serialize) -> String {
    // Maps with texts as keys, numbers and texts: always JSON.
    serde_json::to_string(body).unwrap_or_default()
}

impl Asked {
    fn own_link(&self) -> String {
        if self.query.is_empty() {
            self.path.clone()
        } else {
            format!("{}?{}", self.path, self.query)
        }
    }

    fn link_after(&self, cursor: &str) -> String {
        let kept = self.query.split('&').filter(|p| !p.is_empty() && !p.starts_with("after="));
        let after = format!("after={cursor}");
        let query: Vec<&str> = kept.chain([after.as_str()]).collect();
        format!("{}?{}", self.path, query.join("&"))
    }
}

/// A collection for whoever takes HAL.
#[derive(Serialize, ToSchema)]
pub(super) struct Hal<T> {
    #[serde(rename = "_embedded")]
    embedded: T,
    #[serde(rename = "_links")]
    links: HalLinks,
}

/// The links of a collection.
#[derive(Serialize, ToSchema)]
pub(super) struct HalLinks {
    #[serde(rename = "self")]
    own: Link,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Link>,
}

/// A collection for whoever names `application/json` first.
#[derive(Serialize, ToSchema)]
pub(super) struct Plain<T> {
    items: Vec<T>,
    /// What `after` is for the next page.
    #[schema(required)]
    next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_json_is_for_callers_that_prefer_it() {
        for (accept, is_plain) in [
            ("*/*", false),
            ("application/json", true),
            ("application/json, */*;q=0.5", true),
            ("application/hal+json, application/json", false),
            ("text/html, */*;q=0.8", false),
            ("application/json;q=0, application/hal+json", false),
            ("application/json;q=0, */*", false),
            ("application/json;q=0.1, application/hal+json;q=0.9", false),
            ("application/hal+json;q=0.1, application/json", true),
            ("application/hal+json;q=0", true),
            ("application/hal+json; Q=0, */*", true),
            ("*/*, application/hal+json;q=0.5", true),
            ("application/*, application/json", false),
            ("application/json;q=x", true),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
            assert_eq!(prefers_plain(&headers), is_plain, "{accept}");
        }
        assert!(!prefers_plain(&HeaderMap::new()));
    }

    #[test]
    fn next_page_keeps_the_filters() {
        let asked = Asked {
            path: "/items".to_owned(),
            query: "ownerId=1&after=x&limit=2".to_owned(),
            is_plain: false,
        };
        assert_eq!(asked.link_after("y"), "/items?ownerId=1&limit=2&after=y");
    }
}
