//! The machine that tests run on: variables, a free port, PostgreSQL's programs, and an account that
//! PostgreSQL can run as.

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The variable with a PostgreSQL server on which tests may create and drop databases.
pub const TEST_DATABASE_URL: &str = "GDMARKET_TEST_DATABASE_URL";

/// The variable with the factor that makes fault runs longer, set by `scripts/test --long`.
const LONG: &str = "GDMARKET_TEST_LONG";

/// The variable with the seed of a run's random choices.
const SEED: &str = "GDMARKET_TEST_SEED";

/// The variable with a file for notes, set by `scripts/test`.
const NOTES: &str = "GDMARKET_TEST_NOTES";

/// Writes a note that is shown after all tests: a test was left out for missing rights, or it did run.
pub fn note(line: &str) {
    use std::io::Write as _;
    let Some(file) = variable(NOTES) else { return };
    let notes = std::fs::File::options().create(true).append(true).open(file);
    let written = notes.and_then(|mut notes| notes.write_all(format!("{line}\n").as_bytes()));
    written.expect("writing a note");
}

/// The number of repetitions of a fault run: `everyday`, more on a long run.
pub fn times(everyday: usize) -> usize {
    let factor = variable(LONG).map_or(Ok(1), |factor| factor.parse::<usize>());
    everyday * factor.unwrap_or_else(|_| panic!("{LONG} must be a number, 10 for example"))
}

/// The size of the input of a fault run.
pub fn size(everyday: usize, on_long_runs: usize) -> usize {
    if times(1) == 1 { everyday } else { on_long_runs }
}

/// The seed of a fault run's random choices: a new number each time, or the given one, so that a failed run
/// can be repeated. The run prints it.
pub fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    let fresh = || RandomState::new().hash_one(std::process::id());
    let given = variable(SEED).map(|seed| seed.parse::<u64>());
    given.map_or_else(fresh, |seed| seed.unwrap_or_else(|_| panic!("{SEED} must be a number")))
}

/// The variable's value, or `None` when it is absent or empty.
#[expect(clippy::disallowed_methods, reason = "tests have no configuration but their environment")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A port of the loopback that is free at this moment.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .expect("a free port on the loopback")
        .port()
}

/// The folder of `initdb` and `pg_ctl`: the one of `pg_config`, one on the path, or Debian's newest.
pub(crate) fn postgres_programs() -> PathBuf {
    let output = Command::new("pg_config").arg("--bindir").output().ok();
    let configured =
        output.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let path = variable("PATH").unwrap_or_default();
    let mut debian: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    debian.sort_by_key(|folder| std::cmp::Reverse(major_version(folder)));
    configured
        .into_iter()
        .chain(std::env::split_paths(&path))
        .chain(debian)
        .find(|folder| folder.join("initdb").is_file() && folder.join("pg_ctl").is_file())
        .expect("PostgreSQL's initdb and pg_ctl; type: apt-get install postgresql")
}

fn major_version(bin: &Path) -> u32 {
    let version = bin.parent().and_then(Path::file_name).map(|name| name.to_string_lossy());
    version.and_then(|name| name.parse().ok()).unwrap_or(0)
}

/// The account that runs a helper's PostgreSQL: the tester's own, or, for root, one without rights.
#[derive(Clone, Debug)]
pub enum Account {
    /// The tests run as an ordinary account.
    Own,
    /// The tests run as root, which `initdb` refuses, so another account is used.
    Other {
        /// The account's name.
        name: &'static str,
        /// Its user number.
        uid: u32,
        /// Its group number.
        gid: u32,
    },
}

impl Account {
    /// Chooses `postgres`, else `nobody`, when the tests run as root.
    pub fn unprivileged() -> Self {
        let own = std::fs::metadata("/proc/self").map(|process| process.uid());
        if own.is_ok_and(|uid| uid != 0) {
            return Self::Own;
        }
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| {
                let number = |flag| {
                    let output = Command::new("id").args([flag, name]).output().ok()?;
                    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
                };
                Some(Self::Other { name, uid: number("-u")?, gid: number("-g")? })
            })
            .expect("an account named postgres or nobody to run PostgreSQL as")
    }

    /// Hands a folder over to the account.
    pub(crate) fn give(&self, folder: &Path) {
        if let Self::Other { uid, gid, .. } = self {
            chown(folder, Some(*uid), Some(*gid)).expect("handing the folder over");
        }
    }

    /// A program that runs as this account.
    pub(crate) fn command(&self, program: &Path) -> Command {
        match self {
            Self::Own => Command::new(program),
            Self::Other { uid, gid, .. } => {
                let mut command = Command::new("setpriv");
                command
                    .arg(format!("--reuid={uid}"))
                    .arg(format!("--regid={gid}"))
                    .args(["--clear-groups", "--"])
                    .arg(program);
                command
            }
        }
    }

    /// Runs a program as this account, from a folder that it may enter, and returns its output.
    pub(crate) fn run(&self, program: &Path, arguments: &[&str]) -> Output {
        let mut command = self.command(program);
        command.args(arguments).current_dir("/").output().expect("starting PostgreSQL's program")
    }
}
