//! The programs that the parts run: where each is, and what is missing.

use std::env;
use std::path::{Path, PathBuf};

/// Folders of servers that are often on the path of root only.
const SERVER_FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
/// Where Debian has a folder for each version of PostgreSQL.
const DEBIAN_POSTGRES: &str = "/usr/lib/postgresql";
/// The programs of PostgreSQL that are needed, all in one folder.
const POSTGRES_PROGRAMS: [&str; 3] = ["initdb", "postgres", "createdb"];
/// The program of the payment provider, which a build writes next to this program.
const PAYMENT_PROVIDER: &str = "gdmarket-payment-provider";

/// A part that is left out: what that means, and the command that changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LeftOut {
    pub(super) part: &'static str,
    pub(super) consequence: &'static str,
    pub(super) next: &'static str,
}

const NO_POSTGRES: LeftOut = LeftOut {
    part: "postgresql",
    consequence: "PostgreSQL isn't installed: all four services keep their data in SQLite",
    next: "apt-get install postgresql",
};
const NO_NATS: LeftOut = LeftOut {
    part: "nats",
    consequence: "NATS isn't installed: the services read each other's logs over HTTP, every second at the latest",
    next: "apt-get install nats-server",
};
const NO_PAYMENT_PROVIDER: LeftOut = LeftOut {
    part: "payment-provider",
    consequence: "gdmarket-payment-provider isn't next to this program: payments go to the gateway inside the payment \
                  service",
    next: "cargo build --release",
};
const NO_NGINX: LeftOut = LeftOut {
    part: "gateway",
    consequence: "nginx isn't installed: there is no gateway, and each service has a port of its own",
    next: "apt-get install nginx",
};
const NO_BASH: LeftOut = LeftOut {
    part: "gateway",
    consequence: "bash isn't installed, which writes nginx's configuration: there is no gateway, and each service has a \
                  port of its own",
    next: "apt-get install bash",
};

/// Where the programs are.
#[derive(Debug, Clone, Default)]
pub(super) struct DevPrograms {
    /// The folder of PostgreSQL's programs.
    pub(super) postgres: Option<PathBuf>,
    pub(super) nats: Option<PathBuf>,
    pub(super) payment_provider: Option<PathBuf>,
    pub(super) nginx: Option<PathBuf>,
    pub(super) bash: Option<PathBuf>,
}

impl DevPrograms {
    /// Looks on the path and where Debian installs servers. `own` is this program.
    pub(super) fn find(own: &Path) -> Self {
        let path = env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> =
            env::split_paths(&path).filter(|folder| folder.is_absolute()).collect();
        let folders = [folders, SERVER_FOLDERS.map(PathBuf::from).to_vec()].concat();
        Self::find_in(own, &folders, Path::new(DEBIAN_POSTGRES))
    }

    fn find_in(own: &Path, folders: &[PathBuf], postgres_versions: &Path) -> Self {
        let find =
            |name| folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file());
        Self {
            postgres: postgres(folders, postgres_versions),
            nats: find("nats-server"),
            payment_provider: Some(own.with_file_name(PAYMENT_PROVIDER))
                .filter(|file| file.is_file()),
            nginx: find("nginx"),
            bash: find("bash"),
        }
    }

    /// The parts that are left out because their program is missing.
    pub(super) fn left_out(&self) -> Vec<LeftOut> {
        let no_gateway = if self.nginx.is_some() { NO_BASH } else { NO_NGINX };
        [
            (self.postgres.is_some(), NO_POSTGRES),
            (self.nats.is_some(), NO_NATS),
            (self.payment_provider.is_some(), NO_PAYMENT_PROVIDER),
            (self.nginx.is_some() && self.bash.is_some(), no_gateway),
        ]
        .into_iter()
        .filter_map(|(is_here, left_out)| (!is_here).then_some(left_out))
        .collect()
    }
}

/// A folder with all programs of PostgreSQL: one on the path, or the newest version of Debian.
fn postgres(folders: &[PathBuf], versions: &Path) -> Option<PathBuf> {
    let mut debian: Vec<PathBuf> = std::fs::read_dir(versions)
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    debian.sort_by_key(|folder| std::cmp::Reverse(major_version(folder)));
    let is_whole =
        |folder: &&PathBuf| POSTGRES_PROGRAMS.iter().all(|program| folder.join(program).is_file());
    folders.iter().chain(&debian).find(is_whole).cloned()
}

fn major_version(bin: &Path) -> Option<u32> {
    bin.parent()?.file_name()?.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn touch(folder: &Path, names: &[&str]) {
        fs::create_dir_all(folder).unwrap();
        for name in names {
            fs::write(folder.join(name), "").unwrap();
        }
    }

    #[test]
    fn missing_programs_are_named_with_the_command_that_installs_them() {
        let nowhere = Path::new("/does/not/exist/gdmarket");
        let none = DevPrograms::find_in(nowhere, &[], nowhere);
        let left_out: Vec<_> = none.left_out().iter().map(|each| (each.part, each.next)).collect();
        assert_eq!(
            left_out,
            [
                ("postgresql", "apt-get install postgresql"),
                ("nats", "apt-get install nats-server"),
                ("payment-provider", "cargo build --release"),
                ("gateway", "apt-get install nginx"),
            ]
        );
    }

    #[test]
    fn programs_are_found_on_the_path_next_to_this_one_and_in_debians_newest_version() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        touch(&at("path"), &["nats-server", "nginx", "bash", "initdb"]);
        touch(&at("own"), &["gdmarket", PAYMENT_PROVIDER]);
        touch(&at("debian/9/bin"), &POSTGRES_PROGRAMS);
        touch(&at("debian/15/bin"), &POSTGRES_PROGRAMS);
        touch(&at("debian/17/bin"), &["createdb"]);
        let find =
            |folders: &[PathBuf]| DevPrograms::find_in(&at("own/gdmarket"), folders, &at("debian"));
        let found = find(&[at("path")]);
        assert_eq!(found.left_out(), []);
        assert_eq!(found.postgres, Some(at("debian/15/bin")));
        touch(&at("path"), &POSTGRES_PROGRAMS);
        assert_eq!(find(&[at("path")]).postgres, Some(at("path")));
        fs::remove_file(at("path/bash")).unwrap();
        assert_eq!(find(&[at("path")]).left_out(), [NO_BASH]);
    }
}
