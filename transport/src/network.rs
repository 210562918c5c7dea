//! What carries a node's datagrams: UDP, or something that misbehaves on purpose.

use std::fmt;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use quinn::{AsyncUdpSocket, Runtime, TokioRuntime};
use socket2::SockRef;

/// Bytes of socket buffer that are asked for, each way. The system's limit may be lower; then
/// that is taken. Large enough for the burst of a join storm of some hundred nodes.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// Makes sockets. Its implementations decide what happens to a datagram; QUIC copes.
pub trait Network: fmt::Debug + Send + Sync + 'static {
    /// A socket at this address; port 0 takes a free one. Called within a tokio runtime.
    ///
    /// # Errors
    /// Those of binding a UDP socket.
    fn bind(&self, address: SocketAddr) -> io::Result<Arc<dyn AsyncUdpSocket>>;

    /// Whether a knock or a hail (datagrams by a socket of their own, to see whether the host refuses
    /// them or the process answers) and its answer get through. Called with the gossip addresses of both ends.
    fn carries_knock(&self, _from: SocketAddr, _to: SocketAddr) -> bool {
        true
    }
}

/// Plain UDP, with segmentation offload where the system has it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Udp;

impl Network for Udp {
    fn bind(&self, address: SocketAddr) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let socket = UdpSocket::bind(address)?;
        let options = SockRef::from(&socket);
        // Best effort: a smaller buffer drops datagrams earlier, which gossip survives.
        let _ = options.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
        let _ = options.set_send_buffer_size(SOCKET_BUFFER_BYTES);
        TokioRuntime.wrap_udp_socket(socket)
    }
}
