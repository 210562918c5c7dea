//! What carries a node's datagrams: UDP, or something that misbehaves on purpose.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Runtime, TokioRuntime, UdpPoller};
use socket2::SockRef;

/// Bytes of socket buffer that are asked for, each way. The system's limit may be lower; then
/// that is taken. Large enough for the burst of a join storm of some hundred nodes.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;
/// Bursts that are read by one call.
const BURSTS_MAX: usize = 4;

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
        Ok(Arc::new(Sparing(TokioRuntime.wrap_udp_socket(socket)?)))
    }
}

/// A socket that reads little at a time. Its reader has room for 32 bursts of 64 packets; what was once
/// written to stays in memory, and most of it would be in a storm only.
#[derive(Debug)]
struct Sparing(Arc<dyn AsyncUdpSocket>);

impl AsyncUdpSocket for Sparing {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.0.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.0.try_send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let count = buffers.len().min(metas.len()).min(BURSTS_MAX);
        self.0
            .poll_recv(cx, &mut buffers[..count], &mut metas[..count])
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.0.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.0.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.0.may_fragment()
    }
}
