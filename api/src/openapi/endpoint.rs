//! The method and path of an operation, which decide what it shares with others.

use utoipa::openapi::PathItem;
use utoipa::openapi::path::Operation;

/// The method and the path of an operation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Endpoint<'a> {
    pub(super) method: &'static str,
    pub(super) path: &'a str,
}

/// The operations of a path, each with its method.
pub(super) fn operations(
    item: &mut PathItem,
) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let PathItem { get, post, patch, delete, .. } = item;
    let all = [("get", get), ("post", post), ("patch", patch), ("delete", delete)];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

impl Endpoint<'_> {
    pub(super) fn is_write(self) -> bool {
        self.method != "get"
    }

    /// Whether the path belongs to the market, not to the server itself.
    pub(super) fn is_of_the_market(self) -> bool {
        let first = self.path.split('/').nth(1).unwrap_or_default();
        matches!(first, "items" | "itemInfoes" | "reservations" | "payments" | "alarms")
    }

    pub(super) fn is_collection(self) -> bool {
        self.is_of_the_market() && self.path.split('/').count() == 2
    }

    /// Whether it reads something that has an `ETag`.
    pub(super) fn reads_a_member(self) -> bool {
        let is_below_a_number = self.is_of_the_market() && self.path.contains('{');
        !self.is_write() && is_below_a_number && !self.path.ends_with("/trace")
    }
}
