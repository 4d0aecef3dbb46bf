//! The result of loading: a checked configuration, or every fault at once.

use super::layers::Layers;
use super::sections::{Sections, Shown};
use super::sources::Sources;
use super::{Config, masked};
use std::fmt;

/// A checked configuration, and the source of each setting.
#[derive(Debug, Clone)]
pub struct LoadedConfig {
    /// The values.
    pub config: Config,
    /// Each setting as `config show` prints it.
    pub shown: Vec<Shown>,
}

/// Everything that is wrong, one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Faults(pub Vec<String>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

pub(super) fn load(sources: &Sources) -> Result<LoadedConfig, Faults> {
    let mut faults = vec![];
    let layers = Layers::stack(sources, &mut faults);
    faults.extend(layers.unknown_keys());
    let mut sections = Sections::read(&layers);
    let config = sections.config(layers.retired("payment.ledger"));
    let (shown, faulty_values) = sections.finish();
    faults.extend(faulty_values);
    match config {
        Some(config) if faults.is_empty() => Ok(LoadedConfig { config, shown }),
        // A fault quotes the value; one that was set under a wrong key may be a URL with a password.
        _ => Err(Faults(faults.iter().map(|fault| masked(fault).into_owned()).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Flag, SETTINGS};
    use super::*;
    use std::path::PathBuf;
    use std::time::Duration;

    fn flags(entries: &[(&'static str, &str)]) -> Sources {
        let flags = entries
            .iter()
            .map(|(key, value)| Flag { flag: "--x", key, value: (*value).to_owned() })
            .collect();
        Sources { flags, ..Sources::default() }
    }

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("market.toml");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn defaults_are_valid() {
        let loaded = Config::load(&Sources::default()).unwrap();
        assert_eq!(loaded.config.server.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(loaded.config.payment.gateway.answer_within, Duration::from_millis(610));
        // nginx keeps its connections to a server behind it for 60 s: it must be the one that closes.
        assert!(loaded.config.server.http.keep_alive > Duration::from_mins(1));
        assert_eq!(loaded.shown.len(), SETTINGS.len(), "every setting is read");
        assert!(loaded.shown.iter().all(|shown| shown.source == "default"));
    }

    #[test]
    fn defaults_of_the_http_side_are_those_of_its_crate() {
        let loaded = Config::load(&Sources::default()).unwrap();
        assert_eq!(loaded.config.server.http, gdmarket_api::HttpOptions::default());
    }

    #[test]
    fn all_faults_are_reported_at_once_with_their_source() {
        let (_folder, path) = file("[server]\nlisten = 5\ncolour = 1\n[market]\ntime_zone = [1]\n");
        let mut sources = flags(&[("payment.fail_rate", "2"), ("database.url", "mysql://x:y@z")]);
        sources.file = Some(path.clone());
        let faults = Config::load(&sources).unwrap_err().0;
        let file = path.display();
        assert_eq!(faults, [
            format!("server.colour: there is no such setting (file {file})"),
            format!(
                "server.listen: \"5\" must be an address and a port, like 127.0.0.1:8080 \
                 (file {file})"
            ),
            "database.url: \"***\" must begin with postgres:// (for SQLite set server.data_dir \
             instead) (flag --x)"
                .to_owned(),
            format!("market.time_zone: must be one value (file {file})"),
            "payment.fail_rate: \"2\" must be a number from 0 to 1 (flag --x)".to_owned(),
        ]);
    }

    #[test]
    fn file_that_is_not_toml_is_a_fault() {
        let (_folder, path) = file("[server\n");
        let sources = Sources { file: Some(path), ..Sources::default() };
        assert!(Config::load(&sources).is_err());
        let absent = Sources { file: Some("/does/not/exist".into()), ..Sources::default() };
        assert_eq!(
            Config::load(&absent).unwrap_err().0,
            ["/does/not/exist: there is no such file"]
        );
    }

    #[test]
    fn every_setting_that_is_set_but_empty_is_a_fault() {
        for setting in SETTINGS {
            for empty in ["", "  "] {
                let faults = Config::load(&flags(&[(setting.key, empty)])).unwrap_err().0;
                let fault = format!(
                    "{}: is set but empty (flag --x); give it a value or remove it",
                    setting.key
                );
                assert_eq!(faults, [fault]);
            }
        }
    }

    #[test]
    fn an_empty_file_of_a_secret_is_a_fault() {
        let (_empty, empty) = file("\n");
        for (path, named) in
            [(empty.display().to_string(), "database.url:"), (String::new(), "database.url_file:")]
        {
            let (_folder, config) = file(&format!("[database]\nurl_file = {path:?}\n"));
            let sources = Sources { file: Some(config), ..Sources::default() };
            let faults = Config::load(&sources).unwrap_err().0;
            assert!(faults[0].starts_with(named) && faults[0].contains("empty"), "{faults:?}");
        }
    }

    #[test]
    fn secret_may_be_in_a_file_of_its_own() {
        let (_folder, path) = file("postgres://me:s3cret@db/market\n");
        let settings = format!("[database]\nurl_file = {:?}\n", path.display().to_string());
        let (_other, config) = file(&settings);
        let sources = Sources { file: Some(config), ..Sources::default() };
        let loaded = Config::load(&sources).unwrap();
        assert_eq!(loaded.config.store_url(), "postgres://me:s3cret@db/market");
        assert!(!format!("{loaded:?}").contains("s3cret"));
        let flags = flags(&[("database.url", "postgres://other")]).flags;
        let loaded = Config::load(&Sources { flags, ..sources }).unwrap();
        assert_eq!(loaded.config.store_url(), "postgres://other", "a flag wins over the file");
        let (_both, config) = file(&format!("{settings}url = \"postgres://other\"\n"));
        let both = Sources { file: Some(config), ..Sources::default() };
        assert!(Config::load(&both).unwrap_err().0[0].contains("keep one of them"));
    }

    #[test]
    fn key_of_the_payment_provider_is_shown_as_set_and_nothing_more() {
        let url = ("payment.provider_url", "http://127.0.0.1:8090/");
        let loaded = Config::load(&flags(&[url, ("payment.provider_key", "sk-CANARY77")])).unwrap();
        assert!(!format!("{loaded:?}").contains("CANARY77"));
        let shown = loaded.shown.iter().find(|shown| shown.key == "payment.provider_key");
        assert_eq!(shown.map(|shown| shown.value.as_str()), Some("***"));
        let faults = Config::load(&flags(&[url, ("payment.provider_key", "CANARY77 x")]));
        let faults = faults.unwrap_err().0;
        assert!(faults.len() == 1 && !faults[0].contains("CANARY77"), "{faults:?}");
    }
}
