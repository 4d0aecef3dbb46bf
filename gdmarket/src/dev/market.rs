//! The parts of a market in the order in which they start, and end in the opposite order.

use super::chosen_parts::ChosenParts;
use super::folder::DevFolder;
use super::gateway::DevGateway;
use super::nats::DevNats;
use super::part::DevPart;
use super::payment_provider;
use super::ports::DevPorts;
use super::postgres::DevCluster;
use super::programs::DevPrograms;
use super::services::{DevServices, UsedServers};
use super::supervisor::{RunningPart, Supervisor};
use crate::output::Failure;
use gdmarket_domain::Service;
use std::path::PathBuf;
use tokio::task::JoinSet;

/// A market and its parts that run.
pub(super) struct DevMarket {
    pub(super) own: PathBuf,
    pub(super) folder: DevFolder,
    pub(super) ports: DevPorts,
    pub(super) chosen: ChosenParts,
    pub(super) supervisor: Supervisor,
    pub(super) running: Vec<RunningPart>,
}

impl DevMarket {
    /// Starts all parts; returns when they are ready.
    pub(super) async fn start(&mut self) -> Result<(), Failure> {
        let cluster = self.start_postgres().await?;
        let nats = self.start_nats().await?;
        let provider = self.start_payment_provider().await?;
        let used = UsedServers {
            cluster: cluster.as_ref(),
            nats_url: nats.as_deref(),
            provider_url: provider.as_deref(),
        };
        self.start_services(used).await?;
        self.start_gateway().await
    }

    async fn start_part(&mut self, part: DevPart) -> Result<(), Failure> {
        self.running.push(self.supervisor.start(part).await?);
        Ok(())
    }

    async fn start_postgres(&mut self) -> Result<Option<DevCluster>, Failure> {
        let Some(programs) = self.chosen.programs.postgres.clone() else { return Ok(None) };
        let (port, group) = (self.ports.postgres(), self.supervisor.group);
        let cluster =
            DevCluster::create(&programs, self.chosen.account, &self.folder, port, group).await?;
        self.start_part(cluster.part(self.folder.log("postgresql")?)).await?;
        for service in Service::ALL.into_iter().filter(|each| DevServices::prefers_postgres(*each))
        {
            cluster.create_database(service.name(), group).await?;
        }
        Ok(Some(cluster))
    }

    /// The URL of the started server, with its password.
    async fn start_nats(&mut self) -> Result<Option<String>, Failure> {
        let Some(program) = self.chosen.programs.nats.clone() else { return Ok(None) };
        let DevNats { part, url } = DevNats::prepare(&program, &self.folder, self.ports.nats())?;
        self.start_part(part).await?;
        Ok(Some(url))
    }

    /// The URL of the started provider.
    async fn start_payment_provider(&mut self) -> Result<Option<String>, Failure> {
        let Some(program) = self.chosen.programs.payment_provider.clone() else { return Ok(None) };
        let port = self.ports.payment_provider();
        let provider = payment_provider::part(&program, &self.folder, port)?;
        let url = provider.facts.address.clone();
        self.start_part(provider).await?;
        Ok(Some(url))
    }

    /// All at once: a service waits for none of the others.
    async fn start_services(&mut self, used: UsedServers<'_>) -> Result<(), Failure> {
        let services =
            DevServices { own: &self.own, folder: &self.folder, ports: self.ports, used };
        let [item, reservation, payment, alarm] = Service::ALL.map(|each| services.part(each));
        let supervisor = &self.supervisor;
        let started = tokio::join!(
            supervisor.start(item?),
            supervisor.start(reservation?),
            supervisor.start(payment?),
            supervisor.start(alarm?),
        );
        let (item, reservation, payment, alarm) = started;
        let mut failure = None;
        for part in [item, reservation, payment, alarm] {
            match part {
                Ok(part) => self.running.push(part),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(()), Err)
    }

    async fn start_gateway(&mut self) -> Result<(), Failure> {
        let DevPrograms { nginx: Some(nginx), bash: Some(bash), .. } = self.chosen.programs.clone()
        else {
            return Ok(());
        };
        let gateway = DevGateway { nginx: &nginx, bash: &bash, account: self.chosen.account };
        let part = gateway.prepare(&self.folder, self.ports, self.supervisor.group).await?;
        self.start_part(part).await
    }

    /// Ends all parts: first the gateway, then the services at once, then what they use.
    pub(super) async fn end(&mut self) {
        let is_service = |part: &RunningPart| Service::named(part.facts.name).is_some();
        let running = std::mem::take(&mut self.running);
        let (services, others): (Vec<_>, Vec<_>) = running.into_iter().partition(is_service);
        let (gateway, used): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|part| part.facts.name == "gateway");
        for group in [gateway, services, used] {
            let ending: JoinSet<()> = group.into_iter().map(RunningPart::end).collect();
            ending.join_all().await;
        }
    }
}
