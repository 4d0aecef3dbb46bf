//! The services that a process calls in other processes.

use super::StartError;
use crate::config::Config;
use gdmarket_commands::{OtherServices, SystemClock};
use gdmarket_domain::{Service, Services};
use gdmarket_service_token::SharedKeys;
use gdmarket_transport::{HttpAlarmService, HttpPaymentService, ServiceCallsError};
use std::sync::Arc;
use url::Url;

/// The services that those of this process call and that are not in it. Without keys for their tokens none can be called.
pub(super) fn other_services(
    config: &Config,
    keys: Option<SharedKeys>,
) -> Result<OtherServices, StartError> {
    let Some(keys) = keys else { return Ok(OtherServices::default()) };
    let own = config.services.own;
    let called = own.iter().map(Service::calls).fold(Services::NONE, Services::union).without(own);
    let url = |service| {
        let url = config.services.urls.get(&service);
        url.filter(|_| called.contains(service)).map(Url::as_str)
    };
    let mut others = OtherServices::default();
    if let Some(url) = url(Service::Alarm) {
        let service = HttpAlarmService::new(url, keys.clone(), Arc::new(SystemClock));
        others.alarm = Some(Arc::new(service.map_err(|error| no_client(&error))?));
    }
    if let Some(url) = url(Service::Payment) {
        let service = HttpPaymentService::new(url, keys, Arc::new(SystemClock));
        others.payment = Some(Arc::new(service.map_err(|error| no_client(&error))?));
    }
    Ok(others)
}

fn no_client(error: &ServiceCallsError) -> StartError {
    StartError::Settings(error.to_string())
}
