//! What one service asks another for: its part of a trace.

use crate::engine::feed::FeedError;
use crate::inspect::log_page::LogPage;
use async_trait::async_trait;
use gdmarket_domain::{
    AggregateType, ItemNo, MarketPart, PaymentNo, ReservationNo, Service, Services,
};
use std::collections::BTreeSet;
use std::time::Duration;
use uuid::Uuid;

/// The events that are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TraceQuery {
    /// All that one request led to. The whole log is read.
    Correlation(Uuid),
    /// The events of a reservation, with those of items and payments that its own events name.
    Reservation {
        /// The reservation.
        no: ReservationNo,
        /// The items that it is about.
        items: BTreeSet<ItemNo>,
        /// Its payment attempts.
        payments: BTreeSet<PaymentNo>,
    },
    /// The registration and the deletion of an item, with their alarms.
    Announcement(ItemNo),
}

impl TraceQuery {
    /// The services that have events of such a trace.
    pub(super) fn services(&self) -> Services {
        let aggregates: &[AggregateType] = match self {
            Self::Correlation(_) => &AggregateType::ALL,
            Self::Reservation { .. } => &[
                AggregateType::Reservation,
                AggregateType::Hold,
                AggregateType::Item,
                AggregateType::Payment,
            ],
            Self::Announcement(_) => &[AggregateType::Item, AggregateType::Alarm],
        };
        let owners = aggregates.iter().map(|of| Service::of(MarketPart::Aggregate(*of)));
        owners.fold(Services::NONE, |all, owner| all.union(Services::of(&[owner])))
    }
}

/// The part of traces that is in the log of another process.
#[async_trait]
pub trait ServiceTraces: Send + Sync {
    /// The services whose log it is.
    fn services(&self) -> Services;

    /// Its events of a trace, in the order of its log.
    async fn part(&self, query: &TraceQuery, within: Duration) -> Result<LogPage, FeedError>;
}
