//! `gdmarket serve`: binds the port, opens the log, serves until shutdown is requested.
//!
//! The port is bound first, so that a second server fails before it touches anything; requests that arrive before the
//! log is open wait at the startup gate.

use crate::compose::Market;
use crate::config::Config;
use crate::metrics::{self, register_metrics};
use crate::output::{Console, Exit, Failure};
use crate::printable;
use crate::runtime::runtime;
use crate::telemetry::{self, LogStyle};
use gdmarket_api::server::{self, Shutdown, Stage, StartupGate};
use serde_json::json;
use std::io::{self, ErrorKind, Write as _};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::timeout;

/// How often recorded samples are folded into the histograms.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);
/// How long tasks may still run when the program ends at once.
const ABORT_TIMEOUT: Duration = Duration::from_millis(200);

pub(super) const EXAMPLES: &str = "\
Examples:
  gdmarket serve                          on http://127.0.0.1:8080, SQLite in ./gdmarket-data
  gdmarket serve --listen 127.0.0.1:9000 --data-dir /var/lib/gdmarket
  gdmarket serve --database-url postgres://market@db/market
  gdmarket serve --services item,alarm    two services of four; the other two run elsewhere";

pub(super) fn run(config: &Config, console: Console) -> Result<(), Failure> {
    let listen = config.server.listen;
    if !listen.ip().is_loopback() && !config.server.http.allow_open {
        return Err(Failure::new(
            Exit::Usage,
            format!("{listen} is reachable from other machines, and there are no log-ins yet"),
        )
        .next("listen on 127.0.0.1, or add --allow-open if everybody who reaches it may act"));
    }
    let style = LogStyle {
        has_colour: console.has_colour(),
        is_json: console.is_json(),
        is_quiet: !console.prints_notes(),
    };
    telemetry::start_log(&config.telemetry, style);
    register_metrics(config.services.own);
    let runtime = runtime()?;
    let ended = runtime.block_on(serve(config, console));
    runtime.shutdown_timeout(ABORT_TIMEOUT);
    ended
}

async fn serve(config: &Config, console: Console) -> Result<(), Failure> {
    let listener = bind(config.server.listen)?;
    let listen = listener.local_addr().unwrap_or(config.server.listen);
    let (stage, mut shutdown) = Shutdown::new();
    let signals = tokio::spawn(follow_signals(stage));
    let (opener, gate) = StartupGate::closed();
    let serving = server::serve(listener, gate, &config.server.http, shutdown.clone());
    tokio::pin!(serving);
    let market = tokio::select! {
        started = Market::start(config) => started?,
        () = shutdown.reached(Stage::Draining) => {
            return Err(Failure::new(Exit::Interrupted, ""));
        }
        _ = &mut serving => return Err(Failure::new(Exit::Interrupted, "")),
    };
    opener.open(market.router(config, listen, shutdown));
    let upkeep = tokio::spawn(async {
        loop {
            tokio::time::sleep(UPKEEP_INTERVAL).await;
            metrics::run_upkeep();
        }
    });
    announce(config, listen, console);
    log_address_share(config, listen);
    let all_finished = tokio::select! {
        all_finished = &mut serving => all_finished,
        error = market.log_replaced() => {
            // Requests in flight are answered. The files are not closed: SQLite would checkpoint the write-ahead
            // log into the file that replaced the log.
            drop(timeout(ABORT_TIMEOUT, &mut serving).await);
            std::mem::forget(market);
            return Err(error.into());
        }
    };
    upkeep.abort();
    if all_finished {
        market.stop(config.server.http.finish_within).await;
    }
    signals.abort();
    if all_finished { Ok(()) } else { Err(Failure::new(Exit::Interrupted, "ended at once")) }
}

/// How many connections the system queues until they are accepted.
const BACKLOG: u32 = 1_024;
/// How many bytes of an answer the system buffers for a client: few, so that a client that reads nothing is noticed.
const SEND_BUFFER: u32 = 32 * 1024;

fn listen_on(listen: SocketAddr) -> io::Result<TcpListener> {
    let socket = if listen.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(listen)?;
    socket.listen(BACKLOG)
}

fn bind(listen: SocketAddr) -> Result<TcpListener, Failure> {
    listen_on(listen).map_err(|error| {
        let failure = |message| Failure::new(Exit::Unreachable, message);
        match error.kind() {
            ErrorKind::AddrInUse => {
                let other = SocketAddr::new(listen.ip(), listen.port().saturating_add(1));
                failure(format!("{listen} is taken by another program"))
                    .next(format!("end that program, or type: gdmarket --listen {other}"))
            }
            ErrorKind::PermissionDenied => failure(format!("{listen} may not be used"))
                .next("choose a port above 1023 with --listen"),
            _ => failure(format!("{listen}: {error}")).next("choose another address with --listen"),
        }
    })
}

/// Logs that callers behind a gateway share one address, and so one share of every limit.
fn log_address_share(config: &Config, listen: SocketAddr) {
    let percent = config.server.http.address_share_percent;
    if !listen.ip().is_loopback() && percent < 100 {
        tracing::info!(
            percent,
            "one address may take this share of every limit; behind a gateway, where all callers have one \
             address, set server.address_share_percent to 100"
        );
    }
}

fn announce(config: &Config, listen: SocketAddr, console: Console) {
    let place = config.described_database();
    let url = format!("http://{listen}");
    if console.is_json() {
        // A closed stdout is no failure of a server, which continues.
        let line = json!({"url": url, "database": place}).to_string();
        drop(writeln!(io::stdout(), "{}", printable::one_line(&line)));
        return;
    }
    console.note(&format!("GDmarket serves {url} ({place}). The interface: {url}/docs"));
    let services = config.services.own;
    if !services.is_all() {
        console.note(&format!(
            "It runs only these services of the market: {services}. It reads the events of the \
             others, and calls them, at the addresses of services.*.url."
        ));
        return;
    }
    console.note("Ctrl-C ends it. In another terminal, `gdmarket demo` walks through a rental.");
}

/// Follows signals: the first one starts the shutdown, the second one ends the program at once.
async fn follow_signals(stage: watch::Sender<Stage>) {
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hang_up)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
        signal(SignalKind::hangup()),
    ) else {
        tracing::error!("signals can't be received");
        return std::future::pending().await;
    };
    for next in [Stage::Draining, Stage::Now] {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
        tracing::info!(stage = ?next, "shutdown requested");
        stage.send_replace(next);
    }
    // Receivers of the stage need its sender.
    std::future::pending::<()>().await;
}
