//! Four real processes behind the gateway, each with one service and a log of its own.

use super::raw::{get, send};
use super::routes::{concrete, operations};
use gdmarket_testkit::{Gateway, Server, ServerOptions, ServiceAddresses, eventually};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// A port on which nothing listens: these tests look at routes, not at what services want of each other.
const NOWHERE: &str = "http://127.0.0.1:1";

/// The four processes.
struct Split {
    item: Server,
    reservation: Server,
    payment: Server,
    alarm: Server,
    _keys: TempDir,
}

impl Split {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = keys_file(folder.path());
        Self {
            item: service("item", &keys).await,
            reservation: service("reservation", &keys).await,
            payment: service("payment", &keys).await,
            alarm: service("alarm", &keys).await,
            _keys: folder,
        }
    }

    fn addresses(&self) -> ServiceAddresses {
        let address = |server: &Server| format!("127.0.0.1:{}", server.port());
        ServiceAddresses {
            item: address(&self.item),
            reservation: address(&self.reservation),
            payment: address(&self.payment),
            alarm: address(&self.alarm),
        }
    }
}

fn keys_file(folder: &Path) -> PathBuf {
    let keys = folder.join("services.toml");
    fs::write(&keys, format!("current = \"{}\"\n", "a1".repeat(32))).unwrap();
    fs::set_permissions(&keys, Permissions::from_mode(0o600)).unwrap();
    keys
}

async fn service(name: &str, keys: &Path) -> Server {
    let mut options = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket"))
        .variable("GDMARKET__SERVER__SERVICES", name)
        .variable("GDMARKET__SERVER__ADDRESS_SHARE_PERCENT", "100")
        .variable("GDMARKET__SERVICES__KEYS_FILE", &keys.display().to_string());
    for other in ["ITEM", "RESERVATION", "PAYMENT", "ALARM"] {
        options = options.variable(&format!("GDMARKET__SERVICES__{other}__URL"), NOWHERE);
    }
    options.start().await
}

#[tokio::test]
async fn no_operation_meets_a_service_that_does_not_serve_it() {
    let split = Split::start().await;
    let gateway = Gateway::before(&split.addresses(), &[]).await;
    for (method, path) in operations() {
        let body = if method == "POST" || method == "PATCH" { "{}" } else { "" };
        let request = format!("{method} {}", concrete(&path));
        let answer = send(&gateway, &request, "", body).await;
        assert!(![502, 504].contains(&answer.status), "{request}: {answer:?}");
        assert!(!answer.body.contains("not-served-here"), "{request}: {answer:?}");
    }
    let text = reqwest::get(gateway.url("/capabilities")).await.unwrap().text().await.unwrap();
    let capabilities: Value = serde_json::from_str(&text).unwrap();
    for service in ["item", "reservation", "payment", "alarm"] {
        assert_eq!(capabilities["services"][service]["name"], "gdmarket", "{capabilities}");
    }
}

#[tokio::test]
async fn killed_service_is_missed_alone_and_found_again() {
    let mut split = Split::start().await;
    let gateway = Gateway::before(&split.addresses(), &[]).await;
    split.payment.kill().await;
    get(&gateway, "/payments").await.problem(502, "service-unreachable");
    for target in ["/items", "/itemInfoes", "/reservations", "/alarms", "/docs", "/readyz"] {
        assert_eq!(get(&gateway, target).await.status, 200, "{target}");
    }
    split.payment.restart().await;
    eventually(Duration::from_secs(5), || async {
        match get(&gateway, "/payments").await.status {
            200 => Ok(()),
            status => Err(status),
        }
    })
    .await;
}
