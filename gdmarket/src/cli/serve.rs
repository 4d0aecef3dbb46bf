//! `gdmarket serve`: takes the port, opens the log, serves until it is told to end.
//!
//! The port is taken first, so that a second server says so before it touches anything; requests that come
//! before the log is open wait at the startup gate.

use crate::compose::Market;
use crate::config::Config;
use crate::metrics::{self, start_metrics};
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

/// How often the figures' histograms are tidied.
const UPKEEP: Duration = Duration::from_secs(5);
/// How long what is still running gets when the program ends at once.
const LAST_MOMENT: Duration = Duration::from_millis(200);

pub(super) const EXAMPLES: &str = "\
Examples:
  gdmarket serve                          on http://127.0.0.1:8080, SQLite in ./gdmarket-data
  gdmarket serve --listen 127.0.0.1:9000 --data-dir /var/lib/gdmarket
  gdmarket serve --database-url postgres://market@db/market";

pub(super) fn run(config: &Config, console: Console) -> Result<(), Failure> {
    let listen = config.server.listen;
    if !listen.ip().is_loopback() && !config.server.http.allow_open {
        return Err(Failure::new(
            Exit::Usage,
            format!("{listen} can be reached by others, and nobody logs in here yet"),
        )
        .next("listen on 127.0.0.1, or add --allow-open if everybody who reaches it may act"));
    }
    let style = LogStyle {
        has_colour: console.may_colour(),
        is_json: console.is_json(),
        is_quiet: !console.may_talk(),
    };
    telemetry::start_log(&config.telemetry, style);
    start_metrics();
    let runtime = runtime()?;
    let ended = runtime.block_on(serve(config, console));
    runtime.shutdown_timeout(LAST_MOMENT);
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
            tokio::time::sleep(UPKEEP).await;
            metrics::run_upkeep();
        }
    });
    announce(config, listen, console);
    hint_at_gateways(config, listen);
    let all_finished = tokio::select! {
        all_finished = &mut serving => all_finished,
        error = market.log_replaced() => {
            // Who waits for an answer gets it still. The files are not closed: that would fold what was
            // written into what lies there now.
            drop(timeout(LAST_MOMENT, &mut serving).await);
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

/// How many connections the system keeps until they are accepted.
const BACKLOG: u32 = 1_024;
/// What the system keeps of an answer until the client takes it: little, so that a client that takes
/// nothing is noticed.
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

/// Behind a gateway all callers have one address, and would share the part of one.
fn hint_at_gateways(config: &Config, listen: SocketAddr) {
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
        // Who closes this end has read it, and a server goes on and ends with 0.
        let line = json!({"url": url, "database": place}).to_string();
        drop(writeln!(io::stdout(), "{}", printable::one_line(&line)));
        return;
    }
    console.note(&format!("GDmarket serves {url} ({place}). The interface: {url}/docs"));
    console.note("Ctrl-C ends it. In another terminal, `gdmarket demo` walks through a rental.");
}

/// The first signal begins the end, the second one is the end.
async fn follow_signals(stage: watch::Sender<Stage>) {
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hang_up)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
        signal(SignalKind::hangup()),
    ) else {
        tracing::error!("signals can't be heard");
        return std::future::pending().await;
    };
    for next in [Stage::Draining, Stage::Now] {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
        tracing::info!(stage = ?next, "told to end");
        stage.send_replace(next);
    }
    // Whoever waits for a stage needs its sender.
    std::future::pending::<()>().await;
}
