//! The program `gdmarket-payment-provider`: the stand-in for a payment provider of `gdmarket-simulators`, with its flags.
//!
//! It is a program of this package, so that a build of `gdmarket` always has the provider of the same build next to it.

use clap::{Parser, ValueHint};
use gdmarket_simulators::payment_provider::{
    PaymentProvider, PaymentProviderOptions, ProviderBehaviour, ProviderFault, ProviderOperation,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// A stand-in for a payment provider: charges and refunds over HTTP, with a durable ledger and faults on request.
///
/// docs/payment-provider.md describes its interface. It moves no money.
#[derive(Debug, Parser)]
#[command(version)]
struct Flags {
    /// Address and port to listen on
    #[arg(long, default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// Folder of the ledger
    #[arg(long, default_value = "./gdmarket-payment-provider", value_hint = ValueHint::DirPath)]
    dir: PathBuf,
    /// File with the key that callers must send as a bearer token
    #[arg(long, value_hint = ValueHint::FilePath)]
    key_file: Option<PathBuf>,
    /// How long a call takes, in milliseconds
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
    /// How much longer it may take, at random
    #[arg(long, default_value_t = 0)]
    jitter_ms: u64,
    /// What goes wrong, `drop-after` for example; `--fault help` lists the names
    #[arg(long, default_value = "none", value_parser = named::<ProviderFault>)]
    fault: ProviderFault,
    /// The operations that meet the fault: confirm, cancel, find
    #[arg(
        long,
        default_value = "confirm,cancel",
        value_delimiter = ',',
        value_parser = named::<ProviderOperation>
    )]
    operations: Vec<ProviderOperation>,
    /// The share of their calls that meets it, 0 to 1
    #[arg(long, default_value_t = 1.0)]
    fault_rate: f64,
    /// The number of calls after which no call meets it any more
    #[arg(long)]
    fault_times: Option<u64>,
    /// How long an answer takes that is late, in milliseconds
    #[arg(long, default_value_t = ProviderBehaviour::default().late_ms)]
    late_ms: u64,
}

/// Reads a name as the JSON of the control endpoint has it; the error lists the names.
fn named<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(Value::from(text)).map_err(|error| error.to_string())
}

impl Flags {
    fn options(self) -> io::Result<PaymentProviderOptions> {
        let read = |file: PathBuf| {
            let text = std::fs::read_to_string(&file);
            text.map_err(|error| io::Error::other(format!("{}: {error}", file.display())))
        };
        let key = self.key_file.map(read).transpose()?.map(|text| text.trim_end().to_owned());
        if key.as_ref().is_some_and(String::is_empty) {
            return Err(io::Error::other("the key's file is empty"));
        }
        if key.is_none() && !self.listen.ip().is_loopback() {
            return Err(io::Error::other(format!(
                "{} is reachable from other machines: add --key-file, or listen on 127.0.0.1",
                self.listen
            )));
        }
        let behaviour = ProviderBehaviour {
            delay_ms: self.delay_ms,
            jitter_ms: self.jitter_ms,
            fault: self.fault,
            operations: self.operations,
            rate: self.fault_rate,
            times: self.fault_times,
            late_ms: self.late_ms,
        };
        Ok(PaymentProviderOptions { folder: self.dir, key, behaviour })
    }
}

fn main() -> ExitCode {
    let filter = EnvFilter::new("warn,gdmarket=info");
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = runtime.and_then(|runtime| runtime.block_on(serve(Flags::parse())));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(flags: Flags) -> io::Result<()> {
    let (listen, folder) = (flags.listen, flags.dir.clone());
    let options = flags.options()?;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| io::Error::other(format!("{listen}: {error}")))?;
    let in_folder = |error| io::Error::other(format!("{}: {error}", folder.display()));
    let provider = PaymentProvider::open(options).map_err(in_folder)?;
    let url = format!("http://{}", listener.local_addr()?);
    // A closed stdout is no failure of a server, which continues.
    drop(writeln!(
        io::stdout(),
        "the payment provider serves {url} (ledger in {})",
        folder.display()
    ));
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        error = provider.serve(listener) => Err(error),
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}
