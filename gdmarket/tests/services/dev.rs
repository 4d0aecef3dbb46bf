//! `gdmarket dev`: one command starts four services and what they use, restarts what dies, and leaves no process behind.

use gdmarket_testkit::{eventually, free_port};
use reqwest::Client;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gdmarket");
/// Everything that takes longer is a failure, also on a busy machine.
const SOON: Duration = Duration::from_mins(1);
/// How many ports in a row a market uses, that of the gateway included.
const PORTS: u16 = 8;
/// The parts of a market, of which some may be left out.
const PARTS: [&str; 8] = [
    "alarm",
    "gateway",
    "item",
    "nats",
    "payment",
    "payment-provider",
    "postgresql",
    "reservation",
];

/// Where a market is: a folder that the account of PostgreSQL may enter, and ports.
struct Place {
    root: TempDir,
    first_port: u16,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::Builder::new().prefix("gdmarket-dev-").tempdir().unwrap();
        fs::set_permissions(root.path(), Permissions::from_mode(0o711)).unwrap();
        let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
        let are_free = |first: &u16| {
            let last = first.checked_add(PORTS - 1);
            last.is_some_and(|last| (*first..=last).all(|port| is_free(&port)))
        };
        let first_port = (0..100).map(|_| free_port()).find(are_free);
        Self { root, first_port: first_port.unwrap() }
    }

    fn folder(&self) -> PathBuf {
        self.root.path().join("dev")
    }

    fn gateway_port(&self) -> u16 {
        self.first_port + PORTS - 1
    }

    fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(["dev", "--json", "--first-port", &self.first_port.to_string()])
            .args(["--gateway-port", &self.gateway_port().to_string(), "--dir"])
            .arg(folder)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, folder: &Path) -> Output {
        let run = self.command(folder).output();
        timeout(SOON, run).await.unwrap().unwrap()
    }

    /// The processes whose output goes to a file of the market: all of its parts, their own processes, and the keeper.
    fn processes(&self) -> Vec<String> {
        let folder = fs::canonicalize(self.folder()).unwrap();
        let is_here = |process: &PathBuf| {
            ["fd/1", "fd/2"].iter().any(|output| {
                fs::read_link(process.join(output)).is_ok_and(|file| file.starts_with(&folder))
            })
        };
        let all = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        let shown = |process: PathBuf| {
            let line = fs::read_to_string(process.join("cmdline")).unwrap_or_default();
            format!("{}: {}", process.display(), line.replace('\0', " "))
        };
        all.filter(is_here).map(shown).collect()
    }

    async fn no_process_is_left(&self) {
        eventually(SOON, || async {
            let left = self.processes();
            if left.is_empty() { Ok(()) } else { Err(left) }
        })
        .await;
    }
}

/// A running `gdmarket dev`.
struct DevProcess {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// The line of each part.
    parts: BTreeMap<String, Value>,
}

impl DevProcess {
    /// Starts it; returns when it has printed a line for each part, because all are ready.
    async fn start(mut command: Command, errors: &Path) -> Self {
        let errors_file = fs::File::create(errors).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(errors_file).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut process = Self { child, lines, parts: BTreeMap::new() };
        while process.parts.len() < PARTS.len() {
            let Some(line) = process.next_line().await else {
                panic!("it ended: {}", fs::read_to_string(errors).unwrap())
            };
            process.parts.insert(line["part"].as_str().unwrap().to_owned(), line);
        }
        process
    }

    async fn next_line(&mut self) -> Option<Value> {
        let line = timeout(SOON, self.lines.next_line()).await.unwrap().unwrap()?;
        Some(serde_json::from_str(&line).unwrap())
    }

    fn text(&self, part: &str, field: &str) -> String {
        self.parts[part][field].as_str().unwrap().to_owned()
    }

    fn pid(&self, part: &str) -> String {
        self.parts[part]["pid"].as_u64().unwrap().to_string()
    }

    async fn end(&mut self, signal: &str) -> Option<i32> {
        kill(signal, &self.child.id().unwrap().to_string()).await;
        timeout(SOON, self.child.wait()).await.unwrap().unwrap().code()
    }
}

async fn kill(signal: &str, pid: &str) {
    let sent = Command::new("kill").args(["-s", signal, pid]).status().await;
    assert!(sent.unwrap().success(), "kill -s {signal} {pid}");
}

