//! The syncs of a program, recorded by strace from the program's start. They show that what was acknowledged
//! is on the disk, which no `kill -9` can show, because the page cache survives it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::environment::Account;

/// The syncs of one or more watched programs.
#[derive(Debug)]
pub struct Syncs {
    folder: TempDir,
}

impl Syncs {
    /// An empty record.
    #[expect(clippy::new_without_default, reason = "it makes a folder on the disk")]
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("gdmarket-syncs-").tempdir();
        let folder = folder.expect("a temporary folder");
        // PostgreSQL runs as another account where the tests run as root, and writes here too.
        Account::unprivileged().give(folder.path());
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.path(), open).expect("the folder's rights");
        Self { folder }
    }

    /// A script that runs the given program under strace, which is a process of its own and ends with it;
    /// signals and the exit code are the program's.
    pub fn watching(&self, program: &Path) -> PathBuf {
        let name = program.file_name().expect("a program").to_string_lossy();
        let watched = self.folder.path().join(format!("watched-{name}"));
        let record = self.folder.path().join("record");
        let script = format!(
            "#!/bin/sh\nexec strace -D -ff --seccomp-bpf -qq -y -ttt -T -e signal=none \
             -e trace=fsync,fdatasync -o '{}' '{}' \"$@\"\n",
            record.display(),
            program.display()
        );
        fs::write(&watched, script).expect("writing the script");
        let runs = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&watched, runs).expect("the script's rights");
        watched
    }

    /// The end of each successful sync of a file with this word in its path, in seconds since 1970, in order.
    pub fn ended(&self, path: &str) -> Vec<f64> {
        let mut ended = Vec::new();
        for entry in fs::read_dir(self.folder.path()).expect("the folder").flatten() {
            if entry.file_name().to_string_lossy().starts_with("record.") {
                let record = fs::read_to_string(entry.path()).expect("a record");
                ended.extend(record.lines().filter_map(|line| end_of(line, path)));
            }
        }
        ended.sort_by(f64::total_cmp);
        ended
    }
}

/// The end of `1795983541.391480 fdatasync(3</tmp/log.db-wal>) = 0 <0.003944>`: its start plus its duration.
fn end_of(line: &str, path: &str) -> Option<f64> {
    let (began, call) = line.split_once(' ')?;
    let (call, result) = call.split_once(" = ")?;
    let lasted = result.strip_prefix("0 <")?.strip_suffix('>')?;
    call.contains(path).then_some(())?;
    Some(began.parse::<f64>().ok()? + lasted.parse::<f64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::end_of;

    #[test]
    fn only_a_successful_sync_of_the_file_counts() {
        let synced = "10.5 fdatasync(3</tmp/log.db-wal>) = 0 <0.250000>";
        assert_eq!(end_of(synced, "log.db-wal"), Some(10.75));
        assert_eq!(end_of(synced, "views.db"), None);
        let failed = "10.5 fsync(3</tmp/log.db-wal>)   = -1 EIO (Input/output error) <0.25>";
        assert_eq!(end_of(failed, "log.db-wal"), None);
    }
}
