//! The NATS server with JetStream. Clients need a password.

use super::folder::DevFolder;
use super::launch::Launch;
use super::part::{DevPart, INTERRUPT_TWICE, PartFacts};
use super::readiness::Readiness;
use crate::output::Failure;
use serde_json::json;
use std::path::Path;

/// The user that the services connect as.
const USER: &str = "gdmarket";
/// The file with the user's password.
const PASSWORD: &str = "nats-password";
/// The subfolder of the streams.
const FOLDER: &str = "nats";

/// The part, and the URL with the password.
pub(super) struct DevNats {
    pub(super) part: DevPart,
    pub(super) url: String,
}

impl DevNats {
    /// Writes the settings of the server.
    pub(super) fn prepare(program: &Path, folder: &DevFolder, port: u16) -> Result<Self, Failure> {
        let password = folder.secret(PASSWORD)?;
        let data = folder.private(FOLDER)?;
        // JSON is a subset of the server's own notation.
        let settings = json!({
            "listen": format!("127.0.0.1:{port}"),
            "jetstream": {"store_dir": data},
            "authorization": {"user": USER, "password": password},
        });
        let settings = folder.write_private("nats.conf", &format!("{settings:#}\n"))?;
        let server = DevPart {
            facts: PartFacts {
                name: "nats",
                address: format!("nats://127.0.0.1:{port}"),
                data: data.display().to_string(),
                settings: Some(settings.clone()),
                log: folder.log("nats")?,
            },
            launch: Launch::new(program).arg("--config").arg(settings),
            readiness: Readiness::Port(port),
            end_signals: INTERRUPT_TWICE,
        };
        Ok(Self { part: server, url: format!("nats://{USER}:{password}@127.0.0.1:{port}") })
    }
}
