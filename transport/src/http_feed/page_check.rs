//! What a page must be before any of its events is given on.

use super::source_client::{LogQuery, SourceClient};
use gdmarket_domain::{AggregateType, MarketPart, Service};
use gdmarket_projections::{Delivery, FeedError, Identity, LogPage};

/// The page that a query must be answered with.
pub(super) struct ExpectedPage<'a> {
    pub(super) client: &'a SourceClient,
    pub(super) source: Identity,
    pub(super) query: LogQuery,
    pub(super) first: First,
}

/// What the first event of a page follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// The event at the position of the query.
    FollowsQuery,
    /// Any event up to that position, which need not be an event's.
    FollowsAny,
}

/// Refuses a page of an owner that isn't the one that the settings name.
pub(super) fn verify_services(client: &SourceClient, page: &LogPage) -> Result<(), FeedError> {
    let (wanted, given) = (client.services(), page.services);
    if !wanted.without(given).is_empty() {
        return Err(refused(client, &format!("has the log of {given}, not of {wanted}")));
    }
    if let Some(own) = given.iter().find(|service| client.own_services().contains(*service)) {
        return Err(refused(client, &format!("has a log of {own}, as this process has")));
    }
    Ok(())
}

/// Refuses an event of a service whose log this isn't. Events of an aggregate that only a newer program knows are
/// given on, as those of the local log are.
pub(super) fn verify_owner(
    client: &SourceClient,
    page: &LogPage,
    delivery: &Delivery,
) -> Result<(), FeedError> {
    let event = &delivery.event;
    let owner = AggregateType::named(&event.stream.kind)
        .map(|aggregate| Service::of(MarketPart::Aggregate(aggregate)));
    match owner {
        Some(owner) if !page.services.contains(owner) => {
            let (position, given) = (event.position, page.services);
            Err(refused(
                client,
                &format!(
                    "sent event {position} of {}, which belongs to {owner}, in the log of {given}",
                    event.key()
                ),
            ))
        }
        Some(_) | None => Ok(()),
    }
}

fn refused(client: &SourceClient, why: &str) -> FeedError {
    FeedError::Refused(format!("{} {why}; nothing of it was applied", client.url()))
}

impl ExpectedPage<'_> {
    /// Refuses the page unless all of it continues the log.
    pub(super) fn verify(&self, page: &LogPage) -> Result<(), FeedError> {
        self.verify_source(page)?;
        verify_services(self.client, page)?;
        let after = self.query.after;
        // A position that the owner hasn't reached was read from events that it has lost.
        if page.head < after {
            let head = page.head;
            return Err(self.refused(&format!(
                "has a log that ends at {head}, and this process has read it up to {after}: it has \
                 lost events, or was restored"
            )));
        }
        if page.deliveries.len() > usize::try_from(self.query.limit).unwrap_or(usize::MAX) {
            return Err(self.refused("sent more events than were asked for"));
        }
        let mut reached = after;
        for (number, delivery) in page.deliveries.iter().enumerate() {
            let is_chained = match self.first {
                First::FollowsAny if number == 0 => delivery.previous <= reached,
                First::FollowsAny | First::FollowsQuery => delivery.previous == reached,
            };
            let position = delivery.event.position;
            if !is_chained || position <= reached || position > page.head {
                let previous = delivery.previous;
                return Err(self.refused(&format!(
                    "sent event {position}, which follows {previous}, where the event after \
                     {reached} was due"
                )));
            }
            verify_owner(self.client, page, delivery)?;
            reached = position;
        }
        Ok(())
    }

    fn verify_source(&self, page: &LogPage) -> Result<(), FeedError> {
        let (expected, given) = (self.source, page.source);
        if given.log_id != expected.log_id {
            let (given, expected) = (given.log_id, expected.log_id);
            return Err(self.refused(&format!(
                "has log {given}, and this process has read log {expected}: its database is \
                 another one"
            )));
        }
        if given.epoch != expected.epoch {
            let (given, expected) = (given.epoch, expected.epoch);
            return Err(self.refused(&format!(
                "has its log in epoch {given}, and this process has read epoch {expected}: it was \
                 restored or imported. Stop this process, run `gdmarket migrate --restored` on its \
                 database, and start it again"
            )));
        }
        Ok(())
    }

    fn refused(&self, why: &str) -> FeedError {
        refused(self.client, why)
    }
}
