//! Reads traces: the part in the own log, and those that other services answer with, put together.

use super::named_parties::NamedParties;
use super::parts::{OwnLog, Parts};
use super::trace_part::{SearchRange, TracePart};
use super::trace_query::{ServiceTraces, TraceQuery};
use super::{ReservationTrace, Trace};
use crate::engine::feed::FeedError;
use crate::inspect::log_page::LogPage;
use crate::queries::{NEWEST, Queries, QueryError};
use futures::future::join_all;
use gdmarket_domain::{ItemNo, PersonId, ReservationNo, Service, Services};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

/// Traces over the own log and those of other services; cheap to clone.
#[derive(Clone)]
pub struct Traces {
    queries: Queries,
    /// The services whose log is the own one.
    own: Services,
    others: Arc<[Arc<dyn ServiceTraces>]>,
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let others: Vec<Services> = self.others.iter().map(|other| other.services()).collect();
        let mut traces = f.debug_struct("Traces");
        traces.field("own", &self.own).field("others", &others).finish_non_exhaustive()
    }
}

impl Traces {
    /// Traces in the log of the whole market.
    pub fn of_own_log(queries: Queries) -> Self {
        Self::new(queries, Services::ALL, vec![])
    }

    /// Traces in the own log, which is that of these services, and in the logs of others.
    pub fn new(queries: Queries, own: Services, others: Vec<Arc<dyn ServiceTraces>>) -> Self {
        Self { queries, own, others: others.into() }
    }

    /// The trace of a reservation; `None` if there is no such reservation. Other services have so long to answer.
    pub async fn reservation(
        &self,
        no: ReservationNo,
        within: Duration,
    ) -> Result<Option<ReservationTrace>, QueryError> {
        let (mut parts, mut named) = (Parts::default(), NamedParties::default());
        let query = |named: &NamedParties| {
            let (items, payments) = (named.items.clone(), named.payments.clone());
            TraceQuery::Reservation { no, items, payments }
        };
        let services = query(&named).services().without(self.own);
        // The reservation's own events name the items and payments whose events belong to it; the process that has them
        // answers with the parts of all its services.
        let first = services.without(services.without(self.same_log_as(Service::Reservation)));
        for (asked, answer) in self.ask(first, &query(&named), within).await {
            parts.answered(asked, answer, |event| named.learn(event));
        }
        let own = self.queries.reservation_part(no, &mut named).await?;
        let is_known = !own.events.is_empty() || parts.has_events();
        parts.own(self.own_log(), own);
        if !is_known && parts.missing.is_empty() {
            self.queries.store().confirm_log().await?;
            return Ok(None);
        }
        let others = services.without(first);
        for (asked, answer) in self.ask(others, &query(&named), within).await {
            parts.answered(asked, answer, |event| named.learn(event));
        }
        let owner_id = self.owner_of_item(&named).await?;
        let trace = parts.into_trace(self.own);
        Ok(Some(ReservationTrace { renter_id: named.renter_id, owner_id, trace }))
    }

    /// The trace of an item's registration and deletion, with their alarms.
    pub async fn announcement(&self, no: ItemNo, within: Duration) -> Result<Trace, QueryError> {
        let query = TraceQuery::Announcement(no);
        let others = query.services().without(self.own);
        let (own, others) =
            tokio::join!(self.queries.announcement_part(no), self.ask(others, &query, within));
        Ok(self.joined(own?, others))
    }

    /// All that has a correlation. The own log is searched in this range, and `reached` is called with the position that
    /// it was searched up to; other services search all of theirs.
    pub async fn correlation(
        &self,
        id: Uuid,
        range: SearchRange,
        within: Duration,
        reached: &mut (dyn FnMut(i64) + Send),
    ) -> Result<Trace, QueryError> {
        let query = TraceQuery::Correlation(id);
        let others = query.services().without(self.own);
        let (own, others) = tokio::join!(
            self.queries.correlation_part(id, range, reached),
            self.ask(others, &query, within)
        );
        Ok(self.joined(own?, others))
    }

    fn own_log(&self) -> OwnLog {
        let log_id = self.queries.store().identity().log_id;
        OwnLog { log_id, services: self.own }
    }

    /// The services of the other process that has this one; none if that is this process.
    fn same_log_as(&self, service: Service) -> Services {
        let with_it = self.others.iter().map(|other| other.services());
        with_it.filter(|services| services.contains(service)).fold(Services::NONE, Services::union)
    }

    fn joined(&self, own: TracePart, others: Vec<(Services, Result<LogPage, FeedError>)>) -> Trace {
        let mut parts = Parts::default();
        parts.own(self.own_log(), own);
        for (asked, answer) in others {
            parts.answered(asked, answer, |_| true);
        }
        parts.into_trace(self.own)
    }

    /// Asks the processes with these services, all at once; each answer with those of the services that it is for.
    async fn ask(
        &self,
        services: Services,
        query: &TraceQuery,
        within: Duration,
    ) -> Vec<(Services, Result<LogPage, FeedError>)> {
        let asked = self.others.iter().map(|other| {
            let asked = services.without(services.without(other.services()));
            async move {
                if asked.is_empty() {
                    return None;
                }
                let answer = timeout(within, other.part(query, within)).await;
                let late = |_| Err(FeedError::Unreachable(format!("no answer in {within:?}")));
                Some((asked, answer.unwrap_or_else(late)))
            }
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// The owner of the reserved item, as the events say or, if they don't, as the item says.
    async fn owner_of_item(&self, named: &NamedParties) -> Result<Option<PersonId>, QueryError> {
        let (None, Some(item)) = (named.owner_id, named.items.first()) else {
            return Ok(named.owner_id);
        };
        let item = if self.own.contains(Service::Item) {
            self.queries.item_at(*item, NEWEST).await
        } else {
            // Its stream is in another log; this process may have a copy of the view.
            self.queries.item(*item).await
        };
        match item {
            Ok(item) => Ok(item.and_then(|item| item.state.owner_id())),
            // An item that can't be read doesn't hide the reservation's own trace.
            Err(QueryError::Broken(_)) => Ok(None),
            Err(_) if !self.own.contains(Service::Item) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
