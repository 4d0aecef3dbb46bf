//! From a request to values: body, headers, path numbers and query, each checked strictly and all
//! faults told at once. Refuses what the OpenAPI document doesn't promise to take; decides nothing.

pub(crate) mod body;
pub(crate) mod caller;
pub(crate) mod conditions;
pub(crate) mod form;
pub(crate) mod number;
pub(crate) mod path;
pub(crate) mod query;
