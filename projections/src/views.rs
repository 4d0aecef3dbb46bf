//! The views of the market: for each the fold of a stream into a row, the columns that rows are found by,
//! and the body that is shown of a row.

pub(crate) mod alarms;
pub(crate) mod items;
pub(crate) mod payments;
pub(crate) mod reservations;
pub(crate) mod status;
