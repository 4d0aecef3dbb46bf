//! The services of this process, and where it finds the others that they need.

use super::layers::SettingText;
use super::settings::SETTINGS;
use gdmarket_domain::{Service, Services};
use std::collections::BTreeMap;
use std::path::PathBuf;
use url::Url;

/// The settings of a market that runs as several services.
#[derive(Debug, Clone)]
pub struct ServicesConfig {
    /// The services of this process.
    pub own: Services,
    /// Where the other services are.
    pub urls: BTreeMap<Service, Url>,
    /// The file with the keys by which services prove to each other who they are.
    pub keys_file: Option<PathBuf>,
}

/// A setting that is missing, by its index in [`SETTINGS`].
pub(super) struct MissingSetting {
    pub(super) number: usize,
    pub(super) fault: String,
}

impl ServicesConfig {
    /// The settings that a process without all services needs and hasn't got. `texts` are those of [`SETTINGS`].
    pub(super) fn missing(&self, texts: &[SettingText]) -> Vec<MissingSetting> {
        let set_by = source_of("server.services", texts);
        let own = self.own;
        let without_url = own.needs().iter().filter(|service| !self.urls.contains_key(service));
        let mut missing: Vec<MissingSetting> = without_url
            .filter_map(|service| {
                let key = format!("services.{service}.url");
                let what = format!(
                    "server.services is {own} ({set_by}), which needs the service {service}: set \
                     it to that service's address, like http://127.0.0.1:8082, or add {service} to \
                     server.services"
                );
                MissingSetting::new(&key, &what, texts)
            })
            .collect();
        if !own.is_all() && self.keys_file.is_none() {
            let what = format!(
                "server.services is {own} ({set_by}), and services prove to each other who they \
                 are with the keys of a file: name the file that all of them share"
            );
            missing.extend(MissingSetting::new("services.keys_file", &what, texts));
        }
        missing
    }
}

impl MissingSetting {
    fn new(key: &str, what: &str, texts: &[SettingText]) -> Option<Self> {
        let number = SETTINGS.iter().position(|setting| setting.key == key)?;
        let source = source_of(key, texts);
        Some(Self { number, fault: format!("{key}: is not set ({source}), but {what}") })
    }
}

fn source_of<'a>(key: &str, texts: &'a [SettingText]) -> &'a str {
    let mut settings = SETTINGS.iter().zip(texts);
    settings.find(|(setting, _)| setting.key == key).map_or("", |(_, text)| &text.source)
}
