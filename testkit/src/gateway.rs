//! The shipped gateway: the configuration of `deploy/gateway/render` under Debian's nginx, as an account without rights.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use crate::environment::{Account, free_port};
use crate::eventually::eventually;
use crate::http_probe::get_status;

const STARTS_WITHIN: Duration = Duration::from_secs(20);
/// The number of ports that are tried while other programs take the free one first.
const PORT_ATTEMPTS: usize = 5;

/// The addresses of the four services, as `ADDRESS:PORT`; several replicas of one are separated by commas.
#[derive(Clone, Debug)]
pub struct ServiceAddresses {
    /// The item service.
    pub item: String,
    /// The reservation service.
    pub reservation: String,
    /// The payment service.
    pub payment: String,
    /// The alarm service.
    pub alarm: String,
}

impl ServiceAddresses {
    /// One process that is all four services.
    pub fn all_at(port: u16) -> Self {
        let address = format!("127.0.0.1:{port}");
        Self {
            item: address.clone(),
            reservation: address.clone(),
            payment: address.clone(),
            alarm: address,
        }
    }
}

/// A running gateway on the loopback; it ends when this value is dropped.
#[derive(Debug)]
pub struct Gateway {
    port: u16,
    folder: TempDir,
    process: Child,
}

impl Gateway {
    /// Starts one in front of these services, with these options of `deploy/gateway/render`.
    ///
    /// # Panics
    /// When it doesn't become ready; the message contains nginx's log.
    pub async fn before(services: &ServiceAddresses, options: &[&str]) -> Self {
        let mut seen = String::new();
        for _ in 0..PORT_ATTEMPTS {
            let mut gateway = Self::launch(services, options);
            match gateway.wait_until_ready().await {
                Ok(()) => return gateway,
                Err(log) if log.contains("Address already in use") => seen = log,
                Err(log) => panic!("the gateway ended: {log}"),
            }
        }
        panic!("every free port was taken by another program first: {seen}")
    }

    fn launch(services: &ServiceAddresses, options: &[&str]) -> Self {
        let account = Account::unprivileged();
        let folder = tempfile::Builder::new().prefix("gdmarket-gateway-").tempdir();
        let folder = folder.expect("a temporary folder");
        let port = free_port();
        let rendered = Command::new(render())
            .arg("--folder")
            .arg(folder.path())
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .args(["--item", &services.item, "--reservation", &services.reservation])
            .args(["--payment", &services.payment, "--alarm", &services.alarm])
            .args(options)
            .output()
            .expect("starting deploy/gateway/render");
        assert!(rendered.status.success(), "{}", String::from_utf8_lossy(&rendered.stderr));
        account.give(folder.path());
        let process = account
            .command(&nginx())
            .arg("-p")
            .arg(folder.path())
            .args(["-c", "nginx.conf", "-e", "error.log"])
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("starting nginx");
        Self { port, folder, process }
    }

    /// Waits until it answers; nginx's log if it ends instead.
    async fn wait_until_ready(&mut self) -> Result<(), String> {
        let port = self.port;
        let process = Mutex::new(&mut self.process);
        let is_ready = eventually(STARTS_WITHIN, || async {
            let ended = process.lock().unwrap_or_else(PoisonError::into_inner).try_wait();
            if matches!(ended, Ok(Some(_))) {
                return Ok(false);
            }
            match get_status(port, "/livez").await {
                Ok(200) => Ok(true),
                seen => Err(seen),
            }
        })
        .await;
        if is_ready { Ok(()) } else { Err(self.error_log()) }
    }

    /// The gateway's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The process number of nginx's first process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What nginx has reported so far.
    pub fn error_log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("error.log")).unwrap_or_default()
    }
}

impl Drop for Gateway {
    /// SIGTERM, since nginx's first process ends the others then.
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            let pid = self.process.id().to_string();
            drop(Command::new("kill").args(["-s", "TERM", &pid]).status());
            drop(self.process.wait());
        }
    }
}

fn render() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/gateway/render")
}

/// Finds the program, which Debian installs where only root has it on the path.
fn nginx() -> PathBuf {
    let places = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx"];
    let found = places.into_iter().map(PathBuf::from).find(|place| place.is_file());
    found.expect("nginx; type: apt-get install --no-install-recommends nginx")
}
