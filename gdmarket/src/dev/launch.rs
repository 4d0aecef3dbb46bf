//! How one program is started: its arguments, variables and account, and the process group that it joins.

use super::account::SystemAccount;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use tokio::process::{Child, Command};

/// A program with its arguments, which may be started again and again.
#[derive(Debug, Clone)]
pub(super) struct Launch {
    program: PathBuf,
    arguments: Vec<OsString>,
    variables: Vec<(&'static str, String)>,
    removed: Vec<&'static str>,
    account: Option<SystemAccount>,
}

impl Launch {
    pub(super) fn new(program: &Path) -> Self {
        Self {
            program: program.to_owned(),
            arguments: vec![],
            variables: vec![],
            removed: vec![],
            account: None,
        }
    }

    #[must_use]
    pub(super) fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    #[must_use]
    pub(super) fn args<const N: usize>(mut self, arguments: [&str; N]) -> Self {
        self.arguments.extend(arguments.map(OsString::from));
        self
    }

    #[must_use]
    pub(super) fn variable(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// Keeps a variable of this process from the program.
    #[must_use]
    pub(super) fn without_variable(mut self, name: &'static str) -> Self {
        self.removed.push(name);
        self
    }

    /// Runs the program as another account.
    #[must_use]
    pub(super) fn run_by(mut self, account: Option<SystemAccount>) -> Self {
        self.account = account;
        self
    }

    /// Starts the program in this process group; its output is appended to the log.
    pub(super) fn spawn(&self, group: i32, log: &Path) -> io::Result<Child> {
        let log = File::options().create(true).append(true).open(log)?;
        self.command(group).stdout(log.try_clone()?).stderr(log).spawn()
    }

    /// Runs the program to its end; the error is what it wrote to stderr.
    pub(super) async fn run(&self, group: i32) -> Result<(), String> {
        let program = self.program.display();
        let mut command = self.command(group);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let Output { status, stderr, .. } =
            command.output().await.map_err(|error| format!("{program}: {error}"))?;
        if status.success() {
            return Ok(());
        }
        Err(format!("{program}: {status}\n{}", String::from_utf8_lossy(&stderr).trim_end()))
    }

    fn command(&self, group: i32) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        self.removed.iter().for_each(|name| {
            command.env_remove(name);
        });
        command
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(Stdio::null())
            .process_group(group);
        if let Some(account) = self.account {
            command.uid(account.uid).gid(account.gid);
        }
        command
    }
}
