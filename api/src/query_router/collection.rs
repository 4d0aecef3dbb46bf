//! Collections: pages by cursor, ascending by number, as HAL or as plain JSON.

use super::accept::{HAL_JSON, JSON, prefers_plain};
use super::listed::{Listed, Statuses};
use super::members::Members;
use crate::extract::query::{Params, cursor};
use crate::problem::Problem;
use crate::resource::Link;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse as _, Response};
use gdmarket_projections::{Filter, PageRequest};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};
use serde::Serialize;
use utoipa::ToSchema;

/// The request for a page.
#[derive(Debug, Clone)]
pub(super) struct CollectionRequest {
    path: String,
    query: String,
    is_plain: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for CollectionRequest {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Ok(Self {
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            is_plain: prefers_plain(&parts.headers),
        })
    }
}

/// Reads the filters, which all collections share, and the page. It leaves `at_least`, and unknown
/// parameters.
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

impl CollectionRequest {
    /// The answer that shows a page; `next` is what the next page begins after.
    pub(super) fn answer<B: Listed>(&self, members: Members<B>, next: Option<i64>) -> Response {
        let next = next.map(cursor);
        let next_link = next.as_ref().map(|cursor| self.link_after(cursor));
        let (media_type, body) = if self.is_plain {
            (JSON, text(&Plain { items: members.0, next }))
        } else {
            let own = Link::to(self.own_link());
            let links = HalLinks { own, next: next_link.clone().map(Link::to) };
            (HAL_JSON, text(&Hal { embedded: members, links }))
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

fn text(body: &impl Serialize) -> String {
    // Maps with texts as keys, numbers and texts: always JSON.
    serde_json::to_string(body).unwrap_or_default()
}

/// A collection as HAL.
#[derive(Serialize, ToSchema)]
pub(super) struct Hal<T> {
    #[serde(rename = "_embedded")]
    #[schema(inline)]
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

/// A collection as plain JSON, for a client that names `application/json` first.
#[derive(Serialize, ToSchema)]
pub(super) struct Plain<T> {
    #[schema(inline)]
    items: Vec<T>,
    /// What `after` is for the next page.
    #[schema(required)]
    next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_page_keeps_the_filters() {
        let request = CollectionRequest {
            path: "/items".to_owned(),
            query: "ownerId=1&after=x&limit=2".to_owned(),
            is_plain: false,
        };
        assert_eq!(request.link_after("y"), "/items?ownerId=1&limit=2&after=y");
    }
}
