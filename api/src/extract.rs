//! From a request to values: body, headers, path numbers and query, each checked strictly, with all faults
//! reported at once. Extractors refuse what the OpenAPI document doesn't promise to accept, and decide nothing.

pub(crate) mod body;
pub(crate) mod caller;
pub(crate) mod conditions;
pub(crate) mod fields;
mod fingerprint;
pub(crate) mod form;
pub(crate) mod json_object;
pub(crate) mod number;
pub(crate) mod path;
pub(crate) mod period;
pub(crate) mod query;
pub(crate) mod values;
