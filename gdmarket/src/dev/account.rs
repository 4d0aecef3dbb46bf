//! The account that PostgreSQL and nginx run as. PostgreSQL refuses root, so for root it is an account without rights.

use crate::output::{Exit, Failure};
use rustix::process::geteuid;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;

/// The accounts that are looked for, the best one first.
const NAMES: [&str; 2] = ["postgres", "nobody"];
/// The file with the accounts of the system. Those of packages are there, whatever directory service people are in.
const ACCOUNTS_FILE: &str = "/etc/passwd";
/// The right of all users to enter a folder.
const ENTER: u32 = 0o001;

/// An account of the system without rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SystemAccount {
    pub(super) name: &'static str,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl SystemAccount {
    /// The account to use: none for an ordinary user, whose own does.
    pub(super) fn for_servers() -> Result<Option<Self>, Failure> {
        if !geteuid().is_root() {
            return Ok(None);
        }
        let accounts = fs::read_to_string(ACCOUNTS_FILE).unwrap_or_default();
        let found = NAMES.iter().find_map(|name| Self::named(name, &accounts));
        let missing = || {
            Failure::new(
                Exit::Failed,
                "PostgreSQL refuses to run as root, and there is no account postgres or nobody",
            )
            .next("type: useradd --system postgres; or run gdmarket dev as an ordinary user")
        };
        found.map(Some).ok_or_else(missing)
    }

    /// The account with this name in a text like that of `/etc/passwd`.
    fn named(name: &'static str, accounts: &str) -> Option<Self> {
        accounts.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(name)).then_some(())?;
            let mut numbers = fields.skip(1).map(str::parse);
            let (uid, gid) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
            Some(Self { name, uid, gid })
        })
    }

    /// Hands a file or folder over to this account.
    pub(super) fn give(self, path: &Path) -> io::Result<()> {
        chown(path, Some(self.uid), Some(self.gid))
    }

    /// Refuses a folder that this account can't enter, or that is in one.
    pub(super) fn require_entry(self, folder: &Path) -> Result<(), Failure> {
        let may_enter = |folder: &&Path| {
            fs::metadata(folder)
                .is_ok_and(|found| found.uid() == self.uid || found.mode() & ENTER != 0)
        };
        let Some(closed) = folder.ancestors().find(|folder| !may_enter(folder)) else {
            return Ok(());
        };
        let message = format!(
            "PostgreSQL refuses to run as root, and the account {} can't enter {}",
            self.name,
            closed.display()
        );
        Err(Failure::new(Exit::Failed, message)
            .next("name a folder that all may enter: gdmarket dev --dir /var/tmp/gdmarket-dev"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_is_read_from_the_systems_file() {
        let accounts = "root:x:0:0::/root:/bin/sh\nposter:x:7:7::/:/bin/sh\npostgres:x:101:102:PostgreSQL:/x:/bin/sh\n";
        let found = SystemAccount::named("postgres", accounts).unwrap();
        assert_eq!((found.uid, found.gid), (101, 102));
        assert_eq!(SystemAccount::named("nobody", accounts), None);
    }

    #[test]
    fn closed_folder_is_named() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("dev");
        fs::create_dir(&inside).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let account = SystemAccount { name: "other", uid: u32::MAX, gid: u32::MAX };
        let refused = account.require_entry(&inside).unwrap_err();
        assert!(refused.message.ends_with(&folder.path().display().to_string()), "{refused:?}");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        assert_eq!(account.require_entry(&inside), Ok(()));
    }
}
