//! A market that runs as several real processes, each with some of the services and a log of its own.

mod options;
mod process;

use std::collections::BTreeMap;
use std::process::Output;

pub use options::SplitMarketOptions;

use self::process::MarketProcess;
use crate::gateway::{Gateway, ServiceAddresses};
use crate::keys_file::KeysFile;
use crate::provider_process::ProviderProcess;
use crate::server::Server;
use crate::test_db::TestDb;

/// The services of a market.
pub const SERVICES: [&str; 4] = ["item", "reservation", "payment", "alarm"];

/// The processes of a market. Dropping it kills them all and removes their databases.
///
/// A process is named by the services that it was given (`item,alarm`), by any one of them (`alarm`), or, if it is a
/// further replica, by that and its number (`item#2`).
#[derive(Debug)]
pub struct SplitMarket {
    // The gateway ends first, so that nobody asks it for services that are gone.
    gateway: Option<Gateway>,
    processes: Vec<MarketProcess>,
    provider: Option<ProviderProcess>,
    keys: KeysFile,
}

impl SplitMarket {
    /// The names of all processes, replicas among them, in the order in which they were given.
    pub fn names(&self) -> Vec<String> {
        self.processes.iter().map(|process| process.name.clone()).collect()
    }

    /// The URL of a path of a service.
    pub fn url(&self, service: &str, path: &str) -> String {
        format!("http://{}{path}", self.process(service).address())
    }

    /// The addresses of the services, those of replicas separated by commas.
    pub fn addresses(&self) -> ServiceAddresses {
        let of = |service: &str| {
            let own = self.processes.iter().filter(|process| process.has(service));
            own.map(MarketProcess::address).collect::<Vec<_>>().join(",")
        };
        ServiceAddresses {
            item: of("item"),
            reservation: of("reservation"),
            payment: of("payment"),
            alarm: of("alarm"),
        }
    }

    /// A process that runs, or ran until it was killed.
    pub fn server(&self, name: &str) -> &Server {
        self.process(name).server()
    }

    /// The database of a process.
    pub fn db(&self, name: &str) -> &TestDb {
        &self.process(name).db
    }

    /// Each database once, with the name of the first process on it.
    pub fn databases(&self) -> Vec<(&str, &TestDb)> {
        let firsts = self.processes.iter().filter(|process| !process.is_replica());
        firsts.map(|process| (process.name.as_str(), &*process.db)).collect()
    }

    /// The gateway, if there is one.
    ///
    /// # Panics
    /// When [`SplitMarketOptions::gateway`] wasn't called.
    pub fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().expect("a market with a gateway")
    }

    /// The payment provider, if there is one.
    ///
    /// # Panics
    /// When [`SplitMarketOptions::provider`] wasn't called.
    pub fn provider(&self) -> &ProviderProcess {
        self.provider.as_ref().expect("a market with a payment provider")
    }

    /// As [`SplitMarket::provider`], to kill and restart it.
    pub fn provider_mut(&mut self) -> &mut ProviderProcess {
        self.provider.as_mut().expect("a market with a payment provider")
    }

    /// The keys that all processes share.
    pub fn keys(&self) -> &KeysFile {
        &self.keys
    }

    /// Whether a process runs; `false` once it was killed or ended by itself.
    pub fn is_running(&mut self, name: &str) -> bool {
        self.process_mut(name).server_mut().is_running()
    }

    /// Kills a process as `kill -9` does.
    pub async fn kill(&mut self, name: &str) {
        self.process_mut(name).server_mut().kill().await;
    }

    /// Stops a process with SIGSTOP: its connections stay open, and it answers nothing.
    pub async fn stop(&self, name: &str) {
        self.server(name).signal("STOP").await;
    }

    /// Lets a stopped process continue.
    pub async fn resume(&self, name: &str) {
        self.server(name).signal("CONT").await;
    }

    /// Starts a process, and kills it before if it runs; returns once it is ready.
    pub async fn restart(&mut self, name: &str) {
        self.process_mut(name).restart().await;
    }

    /// Kills all processes, deletes what is derived from their logs, and starts them again.
    pub async fn rebuild_views(&mut self) {
        for process in &mut self.processes {
            process.server_mut().kill().await;
        }
        for (_, db) in self.databases() {
            db.forget_views().await;
        }
        for process in &mut self.processes {
            process.restart().await;
        }
    }

    /// Sets a variable of a process for its next starts, a failpoint for example.
    pub fn set_variable(&mut self, name: &str, variable: &str, value: &str) {
        self.process_mut(name).set_variable(variable, value);
    }

    /// Runs the program with these arguments and the configuration of a process, which may run meanwhile.
    pub async fn tool(&self, name: &str, arguments: &[&str]) -> Output {
        self.process(name).tool(arguments).await
    }

    /// The newest position of each log, by the name of the first process on it.
    pub async fn heads(&self) -> BTreeMap<String, i64> {
        let mut heads = BTreeMap::new();
        for (name, db) in self.databases() {
            heads.insert(name.to_owned(), db.head().await);
        }
        heads
    }

    fn process(&self, name: &str) -> &MarketProcess {
        let found = self.processes.iter().find(|process| process.is_named(name));
        found.unwrap_or_else(|| panic!("{name} is none of {:?}", self.names()))
    }

    fn process_mut(&mut self, name: &str) -> &mut MarketProcess {
        let index = self.processes.iter().position(|process| process.is_named(name));
        index.and_then(|index| self.processes.get_mut(index)).expect("a process with this name")
    }
}
