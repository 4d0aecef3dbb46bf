//! What is stored about the reactions of process managers in addition to the log: parked keys, deadlines, and events that
//! an operator has dropped.

use super::saga_key::payment_no;
use crate::inspect::parked::{DroppedEvent, ParkedKey, ParkedWork};
use crate::queries::QueryError;
use chrono::{DateTime, Utc};
use gdmarket_domain::{ManagerName, MarketPart, PaymentNo, Service};
use gdmarket_store::{Deadlines, ParkedKeys, Store, SubscriptionId};
use serde::Serialize;
use std::collections::BTreeMap;

/// The obstacles of all sagas, or of one.
#[derive(Debug, Default)]
pub(super) struct Obstacles {
    pub(super) parked: Vec<ParkedReaction>,
    pub(super) dropped: Vec<DroppedEvent>,
    /// When the deadlines are due, by manager and key.
    deadlines: BTreeMap<(String, String), DateTime<Utc>>,
}

/// A parked reaction or blocked deadline of a process manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ParkedReaction {
    /// The key, and why it is parked.
    #[serde(flatten)]
    pub parked: ParkedKey,
    /// When it is tried again by itself; `None` if only a person can have it tried again.
    pub next_try_at: Option<DateTime<Utc>>,
}

impl ParkedReaction {
    /// The service whose process manager has parked it; `None` for a manager that this program doesn't know.
    pub(super) fn service(&self) -> Option<Service> {
        service_of(&self.parked.subscription)
    }

    /// The payment attempt that it is about.
    pub(super) fn payment_no(&self) -> Option<PaymentNo> {
        payment_no(&self.parked.key)
    }
}

/// The service of a process manager, by the name of one of its subscriptions.
pub(super) fn service_of(subscription: &str) -> Option<Service> {
    let SubscriptionId { subscriber, .. } = SubscriptionId::parse(subscription);
    let known = ManagerName::ALL.into_iter().find(|known| known.name() == subscriber)?;
    Some(Service::of(MarketPart::Manager(known)))
}

impl Obstacles {
    /// Reads what is stored for these keys, or for all of them.
    pub(super) async fn read(store: &Store, keys: Option<&[String]>) -> Result<Self, QueryError> {
        let work = ParkedWork::new(store.clone());
        let mut found = vec![];
        match keys {
            None => found = work.list(None).await?,
            Some(keys) => {
                for key in keys {
                    found.extend(work.list(Some(key)).await?);
                }
            }
        }
        let mut obstacles = Self::default();
        let is_meant = |key: &str| keys.is_none_or(|keys| keys.iter().any(|meant| meant == key));
        let deadlines = Deadlines::new(store.views().clone());
        for manager in ManagerName::ALL.map(ManagerName::name) {
            for row in deadlines.all(manager).await?.into_iter().filter(|row| is_meant(&row.key)) {
                let due_at = DateTime::from_timestamp_micros(row.due_at).unwrap_or_default();
                obstacles.deadlines.insert((manager.to_owned(), row.key), due_at);
            }
        }
        let tries = ParkedKeys::new(store.views().clone()).next_tries().await?;
        let tries: BTreeMap<_, _> = tries
            .into_iter()
            .map(|of| ((of.subscription, of.key), DateTime::from_timestamp_micros(of.due_at)))
            .collect();
        for parked in found.into_iter().filter(|of| !of.is_view) {
            let named = (parked.subscription.clone(), parked.key.clone());
            let next_try_at = if parked.is_deadline {
                obstacles.deadlines.get(&named).copied()
            } else {
                tries.get(&named).copied().flatten()
            };
            obstacles.parked.push(ParkedReaction { parked, next_try_at });
        }
        let dropped = work.dropped().await?.into_iter();
        obstacles.dropped = dropped.filter(|of| is_meant(&of.key)).collect();
        Ok(obstacles)
    }

    /// When the deadline of a key is due.
    pub(super) fn due_at(&self, manager: ManagerName, key: String) -> Option<DateTime<Utc>> {
        self.deadlines.get(&(manager.name().to_owned(), key)).copied()
    }
}
