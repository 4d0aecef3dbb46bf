//! Puts the sources on top of each other, remembers which one a value came from, and turns texts into
//! values. Every fault is kept; nothing is used unless there is none.

use super::settings::{RETIRED, SETTINGS, Setting};
use super::toml_file::TomlFile;
use super::values::text_of;
use super::{Config, DatabaseUrl, masked};
use figment::providers::Env;
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider, Source};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The prefix of variables.
const PREFIX: &str = "GDMARKET__";
/// The file that is read if it is there.
const DEFAULT_FILE: &str = "gdmarket.toml";
/// What the layer of defaults is called.
const DEFAULT: &str = "default";
/// How the name of a flag's layer begins.
const FLAG: &str = "flag ";

/// A value from the command line.
#[derive(Debug, Clone)]
pub struct Flag {
    /// The flag, with its dashes.
    pub flag: &'static str,
    /// What it sets.
    pub key: &'static str,
    /// To what.
    pub value: String,
}

/// Where values may come from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// `--config`; it must exist then.
    pub file: Option<PathBuf>,
    /// From the command line.
    pub flags: Vec<Flag>,
    /// Whether to look at the environment and the folder one stands in; tests don't.
    pub surroundings: bool,
}

/// A checked configuration, and how it came about.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// Each setting as `config show` prints it.
    pub shown: Vec<Shown>,
}

/// One setting with its value and source, without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The setting.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// Who set it.
    pub source: String,
}

/// Everything that is wrong, one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Faults(pub Vec<String>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

/// A source that is no file and no environment.
struct Layer {
    name: String,
    entries: Vec<(String, String)>,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        let mut sections = Dict::new();
        for (key, value) in &self.entries {
            let (section, name) = key.split_once('.').unwrap_or((key, ""));
            let dict = sections.entry(section.to_owned()).or_insert_with(|| Dict::new().into());
            if let Value::Dict(_, dict) = dict {
                dict.insert(name.to_owned(), value.as_str().into());
            }
        }
        Ok(Profile::Default.collect(sections))
    }
}

pub(super) fn load(sources: &Sources) -> Result<Loaded, Faults> {
    let mut reader = Reader { figment: Figment::new(), shown: vec![], faults: vec![] };
    reader.stack(sources);
    reader.refuse_unknown();
    let config = reader.config();
    match config {
        Some(config) if reader.faults.is_empty() => Ok(Loaded { config, shown: reader.shown }),
        // A URL that was set in a wrong place would be shown as what it was taken for.
        _ => Err(Faults(reader.faults.iter().map(|fault| masked(fault).into_owned()).collect())),
    }
}

pub(super) struct Reader {
    figment: Figment,
    shown: Vec<Shown>,
    faults: Vec<String>,
}

/// Who set a value; of two of them the one further down wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Default,
    File,
    Variable,
    Flag,
}

impl Reader {
    fn stack(&mut self, sources: &Sources) {
        let defaults = SETTINGS.iter().map(|s| (s.key.to_owned(), s.default.to_owned())).collect();
        let mut figment = Figment::from(Layer { name: DEFAULT.to_owned(), entries: defaults });
        if let Some(file) = self.file(sources) {
            figment = figment.merge(file);
        }
        if sources.surroundings {
            figment = figment.merge(Env::prefixed(PREFIX).split("__"));
        }
        for Flag { flag, key, value } in &sources.flags {
            let entries = vec![((*key).to_owned(), value.clone())];
            figment = figment.merge(Layer { name: format!("{FLAG}{flag}"), entries });
        }
        self.figment = figment;
    }

    fn file(&mut self, sources: &Sources) -> Option<TomlFile> {
        let path = match &sources.file {
            Some(path) if !path.is_file() => {
                self.faults.push(format!("{}: there is no such file", path.display()));
                return None;
            }
            Some(path) => path.as_path(),
            None => Path::new(DEFAULT_FILE),
        };
        if sources.file.is_none() && !(sources.surroundings && path.is_file()) {
            return None;
        }
        TomlFile::read(path).map_err(|fault| self.faults.push(fault)).ok()
    }

    /// Every leaf must be a setting, or the file of a secret one.
    fn refuse_unknown(&mut self) {
        let mut unknown = vec![];
        for (section, value) in self.figment.extract::<Dict>().unwrap_or_default() {
            match value {
                Value::Dict(_, dict) => {
                    unknown.extend(dict.into_keys().map(|key| format!("{section}.{key}")));
                }
                _ => unknown.push(section),
            }
        }
        unknown.retain(|key| {
            let is_retired = RETIRED.contains(&key.as_str());
            !is_retired && Setting::of(key).is_none() && secret_of(key).is_none()
        });
        for key in unknown {
            let source = self.source(&key);
            self.faults.push(format!("{key}: there is no such setting ({source})"));
        }
    }

