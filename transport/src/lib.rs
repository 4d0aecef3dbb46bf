//! Adapters that reach other processes over the network, behind the traits of `gdmarket-commands` and
//! `gdmarket-projections`: the payment provider, the other services of a split market and their logs.

mod http_client;
mod http_feed;
mod jet_stream;
mod payment_gateway;
mod service_calls;
mod service_client;

pub use http_feed::{
    HttpFeed, LogQuery, Reachability, SourceClient, SourceCondition, SourceOptions, SourceReading,
};
pub use jet_stream::{
    JetStreamFeed, JetStreamTarget, NatsConnection, NatsOptions, NatsSetupError, StreamOptions,
};
pub use payment_gateway::{HttpPaymentGateway, HttpPaymentGatewayError, HttpPaymentGatewayOptions};
pub use service_calls::{HttpAlarmService, HttpPaymentService, ServiceCallsError};
