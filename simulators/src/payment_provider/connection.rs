//! The provider's connections: accepted, served one request after the other, and closed or reset when a fault says so.

use super::responses::ConnectionFault;
use super::routes::Routes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// How many connections may be open at once.
const CONNECTIONS: usize = 2_048;
/// How long the head of a request may take, and an idle connection stays open.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// The pause after an error of accepting, which is a shortage of files that passes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections; returns when that can't be done any more.
pub(super) async fn accept(listener: TcpListener, routes: Arc<Routes>) -> io::Error {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = match Arc::clone(&places).acquire_owned().await {
            Ok(place) => place,
            Err(error) => return io::Error::other(error),
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let routes = Arc::clone(&routes);
                tokio::spawn(async move {
                    if let Err(error) = serve(stream, routes).await {
                        tracing::debug!(%error, "a connection ended");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, routes: Arc<Routes>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    // hyper owns the stream; a second handle on the same socket is what a reset is requested through.
    let socket = Arc::new(stream.try_clone()?);
    let service = service_fn(move |request| {
        let (routes, socket) = (Arc::clone(&routes), Arc::clone(&socket));
        async move {
            let answer = routes.answer(request).await;
            if matches!(answer, Err(ConnectionFault::Reset)) {
                // Without lingering the close sends a reset instead of an orderly end.
                drop(SockRef::from(&*socket).set_linger(Some(Duration::ZERO)));
            }
            answer
        }
    });
    let stream = TokioIo::new(TcpStream::from_std(stream)?);
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(stream, service)
        .await
        .map_err(io::Error::other)
}
