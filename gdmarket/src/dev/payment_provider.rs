//! The stand-in for a payment provider, with its ledger.

use super::folder::DevFolder;
use super::launch::Launch;
use super::part::{DevPart, INTERRUPT_TWICE, PartFacts};
use super::readiness::Readiness;
use crate::output::Failure;
use std::path::Path;

/// The subfolder of the ledger.
const FOLDER: &str = "payment-provider";

/// Whether payments were sent to the provider before.
pub(super) fn has_ledger(folder: &DevFolder) -> bool {
    folder.at(FOLDER).is_dir()
}

/// The part.
pub(super) fn part(program: &Path, folder: &DevFolder, port: u16) -> Result<DevPart, Failure> {
    let data = folder.private(FOLDER)?;
    let listen = format!("127.0.0.1:{port}");
    let launch = Launch::new(program).args(["--listen", &listen, "--dir"]).arg(&data);
    let address = format!("http://{listen}");
    Ok(DevPart {
        launch,
        readiness: Readiness::Http(format!("{address}/livez")),
        end_signals: INTERRUPT_TWICE,
        facts: PartFacts {
            name: "payment-provider",
            address,
            data: data.display().to_string(),
            settings: None,
            log: folder.log("payment-provider")?,
        },
    })
}
