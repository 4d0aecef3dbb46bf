//! The other services as parts of traces. All of them are asked, not only those whose events this process reads.

use super::sources::client_of;
use crate::config::Config;
use crate::service_keys::ServiceKeysFile;
use async_trait::async_trait;
use gdmarket_domain::{Service, Services};
use gdmarket_projections::{FeedError, LogPage, Queries, ServiceTraces, TraceQuery, Traces};
use gdmarket_service_token::SharedKeys;
use gdmarket_store::Store;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The traces of a process, with the parts that other services have.
pub(super) fn traces(config: &Config, queries: Queries, keys: Option<SharedKeys>) -> Traces {
    let missing = || "services.keys_file is not set".to_owned();
    with_others(config, queries, &keys.ok_or_else(missing))
}

/// The traces for a tool on a store. Other services that it can't ask are named as missing.
pub fn traces_of(config: &Config, store: &Store) -> Traces {
    let queries = Queries::new(store.clone());
    let Some(path) = config.services.keys_file.as_deref() else {
        return traces(config, queries, None);
    };
    with_others(config, queries, &ServiceKeysFile::open(path).map(|file| file.keys()))
}

fn with_others(config: &Config, queries: Queries, keys: &Result<SharedKeys, String>) -> Traces {
    let own = config.services.own;
    let mut others: BTreeMap<Result<&str, Service>, Services> = BTreeMap::new();
    for service in Services::ALL.without(own).iter() {
        let url = config.services.urls.get(&service);
        let at = others.entry(url.map(url::Url::as_str).ok_or(service)).or_insert(Services::NONE);
        *at = at.union(Services::of(&[service]));
    }
    let others = others.into_iter().map(|(at, services)| -> Arc<dyn ServiceTraces> {
        let client = at
            .map_err(|service| format!("services.{service}.url is not set"))
            .and_then(|url| client_of(own, services, url, keys.clone()?));
        match client {
            Ok(client) => Arc::new(client),
            Err(problem) => Arc::new(UnknownService { services, problem }),
        }
    });
    Traces::new(queries, own, others.collect())
}

/// Services that can't be asked.
struct UnknownService {
    services: Services,
    problem: String,
}

#[async_trait]
impl ServiceTraces for UnknownService {
    fn services(&self) -> Services {
        self.services
    }

    async fn part(&self, _query: &TraceQuery, _within: Duration) -> Result<LogPage, FeedError> {
        Err(FeedError::Unreachable(self.problem.clone()))
    }
}
