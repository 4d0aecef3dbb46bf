//! The PostgreSQL cluster of the item and the reservation service. All connections need the password of its one user.

use super::account::SystemAccount;
use super::folder::{DevFolder, failure};
use super::launch::Launch;
use super::part::{DevPart, PartFacts};
use super::readiness::Readiness;
use crate::output::{Exit, Failure};
use rustix::process::Signal;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The user of all databases.
const USER: &str = "gdmarket";
/// The subfolder, and in it the one that belongs to the account.
const FOLDER: &str = "postgresql";
const CLUSTER: &str = "cluster";
/// The file with the user's password.
const PASSWORD: &str = "postgresql/password";
/// How long the started server may refuse connections while it recovers.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The cluster, whose server may run or not.
#[derive(Debug, Clone)]
pub(super) struct DevCluster {
    programs: PathBuf,
    account: Option<SystemAccount>,
    port: u16,
    password: String,
    data: PathBuf,
}

impl DevCluster {
    /// Whether the folder has a cluster.
    pub(super) fn is_in(folder: &DevFolder) -> bool {
        folder.at(FOLDER).join(CLUSTER).join("data").is_dir()
    }

    /// Creates the cluster, unless the folder has one.
    pub(super) async fn create(
        programs: &Path,
        account: Option<SystemAccount>,
        folder: &DevFolder,
        port: u16,
        group: i32,
    ) -> Result<Self, Failure> {
        let own = folder.handed_over(FOLDER, CLUSTER, account)?;
        let password = folder.secret(PASSWORD)?;
        let data = own.join("data");
        let cluster = Self { programs: programs.to_owned(), account, port, password, data };
        if !cluster.data.is_dir() {
            cluster.initialise(&own.join("data.new"), &folder.at(PASSWORD), group).await?;
        }
        Ok(cluster)
    }

    /// Creates the files under another name first: after an interruption they are created again.
    async fn initialise(&self, new: &Path, password: &Path, group: i32) -> Result<(), Failure> {
        if new.exists() {
            fs::remove_dir_all(new).map_err(|error| failure(new, &error))?;
        }
        if let Some(account) = self.account {
            account.give(password).map_err(|error| failure(password, &error))?;
        }
        let made = self
            .launch("initdb")
            .arg("--pgdata")
            .arg(new)
            .args(["--username", USER, "--auth", "scram-sha-256", "--encoding", "UTF8"])
            .args(["--locale", "C", "--data-checksums", "--no-instructions", "--pwfile"])
            .arg(password)
            .run(group)
            .await;
        made.map_err(|error| Failure::new(Exit::Failed, error))?;
        fs::rename(new, &self.data).map_err(|error| failure(&self.data, &error))
    }

    fn launch(&self, program: &str) -> Launch {
        Launch::new(&self.programs.join(program)).run_by(self.account).variable("LC_ALL", "C")
    }

    /// The server.
    pub(super) fn part(&self, log: PathBuf) -> DevPart {
        let port = self.port.to_string();
        let launch = self
            .launch("postgres")
            .arg("-D")
            .arg(&self.data)
            .args(["-p", &port, "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories="]);
        DevPart {
            facts: PartFacts {
                name: "postgresql",
                address: format!("postgres://{USER}@127.0.0.1:{port}"),
                data: self.data.display().to_string(),
                settings: None,
                log,
            },
            launch,
            readiness: Readiness::Port(self.port),
            // A fast shutdown, then an immediate one, after which the next start recovers.
            end_signals: [Signal::INT, Signal::QUIT],
        }
    }

    /// Creates a database in the running server, unless there is one. The server may still recover.
    pub(super) async fn create_database(&self, name: &str, group: i32) -> Result<(), Failure> {
        let port = self.port.to_string();
        let create = Launch::new(&self.programs.join("createdb"))
            .args(["--host", "127.0.0.1", "--port", &port, "--username", USER])
            .args(["--maintenance-db", "postgres", name])
            .variable("PGPASSWORD", self.password.as_str())
            .variable("LC_ALL", "C");
        let started = Instant::now();
        loop {
            match create.run(group).await {
                Ok(()) => return Ok(()),
                Err(error) if error.contains("already exists") => return Ok(()),
                Err(error) if started.elapsed() > RECOVERY_TIMEOUT => {
                    return Err(Failure::new(Exit::Failed, error));
                }
                Err(_) => sleep(POLL_INTERVAL).await,
            }
        }
    }

    /// The URL of a database, with the password.
    pub(super) fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// The URL of a database, to be shown.
    pub(super) fn shown_url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }
}
