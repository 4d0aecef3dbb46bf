//! The real program as a child process: started on a free port, killed and restarted, its output recorded.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinHandle;

use crate::environment::free_port;
use crate::eventually::eventually;
use crate::http_probe::get_status;
use crate::test_db::TestDb;

/// The limit of a start on a busy machine, after which the test fails.
const START_WITHIN: Duration = Duration::from_secs(30);
/// The exit code of a program whose port is taken.
const PORT_TAKEN: i32 = 3;
/// The number of ports that are tried while other programs take the free one first.
const PORT_ATTEMPTS: usize = 5;

/// The program to start, and what it gets in addition to a free port and an empty data folder.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    program: PathBuf,
    database_url: Option<String>,
    data_dir: Option<PathBuf>,
    variables: Vec<(String, String)>,
}

impl ServerOptions {
    /// Options for this program, `env!("CARGO_BIN_EXE_gdmarket")` in the tests of `gdmarket`.
    pub fn new(program: impl AsRef<Path>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            database_url: None,
            data_dir: None,
            variables: Vec::new(),
        }
    }

    /// Uses the database at this URL; the default is SQLite in the data folder.
    #[must_use]
    pub fn database_url(mut self, url: &str) -> Self {
        self.database_url = Some(url.to_owned());
        self
    }

    /// Uses a test's database, on either engine.
    #[must_use]
    pub fn on(self, db: &TestDb) -> Self {
        match db.folder() {
            Some(folder) => self.data_dir(folder),
            None => self.database_url(db.url()),
        }
    }

    /// Uses this data folder; the default is an empty one that is removed with the server.
    #[must_use]
    pub fn data_dir(mut self, folder: &Path) -> Self {
        self.data_dir = Some(folder.to_owned());
        self
    }

    /// Sets a variable, `GDMARKET__PAYMENT__FAIL_RATE` for example.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the program and returns once it is ready.
    ///
    /// # Panics
    /// When the program doesn't become ready; the message contains its stderr.
    pub async fn start(self) -> Server {
        let mut taken = String::new();
        for _ in 0..PORT_ATTEMPTS {
            match self.clone().start_on(free_port()).await {
                Ok(server) => return server,
                Err(stderr) => taken = stderr,
            }
        }
        panic!("every free port was taken by another program first: {taken}")
    }

    /// Starts the program on this port; its stderr when the port is taken.
    ///
    /// # Panics
    /// When the program doesn't become ready for another reason; the message contains its stderr.
    pub async fn start_on(self, port: u16) -> Result<Server, String> {
        let own_folder = tempfile::Builder::new().prefix("gdmarket-data-").tempdir();
        let own_folder = own_folder.expect("a temporary folder");
        let mut server = Server {
            options: self,
            port,
            own_folder,
            child: None,
            stderr: Arc::default(),
            reading: None,
        };
        match server.try_start().await {
            Ok(()) => Ok(server),
            Err(Some(PORT_TAKEN)) if server.stderr().contains(&port.to_string()) => {
                Err(server.stderr())
            }
            Err(code) => panic!("gdmarket ended with {code:?}: {}", server.stderr()),
        }
    }

    /// Runs the program with these arguments instead, with the same data and variables.
    pub async fn tool(&self, arguments: &[&str]) -> Output {
        let folder = tempfile::Builder::new().prefix("gdmarket-tool-").tempdir();
        let folder = folder.expect("a temporary folder");
        let data_dir = self.data_dir.as_deref().unwrap_or_else(|| folder.path());
        let mut command = self.command(folder.path(), data_dir);
        command.args(arguments).stdout(Stdio::piped());
        command.output().await.expect("starting the gdmarket program")
    }

    /// The program in this folder, without arguments.
    fn command(&self, folder: &Path, data_dir: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .current_dir(folder)
            .env("GDMARKET__SERVER__DATA_DIR", data_dir)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some(url) = &self.database_url {
            command.env("GDMARKET__DATABASE__URL", url);
        }
        command
    }
}

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Server {
    options: ServerOptions,
    port: u16,
    own_folder: TempDir,
    child: Option<Child>,
    stderr: Arc<Mutex<String>>,
    /// Reads the process's stderr until its end, which is after the end of the process.
    reading: Option<JoinHandle<io::Result<()>>>,
}

