//! The sections of the configuration as structs, read by serde from the texts of their settings.
//!
//! serde stops at the first value that can't be read. So a section with such a value is read again with the default in
//! its place, until it can be read: every fault is reported, each with its source.

use super::layers::{Layers, SettingText};
use super::services::{MissingSetting, ServicesConfig};
use super::settings::{SETTINGS, Setting};
use super::{Config, DatabaseUrl, Outside, PaymentConfig, ProviderConfig, Server, masked, values};
use gdmarket_api::HttpOptions;
use gdmarket_domain::{Service, Services};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde::de::value::{Error, MapDeserializer};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;
use url::Url;

/// One setting with its value and source, without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The setting.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// Its source.
    pub source: String,
}

/// The texts of all settings, in the order of [`SETTINGS`], and their faults.
pub(super) struct Sections {
    texts: Vec<SettingText>,
    /// Each with the index of its setting.
    faults: Vec<(usize, String)>,
}

impl Sections {
    /// Reads all texts. A text that can't be read is a fault, and its default replaces it.
    pub(super) fn read(layers: &Layers) -> Self {
        let mut faults = vec![];
        let text = |(number, setting): (usize, &Setting)| {
            layers.text(setting).unwrap_or_else(|fault| {
                faults.push((number, fault));
                default_of(setting)
            })
        };
        let texts = SETTINGS.iter().enumerate().map(text).collect();
        Self { texts, faults }
    }

    /// Reads a section into a struct. `None` only if a default can't be read, which the tests exclude.
    fn section<T: DeserializeOwned>(&mut self, section: &str) -> Option<T> {
        loop {
            let number = Cell::new(0);
            let settings = SETTINGS.iter().zip(&self.texts).enumerate();
            let entries = settings.filter_map(|(of, (setting, text))| {
                let name = setting.key.strip_prefix(section)?.strip_prefix('.')?;
                number.set(of);
                Some((name, text.text.as_str()))
            });
            match T::deserialize(MapDeserializer::<_, Error>::new(entries)) {
                Ok(section) => return Some(section),
                Err(fault) => self.replace(number.get(), &fault)?,
            }
        }
    }

    /// Records a fault and replaces the value by the default; `None` if it is the default already.
    fn replace(&mut self, number: usize, fault: &Error) -> Option<()> {
        let (setting, text) = (SETTINGS.get(number)?, self.texts.get_mut(number)?);
        let default = default_of(setting);
        let faulty = std::mem::replace(text, default);
        // An address with a user may hold a password.
        let is_secret = setting.secret || faulty.text.contains('@');
        let value = if is_secret { "***" } else { &faulty.text };
        let fault = format!("{}: {value:?} {fault} ({})", setting.key, faulty.source);
        self.faults.push((number, fault));
        (faulty.text != text.text).then_some(())
    }

    /// All sections, with defaults instead of faulty values. `ledger` is the value of a retired setting, and its source.
    pub(super) fn config(&mut self, ledger: Option<(String, String)>) -> Option<Config> {
        let Http(http) = self.section("server")?;
        let server = Server { http, ..self.section("server")? };
        let services = self.services()?;
        let (named, ledger_set_by) = ledger.unzip();
        let in_folder = server.data_dir.join("payments.ledger");
        let provider: ProviderConfig = self.section("payment")?;
        let gateway: Outside = self.section("payment")?;
        let DeclineRate { decline_rate } = self.section("payment")?;
        let old_ledgers = named.map(PathBuf::from).into_iter().chain([in_folder]).collect();
        Some(Config {
            server,
            services,
            nats: self.section("nats")?,
            database: self.section("database")?,
            market: self.section("market")?,
            payment: PaymentConfig { provider, gateway, decline_rate, old_ledgers, ledger_set_by },
            alarm: self.section("alarm")?,
            reservation: self.section("reservation")?,
            telemetry: self.section("telemetry")?,
        })
    }

