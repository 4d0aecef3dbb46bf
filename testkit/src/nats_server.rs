//! A NATS server with JetStream for one test: killed, restarted, emptied.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use crate::environment::{free_port, variable};
use crate::eventually::eventually;
use crate::http_probe::get_status;

/// The variable with the program to start; without it, `nats-server` of the path is started.
const NATS_SERVER: &str = "GDMARKET_TEST_NATS_SERVER";
const STARTS_WITHIN: Duration = Duration::from_secs(20);
/// The number of ports that are tried while other programs take the free ones first.
const PORT_ATTEMPTS: usize = 5;

/// A running server on the loopback, with a folder of its own; it ends when this value is dropped.
#[derive(Debug)]
pub struct NatsServer {
    port: u16,
    monitoring_port: u16,
    arguments: Vec<String>,
    folder: TempDir,
    child: Option<Child>,
}

impl NatsServer {
    /// Starts a server that anybody on this machine may use.
    ///
    /// # Panics
    /// When it doesn't become ready; the message contains its log.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// As [`NatsServer::start`], with these further arguments of its command line.
    ///
    /// # Panics
    /// As [`NatsServer::start`].
    pub async fn start_with(arguments: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("gdmarket-nats-").tempdir();
        let mut server = Self {
            port: 0,
            monitoring_port: 0,
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            folder: folder.expect("a temporary folder"),
            child: None,
        };
        for _ in 0..PORT_ATTEMPTS {
            (server.port, server.monitoring_port) = (free_port(), free_port());
            if server.try_start().await {
                return server;
            }
        }
        panic!("nats-server doesn't start: {}", server.log())
    }

    /// Whether the program can be started, for a benchmark that does without.
    pub fn is_installed() -> bool {
        let program = variable(NATS_SERVER).unwrap_or_else(program);
        let asked = Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        asked.is_ok_and(|status| status.success())
    }

    /// Its address, for `nats.url`.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its port, which stays the same after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process number while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// What it has reported so far, of all its starts.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Kills the process as `kill -9` does; returns when it is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("killing nats-server");
            child.wait().expect("the end of nats-server");
        }
    }

    /// Starts it again with the same port and folder, after a kill where it still runs.
    ///
    /// # Panics
    /// When it doesn't become ready.
    pub async fn restart(&mut self) {
        self.kill();
        assert!(self.try_start().await, "nats-server doesn't start again: {}", self.log());
    }

    /// Kills it and deletes everything that JetStream has stored.
    pub fn wipe(&mut self) {
        self.kill();
        let store = self.store_folder();
        if store.exists() {
            std::fs::remove_dir_all(store).expect("deleting the streams");
        }
    }

    /// Whether it became ready; not if it ended, since another program had its port.
    async fn try_start(&mut self) -> bool {
        let program = variable(NATS_SERVER).unwrap_or_else(program);
        let mut command = Command::new(&program);
        command
            .args(["--addr", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--http_port", &self.monitoring_port.to_string()])
            .arg("--jetstream")
            .arg("--store_dir")
            .arg(self.store_folder())
            .arg("--log")
            .arg(self.log_file())
            .args(&self.arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().expect("starting nats-server");
        let (port, child) = (self.monitoring_port, Mutex::new(child));
        let is_ready = eventually(STARTS_WITHIN, || async {
            let ended = child.lock().unwrap_or_else(PoisonError::into_inner).try_wait();
            if matches!(ended, Ok(Some(_))) {
                return Ok(false);
            }
            match get_status(port, "/healthz").await {
                Ok(200) => Ok(true),
                seen => Err(seen),
            }
        })
        .await;
        self.child = Some(child.into_inner().unwrap_or_else(PoisonError::into_inner));
        is_ready
    }

    fn store_folder(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("nats.log")
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Finds the program, which Debian installs where only root has it on the path.
fn program() -> String {
    let path = variable("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let found = places.map(|folder| folder.join("nats-server")).find(|place| place.is_file());
    let found =
        found.expect("nats-server; type: apt-get install --no-install-recommends nats-server");
    found.display().to_string()
}
