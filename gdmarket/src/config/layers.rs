//! The sources of settings as layers: defaults, a file, variables, flags. The layers know the source of each value and
//! report keys that are no settings.

use super::settings::{RETIRED, SETTINGS, Setting};
use super::sources::{Flag, Sources};
use super::toml_file::TomlFile;
use super::values::text_of;
use figment::providers::Env;
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider, Source};
use std::path::Path;

/// The prefix of environment variables.
const PREFIX: &str = "GDMARKET__";
/// The file that is read if it exists.
const DEFAULT_FILE: &str = "gdmarket.toml";
/// The name of the layer of defaults.
const DEFAULT: &str = "default";
/// The prefix of the name of a flag's layer.
const FLAG: &str = "flag ";

/// A source other than a file or the environment.
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
            insert(&mut sections, key, value);
        }
        Ok(Profile::Default.collect(sections))
    }
}

/// The kind of source of a value; a later one overrides an earlier one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum SetBy {
    Default,
    File,
    Variable,
    Flag,
}

/// The text of a setting, and its source.
pub(super) struct SettingText {
    pub(super) text: String,
    pub(super) source: String,
}

/// All sources, the last of which wins.
pub(super) struct Layers(Figment);

impl Layers {
    /// Reads all sources. A file that can't be read is a fault; the other sources are read nevertheless.
    pub(super) fn stack(sources: &Sources, faults: &mut Vec<String>) -> Self {
        let defaults = SETTINGS.iter().map(|s| (s.key.to_owned(), s.default.to_owned())).collect();
        let mut figment = Figment::from(Layer { name: DEFAULT.to_owned(), entries: defaults });
        match file(sources) {
            Ok(Some(file)) => figment = figment.merge(file),
            Ok(None) => {}
            Err(fault) => faults.push(fault),
        }
        if sources.reads_environment {
            figment = figment.merge(Env::prefixed(PREFIX).split("__"));
        }
        for Flag { flag, key, value } in &sources.flags {
            let entries = vec![((*key).to_owned(), value.clone())];
            figment = figment.merge(Layer { name: format!("{FLAG}{flag}"), entries });
        }
        Self(figment)
    }

    /// Returns a fault for every key that is neither a setting nor the file of a secret one.
    pub(super) fn unknown_keys(&self) -> Vec<String> {
        let mut unknown = keys(self.0.extract().unwrap_or_default(), "");
        unknown.retain(|key| {
            let is_retired = RETIRED.contains(&key.as_str());
            !is_retired && Setting::of(key).is_none() && secret_of(key).is_none()
        });
        let fault =
            |key: &String| format!("{key}: there is no such setting ({})", self.source(key));
        unknown.iter().map(fault).collect()
    }

    fn origin(&self, key: &str) -> SetBy {
        match self.0.find_metadata(key) {
            None => SetBy::Default,
            Some(set) if set.source.as_ref().and_then(Source::file_path).is_some() => SetBy::File,
            Some(set) if set.name == DEFAULT => SetBy::Default,
            Some(set) if set.name.starts_with(FLAG) => SetBy::Flag,
            Some(_) => SetBy::Variable,
        }
    }

    /// The source of a value, in words.
    fn source(&self, key: &str) -> String {
        let set = self.0.find_metadata(key);
        let file = set.and_then(|set| set.source.as_ref()).and_then(Source::file_path);
        match (self.origin(key), set, file) {
            (SetBy::File, _, Some(file)) => format!("file {}", file.display()),
            (SetBy::Variable, ..) => {
                format!("variable {PREFIX}{}", key.replace('.', "__").to_uppercase())
            }
            (SetBy::Default | SetBy::File | SetBy::Flag, set, _) => {
                set.map_or_else(|| DEFAULT.to_owned(), |set| set.name.to_string())
            }
        }
    }

    /// The value of a setting that is no longer used, and its source.
    pub(super) fn retired(&self, key: &str) -> Option<(String, String)> {
        let value = self.0.find_value(key).ok().and_then(|value| text_of(&value))?;
        (!value.is_empty()).then(|| (value, self.source(key)))
    }

