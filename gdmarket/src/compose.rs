//! Builds a running market from the configuration: opens the store once, builds commands and projections on it,
//! gives process managers a way to send commands, and the HTTP side its parts.

mod followed_services;
mod nats;
mod other_services;
mod sources;
mod traces;

pub use sources::feeds_of;
pub use traces::traces_of;

pub(crate) use sources::aggregates_of;

use crate::config::{self, Config};
use crate::metrics;
use crate::service_keys::ServiceKeysFile;
use gdmarket_api::server::Shutdown;
use gdmarket_api::{MarketParts, Router, RouterOptions, Tokens, router};
use gdmarket_app::{ProcessCommands, ServiceConditions, UseCaseOptions, UseCases};
use gdmarket_commands::{
    AlarmOptions, CommandOptions, Commands, NUMBERED, PaymentGateway, PaymentOptions,
    separate_payment_numbers,
};
use gdmarket_domain::{Service, Services, ViewName};
use gdmarket_projections::{
    CommandPort, Feeds, Filter, Options, PageRequest, Projections, Queries, ReplayError,
};
use gdmarket_service_token::{SharedKeys, TokenVerifier};
use gdmarket_simulators::{
    InProcessAlarm, InProcessAlarmOptions, InProcessGateway, InProcessGatewayOptions,
    take_over_ledger,
};
use gdmarket_store::{Raised, Store, StoreError, StoreOptions, make_private_folder};
use gdmarket_transport::{HttpPaymentGateway, HttpPaymentGatewayOptions, NatsConnection};
use sources::FollowedLogs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long after the gateway's call limit the outcome of a payment is queried.
const SETTLE_MARGIN: Duration = Duration::from_secs(15);
/// How long serving waits for views that are being built.
const VIEWS_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a view that is being built is read again.
const VIEWS_POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A running market, without its HTTP side.
pub struct Market {
    store: Store,
    commands: Commands,
    projections: Projections,
    tokens: Tokens,
    services: Services,
    service_keys: Option<ServiceKeysFile>,
    conditions: Arc<dyn ServiceConditions>,
}

/// Why a market can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log can't be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The data folder can't be used.
    #[error("{path}: {source}")]
    Folder {
        /// The folder or file.
        path: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// A view can't be built.
    #[error(transparent)]
    Views(ReplayError),
    /// Settings that don't fit together.
    #[error("{0}")]
    Settings(String),
}

impl From<ReplayError> for StartError {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Store(error) => Self::Store(error),
            other => Self::Views(other),
        }
    }
}

/// Refuses a log that is incomplete, and raises numbers that are behind it.
async fn verify(store: &Store) -> Result<(), StoreError> {
    store.verify_schema().await?;
    store.require_whole().await?;
    raise_numbers(store).await
}

/// Raises numbers that are behind the log, because their table is older than the log.
async fn raise_numbers(store: &Store) -> Result<(), StoreError> {
    for of in NUMBERED {
        if let Some(Raised { from, to }) = store.numbers().raise(of).await? {
            let kind = of.kind;
            tracing::warn!(kind, from, to, "numbers were behind the log, and continue after it");
        }
    }
    Ok(())
}

/// How the store is opened for this configuration.
pub fn store_options(config: &Config, exclusive: bool) -> StoreOptions {
    StoreOptions {
        url: config.store_url(),
        read_connections: config.database.read_connections,
        cache_entries: config.database.cache_entries,
        exclusive,
        ..StoreOptions::default()
    }
}

/// Brings the schema up to date if that is configured, and opens the store.
async fn open_store(config: &Config) -> Result<Store, StoreError> {
    let options = store_options(config, true);
    if config.server.migrate {
        for name in Store::migrate_with(&options, &NUMBERED).await?.applied {
            tracing::debug!(name, "migrated");
        }
    }
    let store = Store::open(&options).await?;
    if let Some(schema) = store.schema() {
        tracing::info!(schema, "the market is in this schema of the database");
    }
    Ok(store)
}

