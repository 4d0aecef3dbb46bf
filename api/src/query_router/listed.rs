//! Resources that have a collection: what the generic handlers know of them.

use crate::extract::path::PathNumber;
use crate::resource::{FoundBody, ResourceBody};
use gdmarket_projections::{Filter, Page, PageRequest, Queries, QueryError};
use std::future::Future;

/// The values of a collection's `status`.
pub(super) type Statuses = &'static [&'static str];

/// A resource that has a collection.
pub(super) trait Listed: ResourceBody<State: Send> + Send + 'static {
    /// The number in the path of a member.
    type Number: PathNumber + 'static;
    /// The path of the collection, and the name of its members in HAL.
    const COLLECTION: &'static str;
    /// The name of the number.
    const NUMBER: &'static str;
    /// What the number is.
    const NUMBER_DESCRIPTION: &'static str;
    /// The values that `status` filters by.
    const STATUSES: Statuses;

    fn find(
        queries: &Queries,
        number: Self::Number,
    ) -> impl Future<Output = Result<Option<FoundBody<Self>>, QueryError>> + Send;

    fn list(
        queries: &Queries,
        filter: &Filter,
        page: PageRequest,
    ) -> impl Future<Output = Result<Page<FoundBody<Self>>, QueryError>> + Send;
}
