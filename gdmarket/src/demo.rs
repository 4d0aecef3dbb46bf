//! `gdmarket demo`: a whole rental on a running server, printed step by step for people. Exit code 1 if an answer
//! differs from what is expected, 3 if no server answers.

mod market;
mod scenario;

use crate::output::{Console, Exit, Failure};
use crate::runtime::runtime;
use clap::{Args, ValueEnum};
use market::MarketClient;
use url::Url;

const EXAMPLES: &str = "\
Examples:
  gdmarket demo
  gdmarket demo --url http://127.0.0.1:9000 --lang ko
  gdmarket demo --json | jq -c '[.step, .status, .ok]'";

/// The arguments of the demo.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DemoArgs {
    /// The server to walk through.
    #[arg(long, default_value = "http://127.0.0.1:8080", value_name = "URL", value_parser = server)]
    url: Url,
    /// The language of the sentences.
    #[arg(long, value_enum, default_value_t = Lang::En)]
    lang: Lang,
}

/// The language of the sentences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Lang {
    /// English.
    En,
    /// Korean.
    Ko,
}

/// A server's address.
fn server(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(Url::has_host);
    if url.as_ref().is_some_and(|url| url.scheme() == "https") {
        return Err("the demo doesn't speak TLS: name the server's own address, like \
                    http://127.0.0.1:8080"
            .to_owned());
    }
    let url = url.filter(|url| url.scheme() == "http");
    let url = url.ok_or("an address begins with its scheme, like http://127.0.0.1:8080")?;
    if url.password().is_some() || !url.username().is_empty() {
        return Err("the market knows no names and passwords yet; leave them out".to_owned());
    }
    Ok(url)
}

/// Why the demo stops.
#[derive(Debug)]
enum Stop {
    /// No server answers.
    NoServer(String),
    /// An answer differs from what is expected.
    Differs(String),
}

pub(crate) fn run(args: &DemoArgs, console: Console) -> Result<(), Failure> {
    let runtime = runtime()?;
    runtime.block_on(async {
        let market = MarketClient::new(args.url.as_str(), console).map_err(failure)?;
        tokio::select! {
            done = scenario::run(market, args.lang) => done.map_err(failure),
            _ = tokio::signal::ctrl_c() => Err(Failure::new(Exit::Interrupted, "")),
        }
    })
}

fn failure(stop: Stop) -> Failure {
    match stop {
        Stop::NoServer(why) => Failure::new(Exit::Unreachable, why)
            .next("start a server in another terminal with `gdmarket`, or name one with --url"),
        Stop::Differs(what) => Failure::new(Exit::Failed, what)
            .next("look at the server's log, and at GET /reservations/{reservationNo}/trace"),
    }
}

#[cfg(test)]
mod tests {
    use super::server;

    #[test]
    fn unusable_address_is_refused_with_the_reason() {
        for (address, reason) in [
            ("https://market.example", "TLS"),
            ("HTTPS://market.example", "TLS"),
            ("127.0.0.1:8080", "scheme"),
            ("localhost:8080", "scheme"),
            ("ftp://market.example", "scheme"),
            ("http://me:secret@market.example", "passwords"),
        ] {
            let refused = server(address).unwrap_err();
            assert!(refused.contains(reason), "{address}: {refused}");
        }
        assert!(server("http://127.0.0.1:9000").is_ok());
    }
}