impl Market {
    /// Opens the log, brings its schema up to date if that is configured, and starts the subscriptions of the services of
    /// this process.
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        Self::open(config, |store, feeds, port, nats| {
            let (port, options): (Arc<dyn CommandPort>, _) = (port, projection_options(config));
            let projections =
                Projections::start_with_feeds(store, feeds, Arc::clone(&port), &options);
            if let Some(nats) = nats {
                projections.relay_to(nats::relay_target(config, nats), port, &options);
            }
            projections
        })
        .await
    }

    /// As [`Market::start`], but without subscriptions: views stay as they are and no process manager reacts. For
    /// measuring writes alone; no setting selects it.
    pub async fn start_writing_only(config: &Config) -> Result<Self, StartError> {
        Self::open(config, |store, _, _, _| Projections::idle(store)).await
    }

    async fn open(
        config: &Config,
        follow: impl FnOnce(Store, Feeds, Arc<ProcessCommands>, Option<NatsConnection>) -> Projections,
    ) -> Result<Self, StartError> {
        let service_keys = config.services.keys_file.as_deref().map(ServiceKeysFile::open);
        let service_keys = service_keys.transpose().map_err(StartError::Settings)?;
        make_private_folder(&config.server.data_dir)?;
        let store = open_store(config).await?;
        if let Err(error) = verify(&store).await {
            return Err(store.locate(error).await.into());
        }
        if numbers_reach_a_provider(config) {
            separate_payment_numbers(&store).await?;
        }
        if config.services.own.contains(Service::Payment) {
            take_over_ledgers(config, &store).await?;
        }
        let keys = service_keys.as_ref().map(ServiceKeysFile::keys);
        let commands = commands(config, store.clone(), keys.clone())?;
        let port = Arc::new(ProcessCommands::new(commands.clone()));
        let nats = nats::connection(config).await?;
        let FollowedLogs { feeds, conditions } =
            sources::followed_logs(config, &store, keys, nats.as_ref()).await?;
        if let Err(error) =
            Projections::prepare_with_feeds(&store, &feeds, config.services.own).await
        {
            return Err(match StartError::from(error) {
                StartError::Store(error) => store.locate(error).await.into(),
                other => other,
            });
        }
        let projections = follow(store.clone(), feeds, port, nats);
        // Alone, tokens are signed with the log's own key.
        let shared = service_keys.as_ref().filter(|_| !config.services.own.is_all());
        let tokens = tokens(&store, shared.map(ServiceKeysFile::keys)).await?;
        let services = config.services.own;
        let market =
            Self { store, commands, projections, tokens, services, service_keys, conditions };
        market.first_views().await;
        Ok(market)
    }

    /// Waits until the views of this process can be read; on an empty log they are built now. Serving starts even if the database
    /// becomes unavailable meanwhile.
    async fn first_views(&self) {
        let queries = self.projections.queries();
        let readable = async {
            for view in self.services.views() {
                while !is_readable(&queries, view).await {
                    tokio::time::sleep(VIEWS_POLL_INTERVAL).await;
                }
            }
        };
        if tokio::time::timeout(VIEWS_TIMEOUT, readable).await.is_err() {
            tracing::warn!("the views can't be read yet");
        }
    }

    /// The whole HTTP side: the routes, and the request pipeline before them.
    pub fn router(&self, config: &Config, listen: SocketAddr, shutdown: Shutdown) -> Router {
        let market = MarketParts {
            use_cases: UseCases::new(
                self.commands.clone(),
                &self.projections,
                self.store.tail().head(),
                use_case_options(config),
            ),
            queries: self.projections.queries(),
            traces: traces::traces(
                config,
                self.projections.queries(),
                self.service_keys.as_ref().map(ServiceKeysFile::keys),
            ),
            applied: self.projections.applied(),
            tokens: self.tokens.clone(),
            conditions: Arc::clone(&self.conditions),
        };
        let options = RouterOptions {
            services: self.services,
            listen,
            http: config.server.http.clone(),
            time_zone: config.market.time_zone,
            engine: self.store.engine_name(),
            render_metrics: metrics::render,
            service_tokens: self
                .service_keys
                .as_ref()
                .map(|file| TokenVerifier::new(self.services, file.keys())),
        };
        router(market, &options, shutdown)
    }

    /// Waits until the log is found to be replaced; returns why.
    pub async fn log_replaced(&self) -> StoreError {
        self.store.log_replaced().await
    }

    /// The position of the newest event, for tests that make sure that nothing was written.
    pub fn head(&self) -> i64 {
        *self.store.tail().head().borrow()
    }

    /// Ends everything in order: started commands, subscriptions, the log.
    pub async fn stop(&self, within: Duration) {
        if tokio::time::timeout(within, self.commands.close()).await.is_err() {
            tracing::warn!(
                "calls to the payment gateway did not end in time; settling finds their outcomes"
            );
        }
        self.projections.stop().await;
        self.store.close().await;
    }
}

/// Whether the rows of a view can be read.
async fn is_readable(queries: &Queries, view: ViewName) -> bool {
    let (filter, first) = (Filter::default(), PageRequest { after: 0, limit: 1 });
    match view {
        ViewName::ItemInfo => queries.items(&filter, first).await.is_ok(),
        ViewName::Reservations => queries.reservations(&filter, first).await.is_ok(),
        ViewName::Payments => queries.payments(&filter, first).await.is_ok(),
        ViewName::Alarms => queries.alarms(&filter, first).await.is_ok(),
    }
}

