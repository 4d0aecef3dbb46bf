//! A file with keys of service tokens, as an operator makes it.

use gdmarket_service_token::{ServiceKeys, SharedKeys};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use tempfile::TempDir;

/// The variable that names the file.
pub(crate) const KEYS_FILE: &str = "GDMARKET__SERVICES__KEYS_FILE";

/// The text of a file with these keys, each given as one byte of it.
fn text(current: &str, previous: Option<&str>) -> String {
    let line = |name: &str, byte: &str| format!("{name} = \"{}\"\n", byte.repeat(32));
    let previous = previous.map(|byte| line("previous", byte)).unwrap_or_default();
    format!("{}{previous}", line("current", current))
}

/// Keys in the memory of the test.
pub(crate) fn keys(current: &str, previous: Option<&str>) -> ServiceKeys {
    ServiceKeys::from_toml(&text(current, previous)).unwrap()
}

/// Keys in the memory of the test, to sign with.
pub(crate) fn shared_keys(current: &str) -> SharedKeys {
    SharedKeys::new(keys(current, None))
}

/// A file with keys.
pub(crate) struct KeysFile {
    folder: TempDir,
}

impl KeysFile {
    pub(crate) fn new(current: &str) -> Self {
        let file = Self { folder: tempfile::tempdir().unwrap() };
        file.write(current, None);
        file
    }

    pub(crate) fn path(&self) -> String {
        self.file("keys.toml").display().to_string()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces the file in one step.
    pub(crate) fn write(&self, current: &str, previous: Option<&str>) {
        self.write_text(&text(current, previous));
    }

    pub(crate) fn write_text(&self, text: &str) {
        let next = self.file("next.toml");
        fs::write(&next, text).unwrap();
        fs::set_permissions(&next, Permissions::from_mode(0o600)).unwrap();
        fs::rename(next, self.path()).unwrap();
    }
}
