//! The settings of views and process managers; the program reads them from the configuration.

use gdmarket_domain::Services;
use std::time::Duration;

/// Settings of [`crate::Projections`].
#[derive(Debug, Clone)]
pub struct Options {
    /// The services whose views and process managers run in this process.
    pub services: Services,
    /// The most events of a batch.
    pub batch: u32,
    /// How long a lease lasts that isn't renewed: the longest time without a runner after a replica died.
    pub lease_ttl: Duration,
    /// The most reactions of a batch that run concurrently.
    pub concurrency: usize,
    /// How often to check for deadlines and retries.
    pub tick: Duration,
    /// How long a reservation may stay unpaid.
    pub pay_within: Duration,
    /// How long after the request to pay the gateway is queried for the outcome: its call limit and a margin.
    pub settle_after: Duration,
    /// The interval of further queries, until the gateway has forgotten the key of the payment.
    pub settle_again: Duration,
    /// The most queries about one payment.
    pub settle_looks: u32,
    /// How long after its alarm a missing registration is abandoned.
    pub abandon_after: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            services: Services::ALL,
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
