//! The gateway: nginx with the configuration of `deploy/gateway`, written by the script that operators use.

use super::account::SystemAccount;
use super::folder::{DevFolder, failure};
use super::launch::Launch;
use super::part::{DevPart, INTERRUPT_TWICE, PartFacts};
use super::ports::DevPorts;
use super::readiness::Readiness;
use crate::output::{Exit, Failure};
use gdmarket_domain::Service;
use std::fs;
use std::path::{Path, PathBuf};

const TEMPLATE: &str = include_str!("../../../deploy/gateway/nginx.conf.template");
const RENDER: &str = include_str!("../../../deploy/gateway/render");

/// The subfolder of the configuration, and in it the one where nginx writes.
const FOLDER: &str = "gateway";
const RUNNING: &str = "run";

/// The programs of the gateway, and the account that it runs as.
pub(super) struct DevGateway<'a> {
    pub(super) nginx: &'a Path,
    pub(super) bash: &'a Path,
    pub(super) account: Option<SystemAccount>,
}

impl DevGateway<'_> {
    /// Writes the configuration; the part runs nginx with it.
    pub(super) async fn prepare(
        &self,
        folder: &DevFolder,
        ports: DevPorts,
        group: i32,
    ) -> Result<DevPart, Failure> {
        let running = folder.handed_over(FOLDER, RUNNING, self.account)?;
        let configuration = self.render(&folder.at(FOLDER), ports, group).await?;
        let launch = Launch::new(self.nginx)
            .run_by(self.account)
            .arg("-p")
            .arg(&running)
            .args(["-e", "error.log", "-c"])
            .arg(&configuration);
        let address = format!("http://127.0.0.1:{}", ports.gateway);
        Ok(DevPart {
            launch,
            readiness: Readiness::Http(format!("{address}/livez")),
            end_signals: INTERRUPT_TWICE,
            facts: PartFacts {
                name: "gateway",
                address,
                data: running.display().to_string(),
                settings: Some(configuration),
                log: folder.log("gateway")?,
            },
        })
    }

    async fn render(&self, folder: &Path, ports: DevPorts, group: i32) -> Result<PathBuf, Failure> {
        let script = folder.join("render");
        for (file, text) in [(&script, RENDER), (&folder.join("nginx.conf.template"), TEMPLATE)] {
            fs::write(file, text).map_err(|error| failure(file, &error))?;
        }
        let at = |port: u16| format!("127.0.0.1:{port}");
        let render = Launch::new(self.bash).arg(&script).arg("--folder").arg(folder);
        let render = render.args(["--listen", &at(ports.gateway)]);
        let render = Service::ALL.into_iter().fold(render, |render, service| {
            render.args([&format!("--{service}"), &at(ports.of(service))])
        });
        let rendered = render.run(group).await;
        rendered.map_err(|error| Failure::new(Exit::Failed, error))?;
        Ok(folder.join("nginx.conf"))
    }
}
