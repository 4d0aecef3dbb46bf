//! A proxy between the store and PostgreSQL. It forwards everything until a test makes it drop the answer of a committed
//! append, or close the connections of its clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// The text of the statement that appends.
const APPENDS: &[u8] = b"INSERT INTO events";

pub(crate) struct Proxy {
    pub url: String,
    faults: Arc<Faults>,
}

/// The faults that a test has requested.
#[derive(Default)]
struct Faults {
    drop_answer: AtomicBool,
    /// Events whose positions were in dropped answers.
    dropped_answers: AtomicUsize,
    hang_up: Notify,
}

impl Proxy {
    pub(crate) async fn before(url: &str) -> Self {
        Self::in_front_of(url, Duration::ZERO).await
    }

    /// A proxy that forwards the first connection only after this time.
    pub(crate) async fn in_front_of(url: &str, mut busy: Duration) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap();
        let (authority, path) = rest.split_once('/').unwrap();
        let (user, server) = authority.rsplit_once('@').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let faults = Arc::<Faults>::default();
        let (kept, server) = (Arc::clone(&faults), server.to_owned());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // The delay is the fault; this waits for no condition.
                tokio::time::sleep(std::mem::take(&mut busy)).await;
                let server = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(connection(client, server, Arc::clone(&kept)));
            }
        });
        // The messages must be readable here, so there is no encryption.
        let url = format!("{scheme}://{user}@{address}/{path}?sslmode=disable");
        Self { url, faults }
    }

    /// Drops the next answer of a committed append and cuts its connection.
    pub(crate) fn drop_answer_of_append(&self) {
        self.faults.drop_answer.store(true, Ordering::SeqCst);
    }

    /// The number of committed events whose answers were dropped since the last call.
    pub(crate) fn dropped_answers(&self) -> usize {
        self.faults.dropped_answers.swap(0, Ordering::SeqCst)
    }

    /// Closes the clients' connections and leaves the server's open.
    pub(crate) fn hang_up(&self) {
        self.faults.hang_up.notify_waiters();
    }
}

async fn connection(client: TcpStream, mut server: TcpStream, faults: Arc<Faults>) {
    tokio::select! {
        () = pass(client, &mut server, &faults) => {}
        () = faults.hang_up.notified() => {
            // The server's connection stays open, and nothing reads from it.
            std::future::pending::<()>().await;
        }
    }
}

async fn pass(mut client: TcpStream, server: &mut TcpStream, faults: &Faults) {
    let (mut requests, mut answers) =
        (Vec::with_capacity(64 * 1024), Vec::with_capacity(64 * 1024));
    let mut watch = Watch::default();
    loop {
        tokio::select! {
            read = client.read_buf(&mut requests) => match read {
                Ok(1..) => {
                    watch.note_requests(&requests);
                    server.write_all(&requests).await.unwrap();
                    requests.clear();
                }
                _ => return,
            },
            read = server.read_buf(&mut answers) => match read {
                Ok(1..) => {
                    let committed = watch.note_answers(&answers);
                    if committed > 0 && faults.drop_answer.swap(false, Ordering::SeqCst) {
                        faults.dropped_answers.fetch_add(committed, Ordering::SeqCst);
                        return;
                    }
                    // An append's answer is forwarded only when it is complete.
                    if !watch.is_appending {
                        if client.write_all(&answers).await.is_err() { return }
                        answers.clear();
                        watch.held_back = 0;
                    }
                }
                _ => return,
            },
        }
    }
}

/// Follows one connection's messages to recognise the answers of committed appends.
#[derive(Default)]
struct Watch {
    requests: Vec<u8>,
    answers: Vec<u8>,
    held_back: usize,
    /// The name of the appending statement on this connection, once it is prepared.
    statement: Option<Vec<u8>>,
    is_appending: bool,
    /// Positions that were returned and are not yet known to be committed.
    open: usize,
}

impl Watch {
    fn note_requests(&mut self, bytes: &[u8]) {
        self.requests.extend_from_slice(bytes);
        while let Some((kind, body)) = message(&mut self.requests) {
            let mut texts = body.split(|byte| *byte == 0);
            match kind {
                // Parse: the statement's name and its text.
                b'P' => {
                    let name = texts.next().unwrap().to_vec();
                    if texts.next().unwrap().windows(APPENDS.len()).any(|part| part == APPENDS) {
                        self.statement = Some(name);
                    }
                }
                // Bind: the portal's name and the statement's.
                b'B' => self.is_appending |= texts.nth(1) == self.statement.as_deref(),
                _ => {}
            }
        }
    }

    /// Adds the new bytes after `held_back`; returns the number of newly committed events.
    fn note_answers(&mut self, bytes: &[u8]) -> usize {
        self.answers.extend(bytes.iter().skip(self.held_back));
        self.held_back = bytes.len();
        let mut committed = 0;
        while let Some((kind, body)) = message(&mut self.answers) {
            match (kind, body.first()) {
                (b'D', _) if self.is_appending => self.open += 1,
                (b'E', _) => self.open = 0,
                // The server is ready outside of a transaction, so everything before is committed.
                (b'Z', Some(b'I')) => committed += std::mem::take(&mut self.open),
                _ => {}
            }
            self.is_appending &= kind != b'Z';
        }
        committed
    }
}

/// Removes the first complete message; returns its kind (0 for the startup message) and its body.
fn message(bytes: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    let kind = *bytes.first()?;
    let head = usize::from(kind != 0);
    let length = bytes.get(head..head + 4)?;
    let end = head + usize::try_from(u32::from_be_bytes(length.try_into().unwrap())).unwrap();
    let body = bytes.get(head + 4..end)?.to_vec();
    bytes.drain(..end);
    Some((kind, body))
}