    fn origin(&self, key: &str) -> Origin {
        match self.figment.find_metadata(key) {
            None => Origin::Default,
            Some(set) if set.source.as_ref().and_then(Source::file_path).is_some() => Origin::File,
            Some(set) if set.name == DEFAULT => Origin::Default,
            Some(set) if set.name.starts_with(FLAG) => Origin::Flag,
            Some(_) => Origin::Variable,
        }
    }

    /// Who set a value, in words.
    fn source(&self, key: &str) -> String {
        let set = self.figment.find_metadata(key);
        let file = set.and_then(|set| set.source.as_ref()).and_then(Source::file_path);
        match (self.origin(key), set, file) {
            (Origin::File, _, Some(file)) => format!("file {}", file.display()),
            (Origin::Variable, ..) => {
                format!("variable {PREFIX}{}", key.replace('.', "__").to_uppercase())
            }
            (Origin::Default | Origin::File | Origin::Flag, set, _) => {
                set.map_or_else(|| DEFAULT.to_owned(), |set| set.name.to_string())
            }
        }
    }

    /// What a setting says that no program uses any more, and who set it.
    pub(super) fn retired(&self, key: &str) -> Option<(String, String)> {
        let value = self.figment.find_value(key).ok().and_then(|value| text_of(&value))?;
        (!value.is_empty()).then(|| (value, self.source(key)))
    }

    /// The text of a setting, from its own key or from the file that holds a secret.
    fn text(&mut self, setting: &Setting) -> Option<(String, String)> {
        let own = self.figment.find_value(setting.key).ok().and_then(|value| text_of(&value));
        let file_key = format!("{}_file", setting.key);
        let file = self.figment.find_value(&file_key).ok().filter(|_| setting.secret);
        let source = self.source(setting.key);
        if own.as_ref().is_some_and(|own| own.trim().is_empty())
            && self.origin(setting.key) != Origin::Default
        {
            self.set_but_empty(setting.key, &source);
            return None;
        }
        let both = own.as_ref().is_some_and(|own| !own.is_empty()) && file.is_some();
        let file = file.as_ref().and_then(text_of);
        let (of_own, of_file) = (self.origin(setting.key), self.origin(&file_key));
        match file.filter(|_| !both || of_own <= of_file) {
            Some(_) if both && of_own == of_file => {
                self.faults.push(format!(
                    "{}: set directly ({source}) and as a file; keep one of them",
                    setting.key
                ));
                None
            }
            Some(path) if path.trim().is_empty() => {
                let source = self.source(&file_key);
                self.set_but_empty(&file_key, &source);
                None
            }
            Some(path) => match std::fs::read_to_string(&path) {
                Ok(text) if text.trim().is_empty() => {
                    self.set_but_empty(setting.key, &format!("file {path}"));
                    None
                }
                Ok(text) => {
                    Some((text.trim_end_matches(['\r', '\n']).to_owned(), format!("file {path}")))
                }
                Err(error) => {
                    self.faults.push(format!("{file_key}: {path}: {error}"));
                    None
                }
            },
            None if own.is_none() => {
                self.faults.push(format!("{}: must be one value ({source})", setting.key));
                None
            }
            None => own.map(|own| (own, source)),
        }
    }

    /// An empty value is never taken for none: a variable whose secret wasn't filled in would start the market on
    /// another database than the one that is meant.
    fn set_but_empty(&mut self, key: &str, source: &str) {
        self.faults
            .push(format!("{key}: is set but empty ({source}); give it a value or remove it"));
    }

    pub(super) fn read<T>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let setting = Setting::of(key)?;
        let (text, source) = self.text(setting)?;
        match parse(&text) {
            Ok(value) => {
                let value_shown =
                    if setting.secret { redacted(&text) } else { masked(&text).into_owned() };
                self.shown.push(Shown { key: setting.key, value: value_shown, source });
                Some(value)
            }
            Err(fault) => {
                let value = if setting.secret { "***" } else { &text };
                self.faults.push(format!("{key}: {value:?} {fault} ({source})"));
                None
            }
        }
    }
}

/// The secret setting whose file this key names.
fn secret_of(key: &str) -> Option<&'static Setting> {
    Setting::of(key.strip_suffix("_file")?).filter(|setting| setting.secret)
}

fn redacted(text: &str) -> String {
    DatabaseUrl::from_str(text).map_or_else(|_| String::new(), |url| url.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn defaults_make_sense() {
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
    fn all_faults_are_told_at_once_with_their_source() {
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
    fn a_file_that_is_no_toml_is_a_fault() {
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
    fn a_secret_may_stand_in_a_file_of_its_own() {
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
}
