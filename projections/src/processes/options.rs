//! The settings of views and process managers; the program reads them from the configuration.

use std::time::Duration;

/// Settings of [`crate::Projections`]; the defaults are what a market ships with.
#[derive(Debug, Clone)]
pub struct Options {
    /// At most so many events per batch.
    pub batch: u32,
    /// How long a runner keeps a loop that it doesn't renew: the longest time without a runner after a
    /// replica died.
    pub lease_ttl: Duration,
    /// At most so many reactions of a batch at once.
    pub concurrency: usize,
    /// How often deadlines and waiting retries are looked for.
    pub tick: Duration,
    /// How long a reservation may stand unpaid.
    pub pay_within: Duration,
    /// When a payment without outcome is asked about: the gateway's call limit and a margin.
    pub settle_after: Duration,
    /// When it is asked about again, and how often, until the gateway has forgotten its key.
    pub settle_again: Duration,
    /// How often a payment is asked about at most.
    pub settle_looks: u32,
    /// When a registration that never came is abandoned, counted from its alarm.
    pub abandon_after: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            batch: 500,
            lease_ttl: Duration::from_secs(3),
            concurrency: 64,
            tick: Duration::from_millis(500),
            pay_within: Duration::from_mins(15),
            settle_after: Duration::from_secs(75),
            settle_again: Duration::from_hours(24),
            settle_looks: 7,
            abandon_after: Duration::from_mins(10),
        }
    }
}
