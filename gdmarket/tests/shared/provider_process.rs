//! The stand-in for a payment provider as a process: started on a free port, directed, killed and restarted, its
//! ledger read.

use gdmarket_domain::{Money, PaymentNo};
use gdmarket_simulators::LedgerEntry;
use gdmarket_testkit::ServerOptions;
use reqwest::Client;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

pub(crate) const PROVIDER: &str = env!("CARGO_BIN_EXE_gdmarket-payment-provider");

/// A running provider. Dropping it kills it; its ledger ends with it.
pub(crate) struct ProviderProcess {
    program: PathBuf,
    flags: Vec<String>,
    folder: TempDir,
    listen: String,
    child: Option<Child>,
    client: Client,
}

impl ProviderProcess {
    pub(crate) async fn start(flags: &[&str]) -> Self {
        Self::start_program(Path::new(PROVIDER), flags).await
    }

    /// As [`ProviderProcess::start`], with a program that runs the provider's.
    pub(crate) async fn start_program(program: &Path, flags: &[&str]) -> Self {
        let mut provider = Self {
            program: program.to_owned(),
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
    pub(crate) async fn restart(&mut self) {
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
    pub(crate) async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.expect("killing the payment provider");
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.listen)
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("ledger.ndjson")
    }

    /// A market that pays here.
    pub(crate) fn used_by(&self, market: ServerOptions) -> ServerOptions {
        market.variable("GDMARKET__PAYMENT__PROVIDER_URL", &self.url())
    }

    /// Sets how the provider behaves from now on.
    pub(crate) async fn behave(&self, behaviour: Value) {
        let url = format!("{}/behaviour", self.url());
        let answer = self.client.put(url).body(behaviour.to_string()).send().await;
        let answer = answer.expect("an answer of the payment provider");
        assert_eq!(answer.status(), 200, "{behaviour}");
    }

    pub(crate) async fn shown(&self, path: &str) -> Value {
        let answer = self.client.get(format!("{}{path}", self.url())).send().await;
        answer.expect("an answer of the payment provider").json().await.expect("JSON")
    }

    /// How often an operation was called since the start.
    pub(crate) async fn calls(&self, operation: &str) -> u64 {
        self.shown("/calls").await[operation].as_u64().unwrap_or_default()
    }

    /// All charges and refunds, in order. What was declined is no entry.
    pub(crate) async fn ledger(&self) -> Vec<LedgerEntry> {
        let ledger = self.shown("/ledger").await;
        let entries = ledger["entries"].as_array().expect("entries").iter();
        entries.filter_map(entry).collect()
    }
}

fn entry(shown: &Value) -> Option<LedgerEntry> {
    let text = |field: &str| shown[field].as_str().expect("a text");
    let key = text("paymentId").parse().expect("a key");
    match text("kind") {
        "charge" => {
            let number = text("orderId").strip_prefix("gdmarket-").expect("an order");
            Some(LedgerEntry::Charge {
                key,
                payment_no: PaymentNo::new(number.parse().expect("a number")).expect("a number"),
                amount: Money::price(shown["amount"].as_i64().expect("an amount"))
                    .expect("a price"),
            })
        }
        "refund" => Some(LedgerEntry::Refund { key }),
        _ => None,
    }
}
