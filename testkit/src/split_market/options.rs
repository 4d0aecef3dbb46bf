//! Which processes a split market has, and what they share.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::JoinSet;

use super::process::MarketProcess;
use super::{SERVICES, SplitMarket};
use crate::environment::free_port;
use crate::gateway::Gateway;
use crate::keys_file::KeysFile;
use crate::provider_process::ProviderProcess;
use crate::server::ServerOptions;
use crate::test_db::{Engine, TestDb};

/// The number of times that a market is started while other programs take a chosen port first.
const ATTEMPTS: usize = 5;

/// Which services run in which process, on which engine, and what else there is.
///
/// ```no_run
/// # use gdmarket_testkit::{Engine, SplitMarketOptions};
/// # async fn example(program: &str) {
/// let mut market = SplitMarketOptions::new(program)
///     .process("item,alarm", Engine::Postgres)
///     .process("reservation,payment", Engine::Sqlite)
///     .start()
///     .await;
/// market.kill("alarm").await;
/// # }
/// ```
#[derive(Debug)]
pub struct SplitMarketOptions {
    program: PathBuf,
    processes: Vec<ProcessOptions>,
    variables: Vec<(String, String)>,
    provider: Option<(PathBuf, Vec<String>)>,
    gateway: Option<Vec<String>>,
    /// The server for databases on PostgreSQL; the tests' own unless it is given.
    postgres: Option<String>,
}

#[derive(Debug)]
struct ProcessOptions {
    services: String,
    engine: Engine,
    replicas: usize,
    variables: Vec<(String, String)>,
}

