//! A proxy between the store and PostgreSQL: it forwards everything, until a test has it swallow the answer that an append
//! is committed, or hang up on its clients.

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
    orders: Arc<Orders>,
}

/// What is wanted of the connections.
#[derive(Default)]
struct Orders {
    swallow: AtomicBool,
    /// Events whose positions were in swallowed answers.
    swallowed: AtomicUsize,
    hang_up: Notify,
}

impl Proxy {
    pub(crate) async fn before(url: &str) -> Self {
        Self::in_front_of(url, Duration::ZERO).await
    }

    /// The first connection is passed on only after this time.
    pub(crate) async fn in_front_of(url: &str, mut busy: Duration) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap();
        let (authority, path) = rest.split_once('/').unwrap();
        let (user, server) = authority.rsplit_once('@').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let orders = Arc::<Orders>::default();
        let (kept, server) = (Arc::clone(&orders), server.to_owned());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // The fault itself, not a wait for something.
                tokio::time::sleep(std::mem::take(&mut busy)).await;
                let server = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(connection(client, server, Arc::clone(&kept)));
            }
        });
        // Without encryption, so that the messages can be read here.
        let url = format!("{scheme}://{user}@{address}/{path}?sslmode=disable");
        Self { url, orders }
    }

    /// The next answer that says an append is committed doesn't arrive: its connection is cut.
    pub(crate) fn swallow_an_append(&self) {
        self.orders.swallow.store(true, Ordering::SeqCst);
    }

    /// How many events were committed whose answers were swallowed since the last call.
    pub(crate) fn swallowed(&self) -> usize {
        self.orders.swallowed.swap(0, Ordering::SeqCst)
    }

    /// The clients' ends are closed without a word to the server.
    pub(crate) fn hang_up(&self) {
        self.orders.hang_up.notify_waiters();
    }
}

async fn connection(client: TcpStream, mut server: TcpStream, orders: Arc<Orders>) {
    tokio::select! {
        () = pass(client, &mut server, &orders) => {}
        () = orders.hang_up.notified() => {
            // The server's end stays open and unread.
            std::future::pending::<()>().await;
        }
    }
}

async fn pass(mut client: TcpStream, server: &mut TcpStream, orders: &Orders) {
    let (mut asked, mut answered) = (Vec::with_capacity(64 * 1024), Vec::with_capacity(64 * 1024));
    let mut watch = Watch::default();
    loop {
        tokio::select! {
            read = client.read_buf(&mut asked) => match read {
                Ok(1..) => {
                    watch.asked(&asked);
                    server.write_all(&asked).await.unwrap();
                    asked.clear();
                }
                _ => return,
            },
            read = server.read_buf(&mut answered) => match read {
                Ok(1..) => {
                    let committed = watch.answered(&answered);
                    if committed > 0 && orders.swallow.swap(false, Ordering::SeqCst) {
                        orders.swallowed.fetch_add(committed, Ordering::SeqCst);
                        return;
                    }
                    // Nothing of an append's answer gets through before all of it is known.
                    if !watch.is_appending {
                        if client.write_all(&answered).await.is_err() { return }
                        answered.clear();
                        watch.held_back = 0;
                    }
                }
                _ => return,
            },
        }
    }
}

/// Follows one connection's messages, to know which answer says that an append is committed.
#[derive(Default)]
struct Watch {
    asked: Vec<u8>,
    answered: Vec<u8>,
    held_back: usize,
    /// The appending statement's name on this connection, once it was prepared.
    statement: Option<Vec<u8>>,
    is_appending: bool,
    /// Positions that were returned and aren't known to be committed.
    open: usize,
}

impl Watch {
    fn asked(&mut self, bytes: &[u8]) {
        self.asked.extend_from_slice(bytes);
        while let Some((kind, body)) = message(&mut self.asked) {
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

    /// Takes in the rest of `held_back`; says how many events are committed now and weren't before.
    fn answered(&mut self, bytes: &[u8]) -> usize {
        self.answered.extend(bytes.iter().skip(self.held_back));
        self.held_back = bytes.len();
        let mut committed = 0;
        while let Some((kind, body)) = message(&mut self.answered) {
            match (kind, body.first()) {
                (b'D', _) if self.is_appending => self.open += 1,
                (b'E', _) => self.open = 0,
                // Ready, outside of a transaction: whatever was done is committed.
                (b'Z', Some(b'I')) => committed += std::mem::take(&mut self.open),
                _ => {}
            }
            self.is_appending &= kind != b'Z';
        }
        committed
    }
}

/// Takes the first whole message: its kind (0 for the one that opens a connection) and its body.
fn message(bytes: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    let kind = *bytes.first()?;
    let head = usize::from(kind != 0);
    let length = bytes.get(head..head + 4)?;
    let end = head + usize::try_from(u32::from_be_bytes(length.try_into().unwrap())).unwrap();
    let body = bytes.get(head + 4..end)?.to_vec();
    bytes.drain(..end);
    Some((kind, body))
}
