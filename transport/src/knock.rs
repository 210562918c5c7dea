//! Knocking: a datagram to a silent member's port from a connected socket of its own.
//!
//! The system tells a connected UDP socket that its peer's host refused a datagram (ICMP port
//! unreachable becomes ECONNREFUSED); QUIC's socket is not connected, and never hears of it. What
//! is sent is no QUIC packet: an endpoint that lives drops it. An answer, or none, says nothing.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use convoke_core::Contact;
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;

use crate::input::Input;
use crate::network::Network;
use crate::rim::Rim;

/// Sockets that are open for this at a time. More knocks are dropped and counted: those members
/// are judged by their silence.
const SOCKETS_MAX: usize = 128;
/// How long a host has to refuse; a probe does not wait for that. Linux refuses a sender once a
/// second where it has spent its first six, and what QUIC repeats competes for that one: so the
/// knock is repeated for a little longer than a second.
const TIMEOUT: Duration = Duration::from_millis(1100);
const REPEAT_EVERY: Duration = Duration::from_millis(200);
/// Neither a long nor a short header of QUIC: too short, and its fixed bit is not set.
const KNOCK: [u8; 1] = [0];

/// Knocks for one node.
#[derive(Debug)]
pub(crate) struct Knocker {
    rim: Arc<Rim>,
    network: Arc<dyn Network>,
    /// The gossip socket's address.
    local: SocketAddr,
    sockets: Arc<Semaphore>,
}

impl Knocker {
    pub(crate) fn new(rim: Arc<Rim>, network: Arc<dyn Network>, local: SocketAddr) -> Self {
        Self {
            rim,
            network,
            local,
            sockets: Arc::new(Semaphore::new(SOCKETS_MAX)),
        }
    }

    /// Asks a member's host; the driver is told if it refuses.
    pub(crate) fn knock(&self, at: Contact) {
        if !self.network.carries_knock(self.local, at.address) {
            return;
        }
        let Ok(socket) = self.sockets.clone().try_acquire_owned() else {
            return self.rim.counters.knocks_dropped.add();
        };
        let (rim, local) = (self.rim.clone(), self.local.ip());
        self.rim.tasks.spawn(async move {
            if is_refused(local, at.address).await {
                rim.hand_in(Input::Refused(at)).await;
            }
            drop(socket);
        });
    }

    /// Whether the process of that name answers at that address, asked some times within a while.
    pub(crate) async fn hail(&self, at: &Contact, patience: Duration) -> bool {
        if !self.network.carries_knock(self.local, at.address) {
            tokio::time::sleep(patience).await;
            return false;
        }
        let hail = self.rim.identity.hail(&at.name);
        match connected(self.local.ip(), at.address).await {
            Ok(socket) => hail.is_answered(&socket, patience).await,
            Err(_) => false,
        }
    }
}

/// What comes of a knock.
#[derive(Debug)]
pub(crate) enum Knocked {
    /// The host says that nothing listens there.
    Refused,
    /// Something answers. A node does not.
    Answered,
    /// It could not even be sent.
    Failed(io::Error),
    /// Nothing comes back.
    Silent,
}

/// Knocks, and waits for what comes of it.
pub(crate) async fn knock(local: IpAddr, to: SocketAddr) -> Knocked {
    match tokio::time::timeout(TIMEOUT, send_and_wait(local, to)).await {
        Ok(Ok(())) => Knocked::Answered,
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => Knocked::Refused,
        Ok(Err(error)) => Knocked::Failed(error),
        Err(_) => Knocked::Silent,
    }
}

/// Whether the host of an address says that nothing listens there.
async fn is_refused(local: IpAddr, to: SocketAddr) -> bool {
    matches!(knock(local, to).await, Knocked::Refused)
}

async fn send_and_wait(local: IpAddr, to: SocketAddr) -> io::Result<()> {
    let socket = connected(local, to).await?;
    let mut answer = [0];
    loop {
        socket.send(&KNOCK).await?;
        let answered = socket.recv(&mut answer);
        if let Ok(answer) = tokio::time::timeout(REPEAT_EVERY, answered).await {
            return answer.map(|_| ());
        }
    }
}

/// A socket of its own that is connected to an address.
pub(crate) async fn connected(local: IpAddr, to: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((source(local, to), 0)).await?;
    socket.connect(to).await?;
    Ok(socket)
}

/// The address that gossip comes from; any where that is any, or of the other family.
fn source(local: IpAddr, to: SocketAddr) -> IpAddr {
    match (local, to) {
        (IpAddr::V4(_), SocketAddr::V4(_)) | (IpAddr::V6(_), SocketAddr::V6(_)) => local,
        (_, SocketAddr::V4(_)) => Ipv4Addr::UNSPECIFIED.into(),
        (_, SocketAddr::V6(_)) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_nobody_holds_refuses_and_one_that_is_held_does_not() {
        for host in ["127.0.0.1", "::1"] {
            let local: IpAddr = host.parse().unwrap();
            let Ok(held) = UdpSocket::bind((local, 0)).await else {
                // A host without IPv6 can't be asked about it.
                assert!(local.is_ipv6());
                continue;
            };
            let at = held.local_addr().unwrap();
            let unspecified = source("0.0.0.0".parse().unwrap(), at);
            assert!(!is_refused(local, at).await, "{at} is held");
            drop(held);
            assert!(is_refused(local, at).await, "{at} is free");
            assert!(is_refused(unspecified, at).await, "{at}, from anywhere");
        }
    }

    #[tokio::test]
    async fn a_knock_is_repeated_while_the_host_says_nothing() {
        let local = IpAddr::from(Ipv4Addr::LOCALHOST);
        let held = UdpSocket::bind((local, 0)).await.unwrap();
        let at = held.local_addr().unwrap();
        let asked = tokio::spawn(is_refused(local, at));
        for _ in 0..3 {
            held.recv_from(&mut [0; 8]).await.unwrap();
        }
        drop(held);
        assert!(asked.await.unwrap(), "the repetition is refused");
    }

    #[tokio::test]
    async fn an_answer_is_no_refusal() {
        let local = IpAddr::from(Ipv4Addr::LOCALHOST);
        let held = UdpSocket::bind((local, 0)).await.unwrap();
        let at = held.local_addr().unwrap();
        let asked = tokio::spawn(is_refused(local, at));
        let (bytes, from) = held.recv_from(&mut [0; 8]).await.unwrap();
        assert_eq!(bytes, KNOCK.len());
        held.send_to(&[1, 2, 3], from).await.unwrap();
        assert!(!asked.await.unwrap());
    }
}
