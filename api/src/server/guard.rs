//! Who may call a server without log-ins: callers who call it by its own name, and no page of
//! another site. Otherwise a page elsewhere could drive the market of whoever opens it (CSRF, DNS
//! rebinding).

use crate::config;
use crate::problem::{Problem, kind};
use http::{HeaderMap, Uri, header};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The names this server goes by.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    listen: IpAddr,
    is_open: bool,
    hosts: Arc<[String]>,
}

impl Guard {
    pub(crate) fn new(listen: SocketAddr, server: &config::Server) -> Self {
        Self { listen: listen.ip(), is_open: server.allow_open, hosts: server.hosts.clone().into() }
    }

    /// Refuses what comes under another name, or from a page of another site.
    pub(super) fn check(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), Problem> {
        let sent = headers.get(header::HOST).map_or_else(
            || uri.authority().map(ToString::to_string),
            |host| host.to_str().ok().map(str::to_ascii_lowercase),
        );
        let authority = sent.ok_or_else(|| Problem::new(&kind::MISDIRECTED_HOST))?;
        if !self.goes_by(host_of(&authority)) {
            return Err(Problem::new(&kind::MISDIRECTED_HOST));
        }
        match headers.get(header::ORIGIN) {
            Some(origin) if !origin.to_str().is_ok_and(|o| is_own(o, &authority)) => {
                Err(Problem::new(&kind::FOREIGN_ORIGIN))
            }
            _ => Ok(()),
        }
    }

    /// A name under somebody else's control can be made to point here, an address can't: so beyond
    /// loopback every address is taken when the server listens on all of them.
    fn goes_by(&self, host: &str) -> bool {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = bare.parse::<IpAddr>() {
            let is_any = self.is_open && self.listen.is_unspecified();
            return address.is_loopback() || address == self.listen || is_any;
        }
        let name = host.strip_suffix('.').unwrap_or(host);
        name == "localhost"
            || name.ends_with(".localhost")
            || self.hosts.iter().any(|known| known == name)
    }
}

/// The host of an authority, without its port.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// Whether a page of this origin was served under the same name and port as it calls.
fn is_own(origin: &str, authority: &str) -> bool {
    let origin = origin.to_ascii_lowercase();
    let name = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    name.is_some_and(|name| name == authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(listen: &str, is_open: bool) -> Guard {
        let hosts = Arc::from(vec!["market.example".to_owned()]);
        Guard { listen: listen.parse().unwrap(), is_open, hosts }
    }

    fn answer(guard: &Guard, host: &str, origin: Option<&str>) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        guard.check(&headers, &Uri::from_static("/")).err().map(|problem| problem.code())
    }

    #[test]
    fn only_its_own_names_reach_it() {
        let local = guard("127.0.0.1", false);
        for host in
            ["localhost:8080", "127.0.0.1:9000", "[::1]:8080", "LOCALHOST", "market.example"]
        {
            assert_eq!(answer(&local, host, None), None, "{host}");
        }
        for host in ["evil.example", "192.168.0.7:8080", "localhost.evil.example", ""] {
            assert_eq!(answer(&local, host, None), Some("misdirected-host"), "{host}");
        }
        let open = guard("0.0.0.0", true);
        assert_eq!(answer(&open, "192.168.0.7:8080", None), None);
        assert_eq!(answer(&open, "evil.example", None), Some("misdirected-host"));
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let local = guard("127.0.0.1", false);
        let host = "localhost:8080";
        assert_eq!(answer(&local, host, Some("http://localhost:8080")), None);
        for origin in ["http://evil.example", "null", "http://localhost:3000"] {
            assert_eq!(answer(&local, host, Some(origin)), Some("foreign-origin"), "{origin}");
        }
    }
}