/// Waits until an address answers like this.
async fn answers(url: &str, status: u16, field: &str, value: &Value) {
    eventually(SOON, || async {
        let answer = Client::new().get(url).send().await.map_err(|error| error.to_string())?;
        let found = answer.status().as_u16();
        let body: Value = answer.json().await.map_err(|error| error.to_string())?;
        if found == status && body[field] == *value {
            Ok(())
        } else {
            Err(format!("{found} {body}"))
        }
    })
    .await;
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The lines name all parts; what is secret is for its owner alone.
fn check_parts(place: &Place, market: &DevProcess) {
    assert_eq!(market.parts.keys().collect::<Vec<_>>(), PARTS.iter().collect::<Vec<_>>());
    for (part, line) in &market.parts {
        assert!(line["pid"].is_u64() && line["data"].is_string(), "{line}");
        assert!(Path::new(&market.text(part, "log")).is_file(), "{line}");
    }
    for service in ["item", "reservation"] {
        assert!(market.text(service, "data").starts_with("postgres://"), "{:?}", market.parts);
    }
    for service in ["payment", "alarm"] {
        assert!(Path::new(&market.text(service, "data")).join("log.db").is_file());
    }
    for file in ["service-keys.toml", "item.toml", "postgresql/password"] {
        let mode = fs::metadata(place.folder().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

/// A second one is refused before it starts anything: on the same folder, and on the same ports.
async fn check_refusals(place: &Place) {
    let refused = place.run(&place.folder()).await;
    let text = stderr(&refused);
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(text.contains("belongs to another gdmarket dev") && text.contains("--dir"), "{text}");
    let other = place.root.path().join("other");
    let refused = place.run(&other).await;
    let text = stderr(&refused);
    assert_eq!(refused.status.code(), Some(3), "{text}");
    let taken = format!("127.0.0.1:{} (item) is taken by another program", place.first_port);
    assert!(text.contains(&taken) && text.contains("(gateway)"), "{text}");
    assert!(text.contains("--first-port"), "{text}");
    assert!(!other.join("postgresql").exists(), "something was started");
}

/// A whole rental, the requests of the specification, over all services.
async fn rent(gateway: &str) {
    let rental = Command::new(PROGRAM).args(["demo", "--json", "--url", gateway]).output();
    let rental = timeout(SOON, rental).await.unwrap().unwrap();
    let steps = String::from_utf8_lossy(&rental.stdout);
    assert!(rental.status.success(), "{steps}{}", stderr(&rental));
    is_completed(gateway).await;
}

/// The reservation of the rental is there, in the state in which it ended.
async fn is_completed(address: &str) {
    answers(&format!("{address}/reservations/1"), 200, "status", &json!("Completed")).await;
}

/// A killed service is started again, with a line of its new process.
async fn check_restart(market: &mut DevProcess, errors: &Path) {
    let (dead, url) = (market.pid("reservation"), market.text("reservation", "address"));
    kill("KILL", &dead).await;
    let line = market.next_line().await.unwrap();
    assert_eq!((&line["part"], &line["address"]), (&json!("reservation"), &json!(url)), "{line}");
    assert_ne!(line["pid"].as_u64().unwrap().to_string(), dead);
    let notes = fs::read_to_string(errors).unwrap();
    assert!(notes.contains("reservation: it ended with signal: 9"), "{notes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn market_of_four_services_starts_restarts_and_ends_with_one_command() {
    let place = Place::new();
    let errors = place.root.path().join("errors");
    let mut market = DevProcess::start(place.command(&place.folder()), &errors).await;
    check_parts(&place, &market);
    check_refusals(&place).await;
    let gateway = market.text("gateway", "address");
    rent(&gateway).await;
    check_restart(&mut market, &errors).await;
    is_completed(&gateway).await;
    assert_eq!(market.end("INT").await, Some(0), "{}", fs::read_to_string(&errors).unwrap());
    assert_eq!(place.processes(), [""; 0], "processes that outlive Ctrl-C");

    // The next start has the same data, also without the programs of the path.
    let mut command = place.command(&place.folder());
    command.env("PATH", "");
    let mut market = DevProcess::start(command, &errors).await;
    let left_out = &market.parts["gateway"];
    assert!(left_out["pid"].is_null() && left_out["leftOut"].is_string(), "{left_out}");
    assert!(left_out["next"].as_str().unwrap().starts_with("apt-get install "), "{left_out}");
    is_completed(&market.text("reservation", "address")).await;
    assert!(place.processes().len() > PARTS.len());
    assert_eq!(market.end("KILL").await, None);
    place.no_process_is_left().await;
}

#[tokio::test]
async fn ports_that_don_t_fit_together_are_refused_as_usage() {
    let place = Place::new();
    for (flag, port) in [("--first-port", "65530"), ("--gateway-port", "8087")] {
        let mut command = Command::new(PROGRAM);
        command.args(["dev", flag, port, "--dir"]).arg(place.folder());
        let refused = timeout(SOON, command.output()).await.unwrap().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
        assert!(stderr(&refused).contains(flag), "{}", stderr(&refused));
    }
    assert!(!place.folder().exists());
}
