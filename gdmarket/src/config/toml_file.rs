//! A file of settings. A fault names line and column, and never quotes the text, which may be a password.

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};
use std::path::{Path, PathBuf};

/// The settings of one file.
pub(super) struct TomlFile {
    path: PathBuf,
    table: Dict,
}

impl TomlFile {
    /// Reads and parses a file.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let bytes = std::fs::read(path).map_err(|error| format!("{shown}: {error}"))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let (line, column) = place(error.as_bytes(), error.utf8_error().valid_up_to());
            format!("{shown}: line {line}, column {column}: is not UTF-8")
        })?;
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let at = error.span().map_or(0, |span| span.start);
            let (line, column) = place(text.as_bytes(), at);
            let what = error.message();
            format!("{shown}: line {line}, column {column}: is not valid TOML: {what}")
        })?;
        let table = Value::serialize(&table).ok().and_then(Value::into_dict);
        let table = table.ok_or_else(|| format!("{shown}: is not a table of settings"))?;
        Ok(Self { path: path.to_owned(), table })
    }
}

/// Line and column of a byte, both from 1.
fn place(bytes: &[u8], at: usize) -> (usize, usize) {
    let before = bytes.get(..at).unwrap_or(bytes);
    let line = before.split(|byte| *byte == b'\n');
    let column = line.clone().next_back().map(String::from_utf8_lossy).unwrap_or_default();
    (line.count(), column.chars().count().saturating_add(1))
}

impl Provider for TomlFile {
    fn metadata(&self) -> Metadata {
        Metadata::from("TOML file", self.path.as_path())
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Profile::Default.collect(self.table.clone()))
    }
}