impl SplitMarketOptions {
    /// A market of this program, `env!("CARGO_BIN_EXE_gdmarket")` in the tests of `gdmarket`, without processes.
    pub fn new(program: impl AsRef<Path>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            processes: vec![],
            variables: vec![],
            provider: None,
            gateway: None,
            postgres: None,
        }
    }

    /// One process per service: item and reservation on PostgreSQL, payment and alarm on SQLite.
    pub fn four_services(program: impl AsRef<Path>) -> Self {
        Self::new(program)
            .process("item", Engine::Postgres)
            .process("reservation", Engine::Postgres)
            .process("payment", Engine::Sqlite)
            .process("alarm", Engine::Sqlite)
    }

    /// Adds a process with these services, separated by commas, on a database of its own.
    #[must_use]
    pub fn process(self, services: &str, engine: Engine) -> Self {
        self.replicas(services, engine, 1)
    }

    /// Adds several equal processes on one database.
    #[must_use]
    pub fn replicas(mut self, services: &str, engine: Engine, replicas: usize) -> Self {
        let services = services.to_owned();
        self.processes.push(ProcessOptions { services, engine, replicas, variables: vec![] });
        self
    }

    /// Sets a variable of all processes.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets a variable of the process with this service, and of its replicas.
    ///
    /// # Panics
    /// When no process has the service.
    #[must_use]
    pub fn variable_of(mut self, service: &str, name: &str, value: &str) -> Self {
        let has = |of: &&mut ProcessOptions| of.services.split(',').any(|own| own == service);
        let process = self.processes.iter_mut().find(has).expect("a process with this service");
        process.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Makes databases on this PostgreSQL server in the place of the tests' own.
    #[must_use]
    pub fn postgres_server(self, url: &str) -> Self {
        Self { postgres: Some(url.to_owned()), ..self }
    }

    /// Lets all processes use a NATS server.
    #[must_use]
    pub fn nats(self, url: &str) -> Self {
        self.variable("GDMARKET__NATS__URL", url)
    }

    /// Lets the market pay at a provider of this program, started with these flags.
    #[must_use]
    pub fn provider(mut self, program: impl AsRef<Path>, flags: &[&str]) -> Self {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        self.provider = Some((program.as_ref().to_owned(), flags));
        self
    }

    /// Puts a gateway before the services, with these options of `deploy/gateway/render`.
    #[must_use]
    pub fn gateway(mut self, options: &[&str]) -> Self {
        self.gateway = Some(options.iter().map(|option| (*option).to_owned()).collect());
        self
    }

    /// Starts everything and returns once all are ready.
    ///
    /// # Panics
    /// When a process doesn't become ready; the message contains its stderr.
    pub async fn start(self) -> SplitMarket {
        let mut market = self.prepare().await;
        let mut taken = String::new();
        for _ in 0..ATTEMPTS {
            match start_all(&mut market.processes).await {
                Ok(()) => {
                    if let Some(options) = &self.gateway {
                        let options: Vec<&str> = options.iter().map(String::as_str).collect();
                        market.gateway = Some(Gateway::before(&market.addresses(), &options).await);
                    }
                    return market;
                }
                Err(stderr) => taken = stderr,
            }
            self.choose_ports(&mut market);
        }
        panic!("other programs took the chosen ports first: {taken}")
    }

    /// Makes databases, keys and the payment provider, and starts no process and no gateway: each begins with
    /// [`SplitMarket::restart`].
    pub async fn prepare(&self) -> SplitMarket {
        let provider = match &self.provider {
            None => None,
            Some((program, flags)) => {
                let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
                Some(ProviderProcess::start(program, &flags).await)
            }
        };
        let mut market =
            SplitMarket { gateway: None, processes: vec![], provider, keys: KeysFile::new("a1") };
        for process in &self.processes {
            let db = Arc::new(match process.engine {
                Engine::Sqlite => TestDb::sqlite(),
                Engine::Postgres => match &self.postgres {
                    Some(server) => TestDb::on_server(server).await,
                    None => TestDb::postgres().await,
                },
            });
            for replica in 1..=process.replicas {
                let number = if replica == 1 { String::new() } else { format!("#{replica}") };
                market.processes.push(MarketProcess {
                    name: format!("{}{number}", process.services),
                    services: process.services.clone(),
                    port: 0,
                    db: Arc::clone(&db),
                    options: ServerOptions::new(&self.program),
                    server: None,
                });
            }
        }
        self.choose_ports(&mut market);
        market
    }

    /// Gives each process a free port and the addresses of all, and forgets what ran before.
    fn choose_ports(&self, market: &mut SplitMarket) {
        for process in &mut market.processes {
            process.port = free_port();
        }
        let urls: Vec<_> = SERVICES
            .into_iter()
            .filter(|service| market.processes.iter().any(|process| process.has(service)))
            .map(|service| {
                let name = format!("GDMARKET__SERVICES__{}__URL", service.to_uppercase());
                (name, market.url(service, ""))
            })
            .collect();
        let keys = (KeysFile::VARIABLE.to_owned(), market.keys.path());
        let provider = market.provider.as_ref();
        let provider = provider.map(|of| (ProviderProcess::VARIABLE.to_owned(), of.url()));
        let shared: Vec<_> =
            urls.into_iter().chain([keys]).chain(provider).chain(self.variables.clone()).collect();
        for process in &mut market.processes {
            let options = ServerOptions::new(&self.program)
                .on(&process.db)
                .variable("GDMARKET__SERVER__SERVICES", &process.services);
            let own = self.processes.iter().find(|of| of.services == process.services);
            let own = own.into_iter().flat_map(|of| &of.variables);
            process.server = None;
            process.options = shared
                .iter()
                .chain(own)
                .fold(options, |options, (name, value)| options.variable(name, value));
        }
    }
}

/// Starts all processes at once; the stderr of one whose port another program has taken.
async fn start_all(processes: &mut [MarketProcess]) -> Result<(), String> {
    let mut starting = JoinSet::new();
    for (index, process) in processes.iter().enumerate() {
        let (options, port) = (process.options.clone(), process.port);
        starting.spawn(async move { (index, options.start_on(port).await) });
    }
    while let Some(started) = starting.join_next().await {
        let (index, server) = started.expect("a process that becomes ready");
        if let Some(process) = processes.get_mut(index) {
            process.server = Some(server?);
        }
    }
    Ok(())
}
