//! The load of the fault runs: callers that rent out items of their own.

use crate::command_ids::command_id;
use gdmarket_testkit::{LoadOptions, MarketClient, Mix, RentalLoad, RequestLedger};
use std::sync::Arc;

pub(crate) fn start_load(
    market: &MarketClient,
    ledger: &Arc<RequestLedger>,
    callers: usize,
) -> RentalLoad {
    RentalLoad::start(market, ledger, LoadOptions { callers, mix: Mix::OwnItems, command_id })
}
