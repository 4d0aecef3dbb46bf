//! The file with the keys of service tokens (`services.keys_file`): read at the start, and again when it changes, so that
//! keys are replaced without a restart.

use gdmarket_service_token::{ServiceKeys, SharedKeys};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

/// How often the file is looked at.
const RELOAD_INTERVAL: Duration = Duration::from_secs(2);
/// The most bytes of the file.
const MAX_BYTES: u64 = 16 * 1024;
/// The rights that the file may not give: none to other users, and none to write to its group. A group may read it:
/// a mounted secret belongs to the group of the process.
const FORBIDDEN_RIGHTS: u32 = 0o027;

/// What distinguishes one content of the file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileMark {
    inode: u64,
    size: u64,
    changed_ns: (i64, i64),
}

/// The keys of a running process, which follow their file.
#[derive(Debug)]
pub struct ServiceKeysFile {
    keys: SharedKeys,
    _follower: AbortOnDropHandle<()>,
}

impl ServiceKeysFile {
    /// Reads the file, and follows it on a task of the current runtime. The fault names the file, and quotes nothing of
    /// it.
    pub fn open(path: &Path) -> Result<Self, String> {
        let (keys, mark) = read(path)?;
        let keys = SharedKeys::new(keys);
        let following = follow(path.to_owned(), keys.clone(), mark);
        Ok(Self { keys, _follower: AbortOnDropHandle::new(tokio::spawn(following)) })
    }

    /// The keys, as the file has them at any time.
    pub fn keys(&self) -> SharedKeys {
        self.keys.clone()
    }
}

fn read(path: &Path) -> Result<(ServiceKeys, FileMark), String> {
    let of_file = |fault: &dyn std::fmt::Display| format!("{}: {fault}", path.display());
    let open = || -> io::Result<(String, u32, FileMark)> {
        let file = File::open(path)?;
        let found = file.metadata()?;
        let mark = FileMark {
            inode: found.ino(),
            size: found.size(),
            changed_ns: (found.ctime(), found.ctime_nsec()),
        };
        let mut text = String::new();
        file.take(MAX_BYTES).read_to_string(&mut text)?;
        Ok((text, found.mode() & 0o777, mark))
    };
    let (text, mode, mark) = open().map_err(|error| of_file(&error))?;
    if mode & FORBIDDEN_RIGHTS != 0 {
        let fault = format!("other users may read or write it (mode {mode:04o}): chmod 600");
        return Err(of_file(&fault));
    }
    let keys = ServiceKeys::from_toml(&text).map_err(|fault| of_file(&fault))?;
    Ok((keys, mark))
}

/// Reads the file again whenever it changes, for ever. A file that can't be read leaves the keys as they are.
async fn follow(path: PathBuf, keys: SharedKeys, mut known: FileMark) {
    let mut last_fault = None;
    loop {
        sleep(RELOAD_INTERVAL).await;
        match read(&path) {
            Ok((_, mark)) if known == mark && last_fault.is_none() => {}
            Ok((read, mark)) => {
                keys.replace(read);
                (known, last_fault) = (mark, None);
                let file = path.display();
                tracing::info!(%file, "the keys of service tokens were read again");
            }
            Err(fault) if last_fault.as_ref() == Some(&fault) => {}
            Err(fault) => {
                tracing::error!(
                    fault,
                    "the keys of service tokens can't be read; the ones before stay"
                );
                last_fault = Some(fault);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    fn file(text: &str, mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
        file
    }

    #[test]
    fn file_that_others_may_read_or_change_is_refused() {
        let text = format!("current = \"{}\"\n", "a1".repeat(32));
        for mode in [0o400, 0o600, 0o440, 0o640] {
            assert!(read(file(&text, mode).path()).is_ok(), "{mode:o}");
        }
        for mode in [0o644, 0o660, 0o604, 0o602, 0o666] {
            let fault = read(file(&text, mode).path()).unwrap_err();
            assert!(fault.contains("chmod 600"), "{mode:o}: {fault}");
        }
    }

    #[test]
    fn fault_names_the_file_and_quotes_nothing_of_it() {
        let file = file("current = \"s3cret\"\n", 0o600);
        let fault = read(file.path()).unwrap_err();
        assert!(fault.starts_with(&file.path().display().to_string()), "{fault}");
        assert!(fault.contains("current") && !fault.contains("s3cret"), "{fault}");
        assert!(read(Path::new("/does/not/exist")).unwrap_err().contains("/does/not/exist"));
    }
}
