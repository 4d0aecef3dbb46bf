//! The stand-in for a payment provider as a process: started on a free port, directed, killed and restarted, its
//! ledger read.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use reqwest::Client;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::checkers::ProviderEntry;
use crate::server::ServerOptions;

/// A running provider. Dropping it kills it; its ledger ends with it.
#[derive(Debug)]
pub struct ProviderProcess {
    program: PathBuf,
    flags: Vec<String>,
    folder: TempDir,
    listen: String,
    child: Option<Child>,
    client: Client,
}

impl ProviderProcess {
    /// The variable that names the provider's address to a market.
    pub const VARIABLE: &'static str = "GDMARKET__PAYMENT__PROVIDER_URL";

    /// Starts this program, `env!("CARGO_BIN_EXE_gdmarket-payment-provider")` in the tests of `gdmarket`.
    pub async fn start(program: impl AsRef<Path>, flags: &[&str]) -> Self {
        let mut provider = Self {
            program: program.as_ref().to_owned(),
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            folder: tempfile::tempdir().expect("a temporary folder"),
            listen: "127.0.0.1:0".to_owned(),
            child: None,
            client: Client::new(),
        };
        provider.restart().await;
        provider
    }

    /// Kills the process if it runs, and starts it with the same address, ledger and flags.
    pub async fn restart(&mut self) {
        self.kill().await;
        let mut child = Command::new(&self.program)
            .args(["--listen", &self.listen, "--dir"])
            .arg(self.folder.path())
            .args(&self.flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("starting the payment provider");
        let mut lines = BufReader::new(child.stdout.take().expect("its stdout")).lines();
        let line = lines.next_line().await.expect("its output").expect("its first line");
        let address = line.split("http://").nth(1).and_then(|rest| rest.split(' ').next());
        address.expect("its address").clone_into(&mut self.listen);
        self.child = Some(child);
    }

    /// Kills the process as `kill -9` does.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.expect("killing the payment provider");
        }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// The file of its ledger.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ledger.ndjson")
    }

    /// A market that pays here.
    #[must_use]
    pub fn used_by(&self, market: ServerOptions) -> ServerOptions {
        market.variable(Self::VARIABLE, &self.url())
    }

    /// Sets how the provider behaves from now on.
    pub async fn behave(&self, behaviour: Value) {
        let url = format!("{}/behaviour", self.url());
        let answer = self.client.put(url).body(behaviour.to_string()).send().await;
        let answer = answer.expect("an answer of the payment provider");
        assert_eq!(answer.status(), 200, "{behaviour}");
    }

    /// What it shows at one of its own addresses.
    pub async fn shown(&self, path: &str) -> Value {
        let answer = self.client.get(format!("{}{path}", self.url())).send().await;
        answer.expect("an answer of the payment provider").json().await.expect("JSON")
    }

    /// How often an operation was called since the start.
    pub async fn calls(&self, operation: &str) -> u64 {
        let calls = self.shown("/calls").await;
        calls.get(operation).and_then(Value::as_u64).unwrap_or_default()
    }

    /// The entries of its ledger as it shows them, in order.
    pub async fn entries(&self) -> Vec<Value> {
        let ledger = self.shown("/ledger").await;
        ledger.get("entries").and_then(Value::as_array).expect("entries").clone()
    }

    /// All charges and refunds, in order. What was declined is no entry.
    pub async fn ledger(&self) -> Vec<ProviderEntry> {
        self.entries().await.iter().filter_map(ProviderEntry::shown).collect()
    }
}