async fn tokens(store: &Store, shared: Option<SharedKeys>) -> Result<Tokens, StartError> {
    let (identity, key) = (store.identity(), store.log().token_key().await?);
    let tokens = Tokens::new(identity.log_id, identity.epoch, &key)
        .ok_or_else(|| StartError::Settings("the log's key for tokens is invalid".to_owned()))?;
    Ok(match shared {
        Some(keys) => tokens.with_shared_keys(&keys),
        None => tokens,
    })
}

/// Whether numbers of payments that this process allocates may reach a payment provider, which keeps them when a log is
/// restored. The payment service in another process may have one.
fn numbers_reach_a_provider(config: &Config) -> bool {
    let own = config.services.own;
    config.payment.provider.url.is_some()
        || own.contains(Service::Reservation) && !own.contains(Service::Payment)
}

fn commands(
    config: &Config,
    store: Store,
    keys: Option<SharedKeys>,
) -> Result<Commands, StartError> {
    let gateway = payment_gateway(&config.payment, &store)?;
    let alarm = InProcessAlarm::new(InProcessAlarmOptions {
        delay_ms: millis(config.alarm.delay),
        jitter_ms: millis(config.alarm.jitter),
        fail_rate: config.alarm.fail_rate,
    });
    let options = CommandOptions {
        services: config.services.own,
        other_services: other_services::other_services(config, keys)?,
        pay_within: config.reservation.pay_within,
        payment: PaymentOptions {
            answer_within: config.payment.gateway.answer_within,
            call_limit: config.payment.gateway.timeout,
            ..PaymentOptions::default()
        },
        alarm: AlarmOptions {
            // A call is cancelled once its caller stops waiting, so the shorter limit holds.
            answer_within: config.alarm.answer_within.min(config.alarm.timeout),
            ..AlarmOptions::default()
        },
        ..CommandOptions::default()
    };
    Commands::new(store, gateway, Arc::new(alarm), options)
        .map_err(|error| StartError::Settings(error.to_string()))
}

/// The payment provider where one is configured; else the gateway in this program, whose books are in the database.
fn payment_gateway(
    payment: &config::PaymentConfig,
    store: &Store,
) -> Result<Arc<dyn PaymentGateway>, StartError> {
    let config::ProviderConfig { url, key } = &payment.provider;
    let Some(url) = url else {
        let records = store.write_once_records().clone();
        let gateway = InProcessGateway::with_records(gateway_options(payment), records);
        return Ok(Arc::new(gateway));
    };
    let gateway = HttpPaymentGateway::new(HttpPaymentGatewayOptions {
        url: url.as_str().to_owned(),
        key: key.as_ref().map(|key| key.0.clone()),
        answer_within: payment.gateway.timeout,
    });
    Ok(Arc::new(gateway.map_err(|error| StartError::Settings(error.to_string()))?))
}

fn use_case_options(config: &Config) -> UseCaseOptions {
    UseCaseOptions {
        services: config.services.own,
        time_zone: config.market.time_zone,
        payment_wait: config.payment.gateway.answer_within,
    }
}

/// The use cases on a store that a tool opened, alongside a running server: no loop of this process follows the
/// log.
pub fn use_cases(config: &Config, store: Store) -> Result<UseCases, StartError> {
    let (commands, head) = (commands(config, store.clone(), None)?, store.tail().head());
    Ok(UseCases::new(commands, &Projections::idle(store), head, use_case_options(config)))
}

fn gateway_options(payment: &config::PaymentConfig) -> InProcessGatewayOptions {
    InProcessGatewayOptions {
        delay_ms: millis(payment.gateway.delay),
        jitter_ms: millis(payment.gateway.jitter),
        fail_rate: payment.gateway.fail_rate,
        decline_rate: payment.decline_rate,
    }
}

/// Copies ledgers that older programs kept in files into the gateway's books.
async fn take_over_ledgers(config: &Config, store: &Store) -> Result<(), StartError> {
    if let Some(source) = &config.payment.ledger_set_by {
        tracing::warn!(
            source,
            "payment.ledger is no longer used: the payment gateway's books are in the database; remove it"
        );
    }
    for file in &config.payment.old_ledgers {
        let path = file.display().to_string();
        let taken = take_over_ledger(store.write_once_records(), file).await;
        let taken = taken.map_err(|source| StartError::Folder { path: path.clone(), source })?;
        if taken > 0 {
            tracing::info!(
                file = path,
                entries = taken,
                "the payment gateway's ledger is in the database now; the file isn't used any more"
            );
        }
    }
    Ok(())
}

/// The options of subscriptions for this configuration.
pub fn projection_options(config: &Config) -> Options {
    Options {
        services: config.services.own,
        pay_within: config.reservation.pay_within,
        settle_after: config.payment.gateway.timeout.saturating_add(SETTLE_MARGIN),
        ..Options::default()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
