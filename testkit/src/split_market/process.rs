//! One process of a split market.

use std::process::Output;
use std::sync::Arc;

use crate::server::{Server, ServerOptions};
use crate::test_db::TestDb;

/// One process, which may not have been started yet.
#[derive(Debug)]
pub(super) struct MarketProcess {
    pub(super) name: String,
    pub(super) services: String,
    pub(super) port: u16,
    pub(super) db: Arc<TestDb>,
    pub(super) options: ServerOptions,
    pub(super) server: Option<Server>,
}

impl MarketProcess {
    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn has(&self, service: &str) -> bool {
        self.services.split(',').any(|own| own == service)
    }

    pub(super) fn is_named(&self, name: &str) -> bool {
        self.name == name || !self.is_replica() && self.has(name)
    }

    /// Whether another process was started before on the same database.
    pub(super) fn is_replica(&self) -> bool {
        self.name.contains('#')
    }

    pub(super) fn server(&self) -> &Server {
        self.server.as_ref().expect("a process that was started")
    }

    pub(super) fn server_mut(&mut self) -> &mut Server {
        self.server.as_mut().expect("a process that was started")
    }

    pub(super) fn set_variable(&mut self, name: &str, value: &str) {
        self.options = self.options.clone().variable(name, value);
        if let Some(server) = &mut self.server {
            server.set_variable(name, value);
        }
    }

    pub(super) async fn restart(&mut self) {
        if let Some(server) = &mut self.server {
            return server.restart().await;
        }
        match self.start().await {
            Ok(server) => self.server = Some(server),
            Err(stderr) => panic!("port {} is taken: {stderr}", self.port),
        }
    }

    /// Starts it on its port, unless another program has taken that since it was chosen.
    pub(super) async fn start(&self) -> Result<Server, String> {
        self.options.clone().start_on(self.port).await
    }

    pub(super) async fn tool(&self, arguments: &[&str]) -> Output {
        self.options.clone().tool(arguments).await
    }
}