    /// The services of this process, with a fault for each setting that they need and that isn't set.
    fn services(&mut self) -> Option<ServicesConfig> {
        let OwnServices { services: own } = self.section("server")?;
        let mut urls = BTreeMap::new();
        for service in Service::ALL {
            let ServiceAddress { url } = self.section(&format!("services.{service}"))?;
            urls.extend(url.map(|url| (service, url)));
        }
        let KeysFileSetting { keys_file } = self.section("services")?;
        let services = ServicesConfig { own, urls, keys_file };
        for MissingSetting { number, fault } in services.missing(&self.texts) {
            // A value that can't be read is a fault of its own already.
            if self.faults.iter().all(|(faulty, _)| *faulty != number) {
                self.faults.push((number, fault));
            }
        }
        Some(services)
    }

    /// Each setting as `config show` prints it, and the faults in the order of the settings.
    pub(super) fn finish(mut self) -> (Vec<Shown>, impl Iterator<Item = String>) {
        self.faults.sort_by_key(|(number, _)| *number);
        let shown = |(setting, SettingText { text, source }): (&Setting, SettingText)| {
            let value = if setting.secret { redacted(&text) } else { masked(&text).into_owned() };
            Shown { key: setting.key, value, source }
        };
        let shown = SETTINGS.iter().zip(self.texts).map(shown).collect();
        (shown, self.faults.into_iter().map(|(_, fault)| fault))
    }
}

fn default_of(setting: &Setting) -> SettingText {
    SettingText { text: setting.default.to_owned(), source: String::new() }
}

/// A secret as it may be shown: that it is set, and of a database's URL all but the password.
fn redacted(text: &str) -> String {
    let hidden = |_| if text.is_empty() { String::new() } else { "***".to_owned() };
    DatabaseUrl::from_str(text).map_or_else(hidden, |url| url.to_string())
}

#[derive(Deserialize)]
struct OwnServices {
    #[serde(deserialize_with = "values::services")]
    services: Services,
}

#[derive(Deserialize)]
struct ServiceAddress {
    #[serde(deserialize_with = "values::service_url")]
    url: Option<Url>,
}

#[derive(Deserialize)]
struct KeysFileSetting {
    #[serde(deserialize_with = "values::optional_file")]
    keys_file: Option<PathBuf>,
}

#[derive(Deserialize)]
struct DeclineRate {
    #[serde(deserialize_with = "values::share")]
    decline_rate: f64,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Http(#[serde(with = "HttpSection")] HttpOptions);

/// The options of the HTTP side, in the section `server`.
#[derive(Deserialize)]
#[serde(remote = "HttpOptions")]
struct HttpSection {
    #[serde(deserialize_with = "values::flag")]
    allow_open: bool,
    #[serde(deserialize_with = "values::names")]
    hosts: Vec<String>,
    #[serde(rename = "drain_delay_ms", deserialize_with = "values::millis::<0, _>")]
    drain_delay: Duration,
    #[serde(rename = "finish_within_ms", deserialize_with = "values::millis::<0, _>")]
    finish_within: Duration,
    #[serde(rename = "request_timeout_ms", deserialize_with = "values::millis::<0, _>")]
    request_timeout: Duration,
    #[serde(deserialize_with = "values::within::<1, 65_536, _, _>")]
    connections: usize,
    #[serde(deserialize_with = "values::within::<1, 100, _, _>")]
    address_share_percent: usize,
    #[serde(rename = "keep_alive_ms", deserialize_with = "values::millis::<0, _>")]
    keep_alive: Duration,
    #[serde(rename = "stalled_reader_ms", deserialize_with = "values::millis::<1_000, _>")]
    stalled_reader: Duration,
    #[serde(deserialize_with = "values::within::<1, 65_536, _, _>")]
    reading: usize,
    #[serde(deserialize_with = "values::within::<1, 65_536, _, _>")]
    waiting: usize,
    #[serde(deserialize_with = "values::within::<1, 65_536, _, _>")]
    concurrency: usize,
    #[serde(deserialize_with = "values::within::<0, 65_536, _, _>")]
    event_streams: usize,
}