impl Server {
    /// The program's port, which stays the same after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The program's data folder.
    pub fn data_dir(&self) -> &Path {
        self.options.data_dir.as_deref().unwrap_or_else(|| self.own_folder.path())
    }

    /// The program's stderr so far, of all its starts.
    pub fn stderr(&self) -> String {
        self.stderr.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The process number while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Whether the process runs; `false` once it was killed or ended by itself.
    pub fn is_running(&mut self) -> bool {
        let ended = self.child.as_mut().map(Child::try_wait);
        matches!(ended, Some(Ok(None)))
    }

    /// Kills the process as `kill -9` does; returns when it is gone.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.expect("killing the server");
            self.read_to_end().await;
        }
    }

    /// Waits until all that the ended process wrote to stderr is read.
    async fn read_to_end(&mut self) {
        if let Some(reading) = self.reading.take() {
            drop(reading.await);
        }
    }

    /// Requests a clean shutdown (SIGTERM) without waiting for it.
    pub async fn terminate(&self) {
        self.signal("TERM").await;
    }

    /// Sends a signal by name, `STOP` and `CONT` for example.
    pub async fn signal(&self, name: &str) {
        let pid = self.pid().expect("a running server").to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status().await;
        assert!(sent.is_ok_and(|status| status.success()), "kill -s {name} {pid}");
    }

    /// Waits until the process ends.
    pub async fn wait(&mut self, within: Duration) -> ExitStatus {
        let mut child = self.child.take().expect("a running server");
        let Ok(ended) = tokio::time::timeout(within, child.wait()).await else {
            panic!("the server still runs after {within:?}: {}", self.stderr())
        };
        self.read_to_end().await;
        ended.expect("the server's exit status")
    }

    /// Sets a variable for its next starts, the address of a server that was started after it for example.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.options.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Starts the program again with the same port, data and variables; returns once it is ready.
    pub async fn restart(&mut self) {
        self.kill().await;
        if let Err(code) = self.try_start().await {
            panic!("gdmarket ended with {code:?} instead of starting again: {}", self.stderr());
        }
    }

    /// Starts the process and waits until it is ready; a process that ends early gives its exit code.
    async fn try_start(&mut self) -> Result<(), Option<i32>> {
        let mut child = self.command().spawn().expect("starting the gdmarket program");
        let stderr = child.stderr.take().expect("the server's stderr");
        self.reading = Some(tokio::spawn(keep(stderr, Arc::clone(&self.stderr))));
        let port = self.port;
        let child = Mutex::new(child);
        let came_up = eventually(START_WITHIN, || async {
            let ended = child.lock().unwrap_or_else(PoisonError::into_inner).try_wait();
            if let Ok(Some(status)) = ended {
                return Ok(Err(status.code()));
            }
            match get_status(port, "/readyz").await {
                Ok(200) => Ok(Ok(())),
                seen => Err(seen),
            }
        })
        .await;
        if came_up.is_err() {
            self.read_to_end().await;
        }
        self.child = Some(child.into_inner().unwrap_or_else(PoisonError::into_inner));
        came_up
    }

    fn command(&self) -> Command {
        let mut command = self.options.command(self.own_folder.path(), self.data_dir());
        command.arg("serve").env("GDMARKET__SERVER__LISTEN", format!("127.0.0.1:{}", self.port));
        command
    }
}

async fn keep(stderr: ChildStderr, kept: Arc<Mutex<String>>) -> io::Result<()> {
    let mut lines = BufReader::new(stderr).lines();
    while let Some(line) = lines.next_line().await? {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_str(&line);
        kept.push('\n');
    }
    Ok(())
}
