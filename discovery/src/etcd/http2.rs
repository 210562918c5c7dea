//! The stream to one server of etcd: TCP, TLS where it must be, and HTTP/2 over it.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::body::Body;

use super::connection::PATIENCE;
use super::error::{ServerFault, end_fault, handshake_fault, read_fault};
use super::server::Server;
use super::tls::{self, TlsFiles};

/// How often a stream that is in use is tried; etcd takes offence at twice as many.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// How long the reason of a failure may take to be known after the failure.
const REASON_WAIT: Duration = Duration::from_millis(200);

/// A stream of bytes of either kind.
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// HTTP/2 to one server. It does not connect again once it broke. Its task ends with the last copy.
#[derive(Clone)]
pub(super) struct Http2 {
    send: SendRequest<Body>,
    /// Why it broke; none while it stands.
    end: watch::Receiver<Option<ServerFault>>,
}

impl Http2 {
    /// Connects, in bounded time.
    pub(super) async fn connect(
        server: &Server,
        files: Option<&TlsFiles>,
    ) -> Result<Self, ServerFault> {
        let late = |_| ServerFault::Timeout(PATIENCE);
        timeout(PATIENCE, async {
            Self::over(stream(server, files).await?).await
        })
        .await
        .map_err(late)?
    }

    async fn over(io: Box<dyn Io>) -> Result<Self, ServerFault> {
        let mut http2 = Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PATIENCE);
        let heard = Arc::new(Heard::default());
        let io = LastWords {
            io,
            heard: heard.clone(),
        };
        let (send, driver) = http2
            .handshake(TokioIo::new(io))
            .await
            .map_err(|error| end_fault(&error))?;
        let (ended, end) = watch::channel(None);
        tokio::spawn(async move {
            let fault = heard.fault(driver.await.err().as_ref());
            ended.send_replace(Some(fault));
        });
        Ok(Self { send, end })
    }

    /// Why it broke, if that is what a failure came from.
    pub(super) async fn fault(&self) -> Option<ServerFault> {
        let mut end = self.end.clone();
        let broke = timeout(REASON_WAIT, end.wait_for(Option::is_some)).await;
        broke.ok()?.ok()?.clone()
    }
}

/// What came over a stream before it broke.
#[derive(Default)]
struct Heard {
    /// Anything at all.
    anything: AtomicBool,
    /// That nothing more comes.
    end: AtomicBool,
    /// Why nothing more can be read.
    fault: OnceLock<ServerFault>,
}

impl Heard {
    /// Why the stream broke, as far as what came tells; HTTP/2 tells the rest.
    fn fault(&self, http2: Option<&hyper::Error>) -> ServerFault {
        let closed = || ServerFault::Lost("the server closed it".into());
        let (anything, end) = (
            self.anything.load(Ordering::Relaxed),
            self.end.load(Ordering::Relaxed),
        );
        match (self.fault.get(), http2) {
            (None | Some(ServerFault::Lost(_)), _) if !anything => ServerFault::Mute,
            (Some(fault), _) => fault.clone(),
            (None, Some(error)) if !end => end_fault(error),
            (None, _) => closed(),
        }
    }
}

/// A stream whose other side is heard out. Who refuses says why and closes; a write that fails
/// for it must not hide what was said. And why a read fails is kept, for HTTP/2 tells only that.
struct LastWords {
    io: Box<dyn Io>,
    heard: Arc<Heard>,
}

impl AsyncRead for LastWords {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buffer);
        match &read {
            Poll::Ready(Ok(())) if buffer.filled().len() > before => {
                self.heard.anything.store(true, Ordering::Relaxed);
            }
            Poll::Ready(Ok(())) => self.heard.end.store(true, Ordering::Relaxed),
            Poll::Ready(Err(error)) => {
                // The first reason is the reason.
                let _ = self.heard.fault.set(read_fault(error));
            }
            Poll::Pending => {}
        }
        read
    }
}

impl AsyncWrite for LastWords {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.io).poll_write(cx, bytes) {
            Poll::Ready(Err(error)) if is_closed(&error) => Poll::Ready(Ok(bytes.len())),
            other => other,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.io).poll_flush(cx) {
            Poll::Ready(Err(error)) if is_closed(&error) => Poll::Ready(Ok(())),
            other => other,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

impl fmt::Debug for Http2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http2")
            .field("end", &*self.end.borrow())
            .finish_non_exhaustive()
    }
}

impl tower_service::Service<hyper::Request<Body>> for Http2 {
    type Response = hyper::Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.send.poll_ready(cx)
    }

    fn call(&mut self, request: hyper::Request<Body>) -> Self::Future {
        Box::pin(self.send.send_request(request))
    }
}

async fn stream(server: &Server, files: Option<&TlsFiles>) -> Result<Box<dyn Io>, ServerFault> {
    let stream = TcpStream::connect((server.host(), server.port())).await;
    let stream = stream.map_err(|error| ServerFault::Connect(error.to_string()))?;
    // Without it small calls wait for each other; a socket that refuses it works all the same.
    let _ = stream.set_nodelay(true);
    if !server.is_tls() {
        return Ok(Box::new(stream));
    }
    let files = files.ok_or_else(|| {
        ServerFault::Tls(
            "there is no authority to check it by: set cluster.etcd.ssl.cacertfile".into(),
        )
    })?;
    let connector = tls::connector(files).await?;
    let name = tls::server_name(server.host())?;
    let secured = connector.connect(name, stream).await;
    Ok(Box::new(secured.map_err(|error| handshake_fault(&error))?))
}
