//! The markets that are compared.

use gdmarket_testkit::{Engine, NatsServer, SplitMarket, SplitMarketOptions};
use std::path::PathBuf;

/// How a market runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// One process with all services.
    OneProcess,
    /// Four processes that ask each other for events.
    Polling,
    /// Four processes with NATS between them.
    Nats,
}

impl Mode {
    /// The modes that this machine can run.
    pub(crate) fn available() -> impl Iterator<Item = Self> {
        let has_nats = NatsServer::is_installed();
        [Self::OneProcess, Self::Polling, Self::Nats]
            .into_iter()
            .filter(move |mode| *mode != Self::Nats || has_nats)
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::OneProcess => "one process",
            Self::Polling => "four services, polling",
            Self::Nats => "four services, NATS",
        }
    }

    pub(crate) const fn is_split(self) -> bool {
        !matches!(self, Self::OneProcess)
    }
}

/// Starts markets on one PostgreSQL server.
pub(crate) struct Markets {
    program: PathBuf,
    postgres: String,
}

/// A market that runs until it is dropped.
pub(crate) struct StartedMarket {
    pub(crate) services: SplitMarket,
    _nats: Option<NatsServer>,
}

impl Markets {
    pub(crate) const fn new(program: PathBuf, postgres: String) -> Self {
        Self { program, postgres }
    }

    /// Starts an empty market.
    pub(crate) async fn start(&self, mode: Mode) -> StartedMarket {
        let options = match mode {
            Mode::OneProcess => SplitMarketOptions::new(&self.program)
                .process("item,reservation,payment,alarm", Engine::Postgres),
            Mode::Polling | Mode::Nats => SplitMarketOptions::four_services(&self.program),
        };
        // All neighbours come from one address.
        let options = options
            .postgres_server(&self.postgres)
            .variable("GDMARKET__SERVER__ADDRESS_SHARE_PERCENT", "100");
        let nats = match mode {
            Mode::Nats => Some(NatsServer::start().await),
            Mode::OneProcess | Mode::Polling => None,
        };
        let options = match &nats {
            Some(nats) => options.nats(&nats.url()),
            None => options,
        };
        StartedMarket { services: options.start().await, _nats: nats }
    }
}
