//! The logs that a process reads: its own, and those of the other services whose events its own ones react to.

use super::StartError;
use super::followed_services::FollowedServices;
use crate::config::Config;
use crate::service_keys::ServiceKeysFile;
use gdmarket_app::ServiceConditions;
use gdmarket_commands::SystemClock;
use gdmarket_domain::{AggregateType, MarketPart, Service, Services};
use gdmarket_projections::{Feed, Feeds, LogSource};
use gdmarket_service_token::SharedKeys;
use gdmarket_store::{KnownSources, Store};
use gdmarket_transport::{HttpFeed, JetStreamFeed, NatsConnection, SourceClient, SourceOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The logs that a process reads, and what it knows of their owners.
pub(super) struct FollowedLogs {
    pub(super) feeds: Feeds,
    pub(super) conditions: Arc<dyn ServiceConditions>,
}

/// The feeds of a process. The owners of the other logs may be away: a log that was never read is waited for by its
/// loops alone.
pub(super) async fn followed_logs(
    config: &Config,
    store: &Store,
    keys: Option<SharedKeys>,
    nats: Option<&NatsConnection>,
) -> Result<FollowedLogs, StartError> {
    let own = config.services.own;
    let Some(keys) = keys.filter(|_| !own.is_all()) else {
        let conditions = Arc::new(FollowedServices::new(vec![]));
        return Ok(FollowedLogs { feeds: Feeds::of_own_log(store), conditions });
    };
    let known = KnownSources::new(store.views().clone());
    let (mut sources, mut followed) = (vec![], vec![]);
    for (url, services) in owners(config) {
        let Some(first) = services.iter().next() else { continue };
        let name = first.name();
        let client = client_of(own, services, url, keys.clone()).map_err(StartError::Settings)?;
        let feed = match known.of(name).await? {
            Some(log) => HttpFeed::of(client, log),
            None => HttpFeed::new(client),
        };
        followed.push(feed.reachability());
        let feed: Arc<dyn Feed> = match nats {
            Some(nats) => Arc::new(JetStreamFeed::new(feed, nats.clone(), first)),
            None => Arc::new(feed),
        };
        let aggregates = Some(aggregates_of(services));
        sources.push(LogSource { name: Some(name), feed, aggregates });
    }
    let feeds = Feeds::new(store, Some(aggregates_of(own)), sources);
    Ok(FollowedLogs { feeds, conditions: Arc::new(FollowedServices::new(followed)) })
}

/// The feeds for a tool on a store.
pub async fn feeds_of(config: &Config, store: &Store) -> Result<Feeds, StartError> {
    let file = config.services.keys_file.as_deref().filter(|_| !config.services.own.is_all());
    let keys = file.map(ServiceKeysFile::open).transpose().map_err(StartError::Settings)?;
    Ok(followed_logs(config, store, keys.map(|file| file.keys()), None).await?.feeds)
}

/// The processes that are read, by their address: several services may share a log.
fn owners(config: &Config) -> BTreeMap<&str, Services> {
    let own = config.services.own;
    let read = own.iter().map(Service::reads_events_of).fold(Services::NONE, Services::union);
    let mut owners: BTreeMap<&str, Services> = BTreeMap::new();
    for service in read.without(own).iter() {
        if let Some(url) = config.services.urls.get(&service) {
            let services = owners.entry(url.as_str()).or_insert(Services::NONE);
            *services = services.union(Services::of(&[service]));
        }
    }
    owners
}

/// The client for the process with these services, at this address. It calls as a service that reads their events, or else
/// as any of this process.
pub(super) fn client_of(
    own: Services,
    services: Services,
    url: &str,
    keys: SharedKeys,
) -> Result<SourceClient, String> {
    let reads_them = |service: &Service| !is_disjoint(service.reads_events_of(), services);
    let caller = own.iter().find(reads_them).or_else(|| own.iter().next());
    let options = caller.map(|caller| SourceOptions {
        own_services: own,
        ..SourceOptions::new(services, url, caller)
    });
    let client =
        options.and_then(|options| SourceClient::new(options, keys, Arc::new(SystemClock)));
    client.ok_or_else(|| format!("there is no HTTP client for {url}"))
}

fn is_disjoint(some: Services, others: Services) -> bool {
    !some.iter().any(|service| others.contains(service))
}

/// The aggregates that these services own.
pub(crate) fn aggregates_of(services: Services) -> BTreeSet<&'static str> {
    let is_owned = |aggregate: &AggregateType| {
        services.contains(Service::of(MarketPart::Aggregate(*aggregate)))
    };
    AggregateType::ALL.into_iter().filter(is_owned).map(AggregateType::name).collect()
}