    /// The text of a setting, from its own key or from the file that holds a secret.
    pub(super) fn text(&self, setting: &Setting) -> Result<SettingText, String> {
        let own = self.0.find_value(setting.key).ok().and_then(|value| text_of(&value));
        let file_key = format!("{}_file", setting.key);
        let file = self.0.find_value(&file_key).ok().filter(|_| setting.secret);
        let source = self.source(setting.key);
        if own.as_ref().is_some_and(|own| own.trim().is_empty())
            && self.origin(setting.key) != SetBy::Default
        {
            return Err(set_but_empty(setting.key, &source));
        }
        let both = own.as_ref().is_some_and(|own| !own.is_empty()) && file.is_some();
        let file = file.as_ref().and_then(text_of);
        let (of_own, of_file) = (self.origin(setting.key), self.origin(&file_key));
        match file.filter(|_| !both || of_own <= of_file) {
            Some(_) if both && of_own == of_file => Err(format!(
                "{}: set directly ({source}) and as a file; keep one of them",
                setting.key
            )),
            Some(path) if path.trim().is_empty() => {
                Err(set_but_empty(&file_key, &self.source(&file_key)))
            }
            Some(path) => text_of_file(setting, &file_key, &path),
            None => own
                .map(|text| SettingText { text, source: source.clone() })
                .ok_or_else(|| format!("{}: must be one value ({source})", setting.key)),
        }
    }
}

/// Sets `section.key`, or `section.table.key`.
fn insert(table: &mut Dict, key: &str, value: &str) {
    let Some((section, rest)) = key.split_once('.') else {
        table.insert(key.to_owned(), value.into());
        return;
    };
    let inner = table.entry(section.to_owned()).or_insert_with(|| Dict::new().into());
    if let Value::Dict(_, inner) = inner {
        insert(inner, rest, value);
    }
}

/// The full keys of all values below `prefix`.
fn keys(table: Dict, prefix: &str) -> Vec<String> {
    let mut all = vec![];
    for (name, value) in table {
        let key = format!("{prefix}{name}");
        let inside = format!("{key}.");
        match value {
            Value::Dict(_, inner) if prefix.is_empty() || is_table(&key, &inner) => {
                all.extend(keys(inner, &inside));
            }
            _ => all.push(key),
        }
    }
    all
}

/// Whether a value is a table with keys of its own, and not that of a setting.
fn is_table(key: &str, inner: &Dict) -> bool {
    !inner.is_empty() && Setting::of(key).is_none()
}

fn file(sources: &Sources) -> Result<Option<TomlFile>, String> {
    let path = match &sources.file {
        Some(path) if !path.is_file() => {
            return Err(format!("{}: there is no such file", path.display()));
        }
        Some(path) => path.as_path(),
        None => Path::new(DEFAULT_FILE),
    };
    if sources.file.is_none() && !(sources.reads_environment && path.is_file()) {
        return Ok(None);
    }
    TomlFile::read(path).map(Some)
}

/// Reads a secret from a file, without the line end that editors add.
fn text_of_file(setting: &Setting, file_key: &str, path: &str) -> Result<SettingText, String> {
    let source = format!("file {path}");
    match std::fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => Err(set_but_empty(setting.key, &source)),
        Ok(text) => {
            let text = text.trim_end_matches(['\r', '\n']).to_owned();
            Ok(SettingText { text, source })
        }
        Err(error) => Err(format!("{file_key}: {path}: {error}")),
    }
}

/// The fault of an empty value. An empty value is never ignored: a variable whose secret wasn't filled in would start
/// the market on another database than the one that is meant.
fn set_but_empty(key: &str, source: &str) -> String {
    format!("{key}: is set but empty ({source}); give it a value or remove it")
}

/// The secret setting whose file this key names.
fn secret_of(key: &str) -> Option<&'static Setting> {
    Setting::of(key.strip_suffix("_file")?).filter(|setting| setting.secret)
}
