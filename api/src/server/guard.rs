//! Which requests a server without log-ins accepts: those that can be understood in one way only, that
//! call it by its own name, and that don't come from a page of another site. Otherwise a page elsewhere
//! could drive the market of the person who opens it (CSRF, DNS rebinding).

use crate::http_options::HttpOptions;
use crate::method_name::method_name;
use crate::problem::field_fault::{Fault, FieldFault};
use crate::problem::{Problem, kind};
use http::{HeaderMap, Method, Request, Version, header};
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
    pub(crate) fn new(listen: SocketAddr, options: &HttpOptions) -> Self {
        Self {
            listen: listen.ip(),
            is_open: options.allow_open,
            hosts: options.hosts.clone().into(),
        }
    }

    /// Whether callers from elsewhere reach this server.
    pub(super) const fn listens_beyond_loopback(&self) -> bool {
        !self.listen.is_loopback()
    }

    /// Refuses a request that is ambiguous, names another server, or comes from a page of another site.
    pub(super) fn check<B>(&self, request: &Request<B>) -> Result<(), Problem> {
        check_method(request.method())?;
        check_transfer_codings(request.headers())?;
        let origin = origin(request.headers())?;
        let authority = if is_for_monitors(request.uri().path()) {
            request.headers().get(header::HOST).and_then(|host| host.to_str().ok().map(lowercase))
        } else {
            Some(self.own_authority(request)?)
        };
        match (origin, authority) {
            (None, _) => Ok(()),
            (Some(origin), Some(authority)) if is_own(&origin, &authority) => Ok(()),
            (Some(_), _) => Err(Problem::new(&kind::FOREIGN_ORIGIN)),
        }
    }

    /// The name that the request calls this server by, if that is one of its names.
    fn own_authority<B>(&self, request: &Request<B>) -> Result<String, Problem> {
        let authority = authority(request).map_err(|fault| {
            Problem::new(&kind::BAD_HEADER).with_errors(vec![FieldFault::new("Host", fault)])
        })?;
        authority
            .filter(|authority| self.goes_by(host_of(authority)))
            .ok_or_else(|| Problem::new(&kind::MISDIRECTED_HOST))
    }

    /// The owner of another name can make it point to this server, which is impossible for an address. So beyond
    /// loopback every address is accepted if the server listens on all of them.
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

/// Whether a path is for monitors: load balancers and scrapers call the server by an address of their own,
/// or by none.
pub(super) fn is_for_monitors(path: &str) -> bool {
    matches!(path.trim_end_matches('/'), "/livez" | "/readyz" | "/metrics")
}

fn check_method(method: &Method) -> Result<(), Problem> {
    method_name(method).map(drop).ok_or_else(|| Problem::new(&kind::NOT_IMPLEMENTED))
}

/// Refuses transfer codings that one hop may remove and another may not know: both would read different
/// bodies.
fn check_transfer_codings(headers: &HeaderMap) -> Result<(), Problem> {
    let lines = headers.get_all(header::TRANSFER_ENCODING).iter();
    let mut codings = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let is_chunked = |coding: &[u8]| coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
    let is_known = codings.next().is_none_or(is_chunked) && codings.next().is_none();
    if is_known { Ok(()) } else { Err(Problem::new(&kind::NOT_IMPLEMENTED)) }
}

fn origin(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let Some(origin) = origins.next() else { return Ok(None) };
    if origins.next().is_some() {
        let fault = FieldFault::new("Origin", Fault::Duplicate);
        return Err(Problem::new(&kind::BAD_HEADER).with_errors(vec![fault]));
    }
    // An origin that isn't text isn't this server's.
    Ok(Some(origin.to_str().map(lowercase).unwrap_or_default()))
}

