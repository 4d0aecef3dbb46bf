//! The breakers of this process as others see them.

use super::commands::Commands;
use crate::error::Dependency;
use crate::outside::{BreakerState, BreakerStatus};
use gdmarket_domain::{Service, Services};

impl Commands {
    /// What the breaker of payments lets through: of the gateway, or of the payment service in another process.
    pub fn payment_breaker(&self) -> BreakerState {
        self.0.payment_breaker.state()
    }

    /// What the breaker of alarms lets through: of the alarm, or of the alarm service in another process.
    pub fn alarm_breaker(&self) -> BreakerState {
        self.0.alarm_breaker.state()
    }

    /// The breakers of the calls that the services of this process make.
    pub fn breaker_states(&self) -> Vec<BreakerStatus> {
        let own = self.0.options.services;
        let calls = |services: Services| services.iter().any(|service| own.contains(service));
        let payment = calls(Services::of(&[Service::Reservation, Service::Payment]))
            .then(|| self.0.payment_breaker.status(Dependency::Payment));
        let alarm = calls(Services::of(&[Service::Item, Service::Alarm]))
            .then(|| self.0.alarm_breaker.status(Dependency::Alarm));
        payment.into_iter().chain(alarm).collect()
    }
}
