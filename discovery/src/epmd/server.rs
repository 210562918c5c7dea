//! An `epmd` of our own, for hosts without one.
//!
//! It serves strangers, so each of them gets little: a short time, a short request, and a place
//! among few, from which whoever waited longest is put out when more come. Only processes of its
//! own host may register.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use std::collections::VecDeque;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{debug, info};

use super::codec::{self, Request};
use super::place::Place;
use super::registry::{self, Registry};

/// Connections that have not registered, at a time. Of more the oldest is closed.
const STRANGERS_MAX: usize = 64;
/// How long each of them may take.
const STRANGER_TIMEOUT: Duration = Duration::from_secs(2);
/// Connections that the system keeps for us until we take them.
const BACKLOG: i32 = 128;
/// Pause after the system had no connection to give, as when files run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A running server. It ends when this is dropped, and with it every registration.
#[derive(Debug)]
pub struct Server {
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    /// Begins to serve: at every address, or at loopback and those that `place` names. An address
    /// that can't be had is passed over, unless it is the first. Must be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// When the port is taken at the first address (another `epmd` serves), or can't be had.
    pub fn start(place: &Place) -> io::Result<Self> {
        let (first, rest) = listeners(place)?;
        let registry = Arc::new(Registry::default());
        let mut tasks = Vec::new();
        for listener in std::iter::once(first).chain(rest) {
            if let Ok(at) = listener.local_addr() {
                info!(%at, "serving as epmd");
            }
            let registry = registry.clone();
            tasks.push(tokio::spawn(serve(listener, registry, place.port)));
        }
        Ok(Self { tasks })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Whoever binds the first one is the server of this host.
fn listeners(place: &Place) -> io::Result<(TcpListener, Vec<TcpListener>)> {
    let at = |ip: IpAddr| SocketAddr::new(ip, place.port);
    if place.listen.is_empty() {
        let any = listen(at(Ipv6Addr::UNSPECIFIED.into())).or_else(|error| match error.kind() {
            io::ErrorKind::AddrInUse => Err(error),
            // A host without IPv6.
            _ => listen(at(Ipv4Addr::UNSPECIFIED.into())),
        });
        return Ok((any?, Vec::new()));
    }
    let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
    let first = listen(at(loopback))?;
    let mut rest = Vec::new();
    for ip in place.listen.iter().filter(|ip| **ip != loopback) {
        match listen(at(*ip)) {
            Ok(listener) => rest.push(listener),
            Err(error) => info!(%ip, %error, "epmd is not served at this address"),
        }
    }
    Ok((first, rest))
}

fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP))?;
    if at.is_ipv6() {
        // IPv4 too, where it is every address.
        socket.set_only_v6(!at.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&at.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

async fn serve(listener: TcpListener, registry: Arc<Registry>, port: u16) {
    let mut strangers: JoinSet<Option<Registered>> = JoinSet::new();
    let mut queue: VecDeque<AbortHandle> = VecDeque::new();
    let mut registered = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    queue.retain(|stranger| !stranger.is_finished());
                    if queue.len() >= STRANGERS_MAX && let Some(oldest) = queue.pop_front() {
                        oldest.abort();
                    }
                    let attend = attend(stream, registry.clone(), port);
                    let task = strangers.spawn(async { timeout(STRANGER_TIMEOUT, attend).await.ok()? });
                    queue.push_back(task);
                }
                Err(error) => {
                    debug!(%error, "no connection was accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(done) = strangers.join_next() => {
                if let Ok(Some(node)) = done {
                    registered.spawn(node.until_it_ends());
                }
            }
            Some(_) = registered.join_next() => {}
        }
    }
}

/// A node that holds its connection open.
struct Registered {
    stream: TcpStream,
    _seat: registry::Seat,
}

impl Registered {
    /// It has nothing more to say: anything it says ends the registration, as its end does.
    async fn until_it_ends(mut self) {
        let _ = self.stream.read(&mut [0; 1]).await;
    }
}

/// Answers one request. A registration is answered, and its connection handed back.
async fn attend(mut stream: TcpStream, registry: Arc<Registry>, port: u16) -> Option<Registered> {
    let length = usize::from(stream.read_u16().await.ok()?);
    if length > codec::REQUEST_BYTES_MAX {
        return None;
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    match Request::decode(&body).ok()? {
        Request::Register(entry) if is_own_host(&stream) => {
            let highest = entry.highest;
            let (answer, seat) = registry.register(entry);
            stream.write_all(&answer.encode(highest)).await.ok()?;
            let seat = seat?;
            return Some(Registered {
                stream,
                _seat: seat,
            });
        }
        Request::Register(_) => {}
        Request::LookUp(name) => stream.write_all(&registry.found(&name)).await.ok()?,
        Request::Names => stream.write_all(&registry.names(port)).await.ok()?,
        Request::Kill => stream.write_all(codec::KILL_DENIED).await.ok()?,
    }
    // So that the answer arrives whole where the asker has said more than was read.
    stream.shutdown().await.ok()?;
    None
}

/// Whether the other end is a process of this host: on loopback, or under the very address that
/// it talks to.
fn is_own_host(stream: &TcpStream) -> bool {
    let ends = (stream.peer_addr(), stream.local_addr());
    let (Ok(peer), Ok(local)) = ends else {
        return false;
    };
    let (peer, local) = (peer.ip().to_canonical(), local.ip().to_canonical());
    peer.is_loopback() || peer == local
}