/// The name that a request calls the server by: the host of its target where the target has one, else
/// `Host`, which HTTP/1 demands once in any case. `None` if it can't be read.
fn authority<B>(request: &Request<B>) -> Result<Option<String>, Fault> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Fault::Duplicate);
    }
    let target = request.uri().authority().map(|target| lowercase(target.as_str()));
    let host = host.map(|host| host.to_str().ok().map(lowercase));
    match (target, host) {
        (Some(target), None) if request.version() == Version::HTTP_2 => Ok(Some(target)),
        (_, None) => Err(Fault::Required),
        (None, Some(host)) => Ok(host),
        (Some(target), Some(Some(host))) if request.version() == Version::HTTP_2 => {
            if target == host { Ok(Some(target)) } else { Err(Fault::Contradicts(target)) }
        }
        (Some(target), Some(_)) => Ok(Some(target)),
    }
}

fn lowercase(text: &str) -> String {
    text.to_ascii_lowercase()
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

    fn code(guard: &Guard, target: &str, headers: &[(&str, &str)]) -> Option<&'static str> {
        let mut request = Request::builder().uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        guard.check(&request.body(()).unwrap()).err().map(|problem| problem.code())
    }

    #[test]
    fn only_its_own_names_reach_the_server() {
        let local = guard("127.0.0.1", false);
        for host in
            ["localhost:8080", "127.0.0.1:9000", "[::1]:8080", "LOCALHOST", "market.example"]
        {
            assert_eq!(code(&local, "/", &[("host", host)]), None, "{host}");
        }
        for host in [
            "evil.example",
            "192.168.0.7:8080",
            "localhost.evil.example",
            "",
            "localhost@evil.example",
            "localhost, evil.example",
        ] {
            assert_eq!(code(&local, "/", &[("host", host)]), Some("misdirected-host"), "{host}");
        }
        let open = guard("0.0.0.0", true);
        assert_eq!(code(&open, "/", &[("host", "192.168.0.7:8080")]), None);
        assert_eq!(code(&open, "/", &[("host", "evil.example")]), Some("misdirected-host"));
    }

    #[test]
    fn exactly_one_host_is_required_and_the_target_counts() {
        let local = guard("127.0.0.1", false);
        let own = ("host", "localhost");
        assert_eq!(code(&local, "/", &[]), Some("bad-header"));
        assert_eq!(code(&local, "/", &[own, own]), Some("bad-header"));
        assert_eq!(code(&local, "http://localhost/", &[own]), None);
        assert_eq!(code(&local, "http://localhost/", &[]), Some("bad-header"));
        assert_eq!(code(&local, "http://evil.example/", &[own]), Some("misdirected-host"));
        assert_eq!(
            code(&local, "http://localhost@evil.example/", &[own]),
            Some("misdirected-host")
        );
        for path in ["/livez", "/readyz/", "/metrics"] {
            assert_eq!(code(&local, path, &[]), None, "{path}");
            assert_eq!(code(&local, path, &[("host", "evil.example")]), None, "{path}");
        }
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let local = guard("127.0.0.1", false);
        let of = |origin| [("host", "localhost:8080"), ("origin", origin)];
        assert_eq!(code(&local, "/", &of("http://localhost:8080")), None);
        for origin in ["http://evil.example", "null", "http://localhost:3000"] {
            assert_eq!(code(&local, "/", &of(origin)), Some("foreign-origin"), "{origin}");
        }
        let own = ("origin", "http://localhost:8080");
        let twice = [("host", "localhost:8080"), own, ("origin", "http://evil.example")];
        assert_eq!(code(&local, "/", &twice), Some("bad-header"));
    }

    #[test]
    fn unknown_codings_and_methods_are_not_implemented() {
        let local = guard("127.0.0.1", false);
        let coded =
            |coding| code(&local, "/", &[("host", "localhost"), ("transfer-encoding", coding)]);
        assert_eq!(coded("Chunked"), None);
        for coding in ["gzip, chunked", "gzip", "chunked, chunked", "x"] {
            assert_eq!(coded(coding), Some("not-implemented"), "{coding}");
        }
        let invented = Request::builder().method("STEAL").header("host", "localhost");
        let refused = local.check(&invented.body(()).unwrap()).unwrap_err();
        assert_eq!(refused.code(), "not-implemented");
    }
}
