//! The folder of `gdmarket dev`: its lock, the folders and logs of the parts, and the secrets that are made there once.

use super::account::SystemAccount;
use crate::output::{Exit, Failure};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The file that is locked while `gdmarket dev` runs. It shows that a folder is one of `gdmarket dev`.
const LOCK: &str = "lock";
/// A folder that only its owner may read.
const PRIVATE: u32 = 0o700;
/// A folder that all may enter, for the account of PostgreSQL, and only its owner may read.
const ENTERED: u32 = 0o711;
/// A file for its owner alone.
const PRIVATE_FILE: u32 = 0o600;
/// The size from which a log is put aside at the next start.
const LARGE_LOG_BYTES: u64 = 16 * 1024 * 1024;
/// How much of the end of a log is read.
const TAIL_BYTES: usize = 16 * 1024;
/// The number of bytes of a secret.
const SECRET_BYTES: usize = 32;

/// The folder, as it was named and as an absolute path.
#[derive(Debug, Clone)]
pub(super) struct DevFolder {
    pub(super) shown: PathBuf,
    path: PathBuf,
}

impl DevFolder {
    /// Makes the folder if it is missing, and locks it. The lock lasts until the file and all of its copies are closed.
    pub(super) fn open(shown: &Path) -> Result<(Self, File), Failure> {
        let of_folder = |error: io::Error| failure(shown, &error);
        make_folder(shown, ENTERED).map_err(of_folder)?;
        let path = fs::canonicalize(shown).map_err(of_folder)?;
        let lock = path.join(LOCK);
        let is_empty = fs::read_dir(&path).map_err(of_folder)?.next().is_none();
        if !is_empty && !lock.exists() {
            let message = format!("{} has files, and none of gdmarket dev", shown.display());
            return Err(Failure::new(Exit::Failed, message).next("name a new folder with --dir"));
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(PRIVATE_FILE)
            .open(&lock)
            .map_err(of_folder)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(shown, &mut file)),
            Err(TryLockError::Error(error)) => return Err(of_folder(error)),
        }
        let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(of_folder)?;
        let folder = Self { shown: shown.to_owned(), path };
        make_folder(&folder.at("logs"), PRIVATE).map_err(of_folder)?;
        Ok((folder, file))
    }

    /// The absolute path of the folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The absolute path of something in it.
    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The same, as it is shown.
    pub(super) fn shown_at(&self, name: &str) -> String {
        self.shown.join(name).display().to_string()
    }

    /// A subfolder for this user alone.
    pub(super) fn private(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.at(name);
        make_folder(&path, PRIVATE).map_err(|error| failure(&path, &error))?;
        Ok(path)
    }

    /// A subfolder in which `inside` belongs to the account, if there is one, and else to this user.
    pub(super) fn handed_over(
        &self,
        name: &str,
        inside: &str,
        account: Option<SystemAccount>,
    ) -> Result<PathBuf, Failure> {
        let outer = self.at(name);
        let inner = outer.join(inside);
        let made = make_folder(&outer, ENTERED)
            .and_then(|()| make_folder(&inner, PRIVATE))
            .and_then(|()| account.map_or(Ok(()), |account| account.give(&inner)));
        made.map_err(|error| failure(&inner, &error))?;
        Ok(inner)
    }

    /// The log of a part; a large one of earlier runs is put aside.
    pub(super) fn log(&self, part: &str) -> Result<PathBuf, Failure> {
        let log = self.at("logs").join(format!("{part}.log"));
        if fs::metadata(&log).is_ok_and(|found| found.len() > LARGE_LOG_BYTES) {
            fs::rename(&log, log.with_extension("log.old"))
                .map_err(|error| failure(&log, &error))?;
        }
        Ok(log)
    }

    /// Writes a file for this user alone.
    pub(super) fn write_private(&self, name: &str, text: &str) -> Result<PathBuf, Failure> {
        let (path, next) = (self.at(name), self.at(&format!("{name}.new")));
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(PRIVATE_FILE)
            .open(&next)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .and_then(|()| fs::rename(&next, &path));
        written.map_err(|error| failure(&path, &error))?;
        Ok(path)
    }

    /// The secret in a file for this user alone, which is made at the first start.
    pub(super) fn secret(&self, name: &str) -> Result<String, Failure> {
        match fs::read_to_string(self.at(name)) {
            Ok(secret) => Ok(secret.trim_end().to_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let secret = new_secret();
                self.write_private(name, &format!("{secret}\n"))?;
                Ok(secret)
            }
            Err(error) => Err(failure(&self.at(name), &error)),
        }
    }
}

/// A new secret in hexadecimal.
pub(super) fn new_secret() -> String {
    let bytes: [u8; SECRET_BYTES] = rand::random();
    hex::encode(bytes)
}

fn make_folder(path: &Path, mode: u32) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(mode).create(path)
}

pub(super) fn failure(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("{}: {error}", path.display()))
        .next("name a folder you may write to with --dir")
}

fn in_use(folder: &Path, lock: &mut File) -> Failure {
    let mut owner = String::new();
    drop(lock.read_to_string(&mut owner));
    let owner = owner.trim();
    let owner = if owner.is_empty() { String::new() } else { format!(" (process {owner})") };
    let message =
        format!("{} belongs to another gdmarket dev, which runs or ends{owner}", folder.display());
    Failure::new(Exit::Failed, message).next("end that one, or name another folder with --dir")
}

/// The last lines of a log.
pub(super) fn last_lines(log: &Path, count: usize) -> Vec<String> {
    let bytes = fs::read(log).unwrap_or_default();
    let from = bytes.len().saturating_sub(TAIL_BYTES);
    let text = String::from_utf8_lossy(bytes.get(from..).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.len().saturating_sub(count);
    lines.into_iter().skip(first).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn secret_is_made_once_and_for_its_owner_alone() {
        let root = tempfile::tempdir().unwrap();
        let (folder, _lock) = DevFolder::open(&root.path().join("dev")).unwrap();
        let first = folder.secret("password").unwrap();
        assert_eq!(first.len(), 2 * SECRET_BYTES);
        assert_eq!(folder.secret("password"), Ok(first.clone()));
        assert_ne!(folder.secret("other"), Ok(first));
        let mode = fs::metadata(folder.at("password")).unwrap().mode();
        assert_eq!(mode & 0o777, PRIVATE_FILE);
    }

    #[test]
    fn folder_of_others_and_folder_in_use_are_refused() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("letter.txt"), "").unwrap();
        let refused = DevFolder::open(root.path()).unwrap_err();
        assert!(refused.message.contains("none of gdmarket dev"), "{refused:?}");
        let dev = root.path().join("dev");
        let (_, lock) = DevFolder::open(&dev).unwrap();
        let copy = lock.try_clone().unwrap();
        drop(lock);
        let refused = DevFolder::open(&dev).unwrap_err();
        assert!(
            refused.message.contains(&format!("process {}", std::process::id())),
            "{refused:?}"
        );
        drop(copy);
        assert!(DevFolder::open(&dev).is_ok());
    }

    #[test]
    fn last_lines_of_a_log_are_its_newest() {
        let root = tempfile::tempdir().unwrap();
        let log = root.path().join("a.log");
        assert_eq!(last_lines(&log, 2), [""; 0]);
        fs::write(&log, "one\ntwo\nthree\n").unwrap();
        assert_eq!(last_lines(&log, 2), ["two", "three"]);
        assert_eq!(last_lines(&log, 9), ["one", "two", "three"]);
    }
}
