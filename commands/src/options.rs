//! What can be set about executing commands; the API reads it from the configuration.

use crate::clock::{Clock, SystemClock};
use crate::executor::RetryOptions;
use crate::outside::{BreakerOptions, RemoteAlarmService, RemotePaymentService};
use gdmarket_domain::Services;
use std::sync::Arc;
use std::time::Duration;

/// Settings of [`crate::Commands`]; the defaults are what a market ships with.
#[derive(Clone)]
pub struct CommandOptions {
    /// The services of this process.
    pub services: Services,
    /// The services that are called in other processes.
    pub other_services: OtherServices,
    /// Where times and ids come from.
    pub clock: Arc<dyn Clock>,
    /// How retries after a conflict are spread.
    pub retry: RetryOptions,
    /// When a caller whose command met an unreachable database may try again.
    pub retry_after: Duration,
    /// How long a reservation may stay unpaid.
    pub pay_within: Duration,
    /// The payment gateway's limits.
    pub payment: PaymentOptions,
    /// The alarm's limits.
    pub alarm: AlarmOptions,
}

/// The services that are called in other processes. A call to one that is in neither place is refused as unavailable.
#[derive(Clone, Default)]
pub struct OtherServices {
    /// The alarm service.
    pub alarm: Option<Arc<dyn RemoteAlarmService>>,
    /// The payment service.
    pub payment: Option<Arc<dyn RemotePaymentService>>,
}

/// How long the payment gateway may take.
#[derive(Debug, Clone)]
pub struct PaymentOptions {
    /// How long the renter waits for the outcome; longer is slow to the breaker too.
    pub answer_within: Duration,
    /// How long a call may take; then its outcome is unknown.
    pub call_limit: Duration,
    /// When the gateway is left alone.
    pub breaker: BreakerOptions,
}

/// How long the alarm may take.
#[derive(Debug, Clone)]
pub struct AlarmOptions {
    /// A registration whose alarm takes longer is refused.
    pub answer_within: Duration,
    /// When the alarm is left alone.
    pub breaker: BreakerOptions,
}

/// What the renter waits for an answer: the seed's hystrix limit.
const ANSWER_WITHIN: Duration = Duration::from_millis(610);

impl Default for CommandOptions {
    fn default() -> Self {
        Self {
            services: Services::ALL,
            other_services: OtherServices::default(),
            clock: Arc::new(SystemClock),
            retry: RetryOptions::default(),
            retry_after: Duration::from_secs(1),
            pay_within: Duration::from_mins(15),
            payment: PaymentOptions::default(),
            alarm: AlarmOptions::default(),
        }
    }
}

impl Default for PaymentOptions {
    fn default() -> Self {
        Self {
            answer_within: ANSWER_WITHIN,
            call_limit: Duration::from_mins(1),
            breaker: BreakerOptions::default(),
        }
    }
}

impl Default for AlarmOptions {
    fn default() -> Self {
        Self { answer_within: ANSWER_WITHIN, breaker: BreakerOptions::default() }
    }
}
