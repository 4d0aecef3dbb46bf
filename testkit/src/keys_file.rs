//! A file with the keys of service tokens, as an operator makes it: readable by its owner alone.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tempfile::TempDir;

/// A file with keys, removed with this value.
#[derive(Debug)]
pub struct KeysFile {
    folder: TempDir,
}

impl KeysFile {
    /// The variable that names the file.
    pub const VARIABLE: &'static str = "GDMARKET__SERVICES__KEYS_FILE";

    /// A file with one key, given as one byte of it: `a1` for example.
    pub fn new(current: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("gdmarket-keys-").tempdir();
        let file = Self { folder: folder.expect("a temporary folder") };
        file.write(current, None);
        file
    }

    /// The text of a file with these keys, each given as one byte of it.
    pub fn text(current: &str, previous: Option<&str>) -> String {
        let line = |name: &str, byte: &str| format!("{name} = \"{}\"\n", byte.repeat(32));
        let previous = previous.map(|byte| line("previous", byte)).unwrap_or_default();
        format!("{}{previous}", line("current", current))
    }

    /// The place of the file.
    pub fn path(&self) -> String {
        self.file("keys.toml").display().to_string()
    }

    /// Replaces the file in one step.
    pub fn write(&self, current: &str, previous: Option<&str>) {
        self.write_text(&Self::text(current, previous));
    }

    /// Replaces the file in one step by this text.
    pub fn write_text(&self, text: &str) {
        let next = self.file("next.toml");
        fs::write(&next, text).expect("writing the keys");
        fs::set_permissions(&next, Permissions::from_mode(0o600)).expect("setting its rights");
        fs::rename(next, self.path()).expect("replacing the file of keys");
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
