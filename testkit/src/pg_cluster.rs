//! A PostgreSQL server for one test, which may stop it. A test that leaves the server alone uses
//! [`TestDb::postgres`](crate::TestDb::postgres), which takes a tenth of the time.

use std::path::PathBuf;
use std::process::Output;

use tempfile::TempDir;

use crate::environment::{Account, free_port, postgres_programs};
use crate::syncs::Syncs;

/// A cluster in a temporary folder, on the loopback, with PostgreSQL's default durability.
#[derive(Debug)]
pub struct PgCluster {
    account: Account,
    programs: PathBuf,
    /// The program that is run instead of `postgres`, if any.
    server: Option<PathBuf>,
    port: u16,
    folder: TempDir,
}

/// The number of ports that are tried while other programs take the free one first.
const PORT_ATTEMPTS: usize = 5;

impl PgCluster {
    /// Creates the cluster and starts it; it takes connections when this returns.
    pub fn start_new() -> Self {
        Self::start_as(None)
    }

    /// Like [`start_new`](Self::start_new), with every sync recorded.
    pub fn start_watched(syncs: &Syncs) -> Self {
        Self::start_as(Some(syncs.watching(&postgres_programs().join("postgres"))))
    }

    fn start_as(server: Option<PathBuf>) -> Self {
        let account = Account::unprivileged();
        let folder = tempfile::Builder::new().prefix("gdmarket-pg-").tempdir();
        let folder = folder.expect("a temporary folder");
        account.give(folder.path());
        let mut cluster = Self { account, programs: postgres_programs(), server, port: 0, folder };
        let data = cluster.data();
        let made = cluster.run(
            "initdb",
            &[
                "-D",
                &data,
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-instructions",
                "--data-checksums",
            ],
        );
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        for _ in 0..PORT_ATTEMPTS {
            cluster.port = free_port();
            if cluster.try_start() {
                return cluster;
            }
        }
        panic!("PostgreSQL doesn't start: {}", cluster.log())
    }

    /// A server URL, good for [`TestDb::on_server`](crate::TestDb::on_server).
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// The server's port.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the server's files.
    pub fn data_folder(&self) -> PathBuf {
        PathBuf::from(self.data())
    }

    /// The file of a table of this database, which must be on this server. The server must run.
    pub async fn table_file(&self, db: &crate::TestDb, table: &str) -> PathBuf {
        let database = "SELECT oid::bigint FROM pg_database WHERE datname = current_database()";
        let database = db.log_number(database).await;
        let file = format!("SELECT pg_relation_filenode('{table}')::bigint");
        let file = db.log_number(&file).await;
        self.data_folder().join(format!("base/{database}/{file}"))
    }

    /// One of PostgreSQL's own programs, `pgbench` for example.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// Starts the stopped server again on the same port.
    pub fn start(&self) {
        assert!(self.try_start(), "PostgreSQL doesn't start again: {}", self.log());
    }

    /// Stops the server cleanly: connections are cut, everything is written.
    pub fn stop(&self) {
        self.stop_by("fast");
    }

    /// Stops the server as a crash would; the next start recovers from its write-ahead log.
    pub fn crash(&self) {
        self.stop_by("immediate");
    }

    fn stop_by(&self, mode: &str) {
        let stopped = self.run("pg_ctl", &["-D", &self.data(), "-m", mode, "-w", "stop"]);
        assert!(stopped.status.success(), "PostgreSQL doesn't stop: {}", self.log());
    }

    fn try_start(&self) -> bool {
        let folder = self.folder.path().display();
        let options = format!(
            "-p {} -k {folder} -c listen_addresses=127.0.0.1 -c max_connections=200",
            self.port
        );
        let log = format!("{folder}/server.log");
        let data = self.data();
        let mut arguments = vec!["-D", &data, "-l", &log, "-o", &options, "-w"];
        let server = self.server.as_ref().map(|server| server.display().to_string());
        arguments.extend(server.iter().flat_map(|server| ["-p", server]));
        arguments.push("start");
        self.run("pg_ctl", &arguments).status.success()
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        self.account.run(&self.programs.join(program), arguments)
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }
}

impl Drop for PgCluster {
    fn drop(&mut self) {
        // A server that is stopped already makes this fail, which is fine.
        drop(self.run("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"]));
    }
}
