//! `PgBouncer` in front of a test's own server.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::environment::{Account, free_port};
use crate::eventually::eventually;
use crate::pg_cluster::PgCluster;
use crate::test_db::TestDb;

const STARTS_WITHIN: Duration = Duration::from_secs(10);

/// A running `PgBouncer` on the loopback; it ends when this value is dropped.
#[derive(Debug)]
pub struct PgBouncer {
    port: u16,
    folder: TempDir,
}

impl PgBouncer {
    /// Starts one in front of this server, with these lines in its section `[pgbouncer]`.
    pub async fn before(cluster: &PgCluster, settings: &str) -> Self {
        let account = Account::unprivileged();
        let folder = tempfile::Builder::new().prefix("gdmarket-pooler-").tempdir();
        let folder = folder.expect("a temporary folder");
        let (port, server) = (free_port(), cluster.port());
        let place = folder.path().display();
        let configuration = format!(
            "[databases]\n* = host=127.0.0.1 port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {place}/users\n\
             logfile = {place}/log\npidfile = {place}/pid\n\
             ignore_startup_parameters = extra_float_digits\n{settings}\n"
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, configuration).expect("the configuration");
        std::fs::write(folder.path().join("users"), "\"postgres\" \"\"\n").expect("the users");
        account.give(folder.path());
        let started = account.run(&program(), &["-d", &file.display().to_string()]);
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        let pooler = Self { port, folder };
        eventually(STARTS_WITHIN, || async {
            TcpStream::connect(("127.0.0.1", port)).map(drop).map_err(|error| error.to_string())
        })
        .await;
        pooler
    }

    /// The URL of a database of the server, through the pooler.
    pub fn url(&self, db: &TestDb) -> String {
        let (_, name) = db.url().rsplit_once('/').expect("a database's name");
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let pid = std::fs::read_to_string(self.folder.path().join("pid")).unwrap_or_default();
        if !pid.trim().is_empty() {
            drop(Command::new("kill").args(["-s", "KILL", pid.trim()]).status());
        }
    }
}

/// Finds the program, which Debian installs where only root has it on the path.
fn program() -> PathBuf {
    let places = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"];
    let found = places.into_iter().map(PathBuf::from).find(|place| place.is_file());
    found.expect("PgBouncer; type: apt-get install pgbouncer")
}
