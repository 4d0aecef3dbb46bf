//! The views of the market. Each has the fold of a stream into a row, the columns of its table, and the body
//! that is shown of a row.

pub(crate) mod alarms;
pub(crate) mod items;
pub(crate) mod payments;
pub(crate) mod reservations;
pub(crate) mod status;
