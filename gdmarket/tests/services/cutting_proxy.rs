//! A proxy between two services that carries a request to its receiver, and cuts the connection when the answer comes: the
//! request is done, and its answer is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

/// A running proxy; it ends when this value is dropped.
pub(crate) struct CuttingProxy {
    port: u16,
    cuts: Arc<Cuts>,
    _serving: AbortOnDropHandle<()>,
}

/// Which answers are cut, and how many more.
struct Cuts {
    /// The beginning of the requests.
    request: &'static str,
    left: AtomicUsize,
    done: AtomicUsize,
}

impl CuttingProxy {
    /// A proxy to this address that cuts answers to requests that begin like this.
    pub(crate) async fn start(to: String, request: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cuts = Cuts { request, left: AtomicUsize::new(0), done: AtomicUsize::new(0) };
        let cuts = Arc::new(cuts);
        let serving = serve(listener, to, Arc::clone(&cuts));
        Self { port, cuts, _serving: AbortOnDropHandle::new(tokio::spawn(serving)) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Cuts the next answers.
    pub(crate) fn cut(&self, answers: usize) {
        self.cuts.left.store(answers, Ordering::SeqCst);
    }

    /// How many answers were cut.
    pub(crate) fn done(&self) -> usize {
        self.cuts.done.load(Ordering::SeqCst)
    }
}

async fn serve(listener: TcpListener, to: String, cuts: Arc<Cuts>) {
    while let Ok((client, _)) = listener.accept().await {
        let (to, cuts) = (to.clone(), Arc::clone(&cuts));
        tokio::spawn(async move {
            if let Ok(server) = TcpStream::connect(&to).await {
                carry(client, server, &cuts).await;
            }
        });
    }
}

/// Carries bytes both ways until one side ends, or an answer is to be cut.
async fn carry(mut client: TcpStream, mut server: TcpStream, cuts: &Cuts) {
    let (mut sent, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut is_cut = false;
    loop {
        tokio::select! {
            read = client.read(&mut sent) => {
                let Ok(count @ 1..) = read else { return };
                is_cut = cuts.begins_to_cut(&sent[..count]) || is_cut;
                if server.write_all(&sent[..count]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(count @ 1..) = read else { return };
                if is_cut {
                    cuts.done.fetch_add(1, Ordering::SeqCst);
                    return;
                }
                if client.write_all(&answered[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}

impl Cuts {
    fn begins_to_cut(&self, sent: &[u8]) -> bool {
        let one_less = |left: usize| left.checked_sub(1);
        sent.starts_with(self.request.as_bytes())
            && self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok()
    }
}
