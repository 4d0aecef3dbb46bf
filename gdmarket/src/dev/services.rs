//! The four services: each is this program with a file of settings of its own, which the operator's tools can use too.

use super::folder::{DevFolder, new_secret};
use super::launch::Launch;
use super::part::{DevPart, INTERRUPT_TWICE, PartFacts};
use super::ports::DevPorts;
use super::postgres::DevCluster;
use super::readiness::Readiness;
use crate::output::Failure;
use gdmarket_domain::Service;
use std::path::Path;
use toml::{Table, Value};

/// The file with the keys of service tokens.
const KEYS_FILE: &str = "service-keys.toml";
/// How long a service that ends waits for what is in flight.
const FINISH_WITHIN_MS: i64 = 3_000;
/// Variables that would override what the files of settings say.
const OVERRIDING: [&str; 18] = [
    "GDMARKET__SERVER__LISTEN",
    "GDMARKET__SERVER__DATA_DIR",
    "GDMARKET__SERVER__SERVICES",
    "GDMARKET__SERVER__ADDRESS_SHARE_PERCENT",
    "GDMARKET__SERVER__FINISH_WITHIN_MS",
    "GDMARKET__SERVICES__ITEM__URL",
    "GDMARKET__SERVICES__RESERVATION__URL",
    "GDMARKET__SERVICES__PAYMENT__URL",
    "GDMARKET__SERVICES__ALARM__URL",
    "GDMARKET__SERVICES__KEYS_FILE",
    "GDMARKET__DATABASE__URL",
    "GDMARKET__DATABASE__URL_FILE",
    "GDMARKET__PAYMENT__PROVIDER_URL",
    "GDMARKET__NATS__URL",
    "GDMARKET__NATS__URL_FILE",
    "GDMARKET__NATS__CREDENTIALS_FILE",
    "GDMARKET__NATS__CA_FILE",
    "GDMARKET__SERVER__MIGRATE",
];

/// The servers that the services use, as far as they run.
#[derive(Debug, Clone, Copy)]
pub(super) struct UsedServers<'a> {
    /// The cluster of the item and the reservation service; without one they use SQLite as the others do.
    pub(super) cluster: Option<&'a DevCluster>,
    /// With its password.
    pub(super) nats_url: Option<&'a str>,
    pub(super) provider_url: Option<&'a str>,
}

/// What the services share.
pub(super) struct DevServices<'a> {
    /// This program.
    pub(super) own: &'a Path,
    pub(super) folder: &'a DevFolder,
    pub(super) ports: DevPorts,
    pub(super) used: UsedServers<'a>,
}

impl DevServices<'_> {
    /// Whether a service keeps its data in the cluster, if there is one.
    pub(super) const fn prefers_postgres(service: Service) -> bool {
        matches!(service, Service::Item | Service::Reservation)
    }

    /// Whether a service has data in SQLite.
    pub(super) fn has_files(folder: &DevFolder, service: Service) -> bool {
        folder.at(service.name()).join("log.db").is_file()
    }

    /// The part that is this service.
    pub(super) fn part(&self, service: Service) -> Result<DevPart, Failure> {
        let name = service.name();
        let cluster = self.used.cluster.filter(|_| Self::prefers_postgres(service));
        let text = self.settings(service, cluster)?.to_string();
        let settings = self.folder.write_private(&format!("{name}.toml"), &text)?;
        let launch = Launch::new(self.own).args(["serve", "--config"]).arg(&settings);
        let launch = OVERRIDING.into_iter().fold(launch, Launch::without_variable);
        let address = self.url(service);
        Ok(DevPart {
            launch,
            readiness: Readiness::Http(format!("{address}/readyz")),
            end_signals: INTERRUPT_TWICE,
            facts: PartFacts {
                name,
                address,
                data: cluster.map_or_else(
                    || self.folder.at(name).display().to_string(),
                    |cluster| cluster.shown_url(name),
                ),
                settings: Some(settings),
                log: self.folder.log(name)?,
            },
        })
    }

    fn url(&self, service: Service) -> String {
        format!("http://127.0.0.1:{}", self.ports.of(service))
    }

    fn settings(&self, service: Service, cluster: Option<&DevCluster>) -> Result<Table, Failure> {
        let name = service.name();
        let server = table([
            ("listen", Value::from(format!("127.0.0.1:{}", self.ports.of(service)))),
            ("services", Value::from(name)),
            ("data_dir", Value::from(self.folder.at(name).display().to_string())),
            ("address_share_percent", Value::from(100)),
            ("finish_within_ms", Value::from(FINISH_WITHIN_MS)),
        ]);
        let mut services = table([("keys_file", Value::from(self.keys_file()?))]);
        for each in Service::ALL {
            let url = table([("url", Value::from(self.url(each)))]);
            services.insert(each.name().to_owned(), Value::Table(url));
        }
        let mut settings = table([("server", server.into()), ("services", services.into())]);
        if let Some(cluster) = cluster {
            let database = table([("url", Value::from(cluster.url(name)))]);
            settings.insert("database".to_owned(), database.into());
        }
        let urls = [
            ("nats", "url", self.used.nats_url),
            ("payment", "provider_url", self.used.provider_url),
        ];
        for (section, name, url) in urls {
            if let Some(url) = url {
                settings.insert(section.to_owned(), table([(name, Value::from(url))]).into());
            }
        }
        Ok(settings)
    }

    /// The file with the keys of service tokens, which is made at the first start.
    fn keys_file(&self) -> Result<String, Failure> {
        let file = self.folder.at(KEYS_FILE);
        if !file.exists() {
            let text = format!("current = \"{}\"\n", new_secret());
            self.folder.write_private(KEYS_FILE, &text)?;
        }
        Ok(file.display().to_string())
    }
}

fn table<const N: usize>(entries: [(&str, Value); N]) -> Table {
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
