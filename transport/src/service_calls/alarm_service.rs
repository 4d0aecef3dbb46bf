//! The alarm service over HTTP.

use super::answers::answer;
use super::{Callee, ServiceCallsError, client, with_command};
use crate::service_client::ServiceClient;
use async_trait::async_trait;
use gdmarket_commands::{
    AlarmAnswer, CallContext, Clock, CommandMeta, RaiseRequest, RemoteAlarmService,
    ServiceCallError,
};
use gdmarket_domain::{ItemNo, Service};
use gdmarket_service_token::SharedKeys;
use reqwest::Method;
use std::sync::Arc;
use std::time::Duration;

/// The alarm service at a URL, as the item service calls it.
#[derive(Clone)]
pub struct HttpAlarmService(ServiceClient);

impl HttpAlarmService {
    /// A client that connects when it is called.
    pub fn new(
        url: &str,
        keys: SharedKeys,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ServiceCallsError> {
        let callee = Callee { url, caller: Service::Item, audience: Service::Alarm };
        Ok(Self(client(&callee, keys, clock)?))
    }
}

#[async_trait]
impl RemoteAlarmService for HttpAlarmService {
    async fn raise(
        &self,
        item_no: ItemNo,
        within: Duration,
        meta: &CommandMeta,
    ) -> Result<AlarmAnswer, ServiceCallError> {
        let path = format!("/internal/alarms/{item_no}/raise");
        let request = with_command(self.0.request(Method::POST, &path, within), meta);
        let request = request.json(&RaiseRequest { context: CallContext::of(meta) });
        answer(&self.0, request, within).await
    }
}
