//! Connections: accepted, bounded, and answered.

use std::convert::Infallible;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use futures_util::future::select;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tower::ServiceExt as _;

use super::answer::{Refusal, add_headers};
use super::guard::Guard;
use super::wire::Wire;

/// Maximum number of connections; further ones get an error.
const MAX_CONNECTIONS: usize = 128;
/// Maximum number of connections that get this error at a time; others are closed.
const MAX_TOLD: usize = 16;
/// Maximum size of the head of a request, in bytes, and number of its headers.
const MAX_HEAD: usize = 16 << 10;
const MAX_HEADERS: usize = 64;
/// Maximum time for the head of a request, and for all of an answer that is no stream.
const MAX_HEAD_TIME: Duration = Duration::from_secs(5);
const MAX_TIME: Duration = Duration::from_secs(60);
/// Maximum time and bytes for what a refused sender has left to send.
const MAX_REST_TIME: Duration = Duration::from_millis(300);
const MAX_REST: usize = 256 << 10;
/// Time until it is tried again to accept a connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers requests.
#[derive(Debug)]
pub(super) struct Server {
    guard: Guard,
    router: Router,
    connections: Arc<Semaphore>,
    told: Arc<Semaphore>,
}

impl Server {
    pub(super) fn new(guard: Guard, router: Router) -> Self {
        let (connections, told) = (Semaphore::new(MAX_CONNECTIONS), Semaphore::new(MAX_TOLD));
        Self { guard, router, connections: Arc::new(connections), told: Arc::new(told) }
    }

    /// Accepts connections until the future is dropped.
    pub(super) async fn run_tcp(self: Arc<Self>, listener: tokio::net::TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    // Small events leave at once.
                    let _ = stream.set_nodelay(true);
                    let address = stream.local_addr().ok();
                    if address.is_some() {
                        self.take(stream, address);
                    }
                }
                Err(error) => pause(&error).await,
            }
        }
    }

    /// As [`run_tcp`](Self::run_tcp).
    #[cfg(unix)] // Windows has no such sockets here
    pub(super) async fn run_unix(self: Arc<Self>, listener: tokio::net::UnixListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => self.take(stream, None),
                Err(error) => pause(&error).await,
            }
        }
    }

    /// Answers a connection in a task of its own.
    fn take<S>(self: &Arc<Self>, stream: S, address: Option<SocketAddr>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if let Ok(permit) = Arc::clone(&self.connections).try_acquire_owned() {
            let server = Arc::clone(self);
            tokio::spawn(async move {
                server.serve(stream, address).await;
                drop(permit);
            });
        } else if let Ok(permit) = Arc::clone(&self.told).try_acquire_owned() {
            tokio::spawn(async move {
                let text = format!("more than {MAX_CONNECTIONS} connections");
                let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, text);
                let mut stream = stream;
                let _ = timeout(MAX_REST_TIME, stream.write_all(&refusal.raw())).await;
                drain(stream).await;
                drop(permit);
            });
        }
    }

    /// One request of a connection: without a second one there are no idle connections.
    async fn serve<S>(self: Arc<Self>, stream: S, address: Option<SocketAddr>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let reached = Arc::new(AtomicBool::new(false));
        let endless = Arc::new(AtomicBool::new(false));
        let wire = Wire::new(stream, Arc::clone(&reached));
        let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
            reached.store(true, Ordering::Relaxed);
            let (server, endless) = (Arc::clone(&self), Arc::clone(&endless));
            async move {
                let response = server.answer(request.map(Body::new), address).await;
                let kind = response.headers().get(CONTENT_TYPE);
                endless.store(kind.is_some_and(|k| k == super::stream::KIND), Ordering::Relaxed);
                Ok::<_, Infallible>(response)
            }
        });
        let mut builder = http1::Builder::new();
        builder
            .keep_alive(false)
            .timer(TokioTimer::new())
            .header_read_timeout(MAX_HEAD_TIME)
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS);
        let mut connection = builder.serve_connection(TokioIo::new(wire), service);
        let deadline = async {
            sleep(MAX_TIME).await;
            if endless.load(Ordering::Relaxed) {
                pending::<()>().await;
            }
        };
        let answered = poll_fn(|cx| Pin::new(&mut connection).poll(cx));
        select(pin!(answered), pin!(deadline)).await;
        drain(connection.into_parts().io.into_inner()).await;
    }

    async fn answer(&self, request: Request, address: Option<SocketAddr>) -> Response {
        let mut response = match self.guard.check(&request, address) {
            Ok(()) => match self.router.clone().oneshot(request).await {
                Ok(response) => in_our_form(response),
                Err(error) => match error {},
            },
            Err(refusal) => refusal.answer(),
        };
        add_headers(response.headers_mut());
        response
    }
}

/// Gives refusals of libraries (a path that is not UTF-8, an answer that took too long) the form of ours.
fn in_our_form(response: Response) -> Response {
    let status = response.status();
    let is_ours = response.headers().get(CONTENT_TYPE).is_some_and(|k| k == "application/json");
    if is_ours || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let text = match status {
        StatusCode::SERVICE_UNAVAILABLE => "it took too long",
        _ => "the address is malformed",
    };
    Refusal::new(status, text).answer()
}

/// Reads the rest of a request: closing the connection before it would lose the answer.
async fn drain(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let rest = async {
        let (mut left, mut buffer) = (MAX_REST, [0; 4096]);
        // Fails if it was shut down before.
        let _ = stream.shutdown().await;
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            left = left.saturating_sub(count);
            if left == 0 {
                break;
            }
        }
    };
    let _ = timeout(MAX_REST_TIME, rest).await;
}

/// Without file descriptors, accepting fails at once, again and again.
async fn pause(error: &io::Error) {
    if !matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    ) {
        sleep(PAUSE).await;
    }
}
