//! Hails: whether anybody is there, before a handshake is spent on it.
//!
//! A handshake that nobody answers is five packets of 1200 bytes. A hail is one of 45 that looks
//! like a packet of a connection that its receiver has forgotten, and so is answered by a smaller
//! one: a stateless reset. The keys of both derive from the cluster's secret and the peer's name.
//! So only a process of the cluster can hail, and only one of that name can answer; yet whoever saw
//! an answer can repeat it. It decides whether to dial, and nothing else.
//!
//! Source: RFC 9000 §10.3.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use convoke_core::Instant;
use tokio::net::UdpSocket;

/// Between what a stateless reset takes (more than 21 bytes in answer to more than that) and what
/// every network carries. No answer is larger than what it answers.
pub(crate) const HAIL_BYTES: usize = 45;
/// What proves an answer, at its end.
pub(crate) const TOKEN_BYTES: usize = 16;
/// How often a peer is hailed, in pauses that double, and together are what a dial's datagrams are
/// worth waiting.
const TIMES: u32 = 3;
/// After a dial or a hail went unanswered, other dials begin with a hail for so long.
const UNEASY: Duration = Duration::from_secs(30);

/// A hail for one peer.
#[derive(Debug)]
pub(crate) struct Hail {
    pub(crate) packet: [u8; HAIL_BYTES],
    pub(crate) token: [u8; TOKEN_BYTES],
}

impl Hail {
    /// Whether a peer answers on a socket that is connected to it, within a time.
    pub(crate) async fn is_answered(&self, socket: &UdpSocket, patience: Duration) -> bool {
        let pause = patience / ((1 << TIMES) - 1);
        for turn in 0..TIMES {
            // What can't be sent now may be sent by the next one.
            let _ = socket.send(&self.packet).await;
            let answer = tokio::time::timeout(pause * (1 << turn), self.hear(socket)).await;
            if answer == Ok(true) {
                return true;
            }
        }
        false
    }

    /// Waits for the answer. A refusal is none, and nothing comes after it before the next hail:
    /// it may be forged, and then the peer is to be dialed.
    async fn hear(&self, socket: &UdpSocket) -> bool {
        let mut packet = [0; HAIL_BYTES];
        while let Ok(bytes) = socket.recv(&mut packet).await {
            if packet[..bytes].ends_with(&self.token) {
                return true;
            }
        }
        std::future::pending().await
    }
}

/// One in so many of those who do not answer is dialed all the same: a firewall may let nothing but
/// handshakes pass to strangers.
const TRIED_EVERY: u32 = 8;

/// Whether somebody did not answer of late: then a handshake may be for nobody.
#[derive(Debug, Default)]
pub(crate) struct Unease {
    last: AtomicU64,
    silent: AtomicU32,
}

impl Unease {
    pub(crate) fn note(&self, now: Instant) {
        self.last.fetch_max(now.as_micros(), Relaxed);
    }

    /// Nobody answered a hail. Whether the peer is to be dialed all the same.
    pub(crate) fn on_silence(&self, now: Instant) -> bool {
        self.note(now);
        (self.silent.fetch_add(1, Relaxed) + 1).is_multiple_of(TRIED_EVERY)
    }

    pub(crate) fn is_felt(&self, now: Instant) -> bool {
        let last = self.last.load(Relaxed);
        last != 0 && now.since(Instant::from_micros(last)) < UNEASY
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::Arc;

    use convoke_core::NodeName;

    use super::*;
    use crate::identity::{GOSSIP_ALPN, Identity};
    use crate::secret::Secret;

    const SOON: Duration = Duration::from_millis(70);
    const PATIENCE: Duration = Duration::from_secs(20);

    fn name(text: &str) -> NodeName {
        text.parse().unwrap()
    }

    fn endpoint(identity: &Identity) -> quinn::Endpoint {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (config, server) = (
            identity.endpoint_config(),
            identity.server_config(GOSSIP_ALPN),
        );
        let runtime = Arc::new(quinn::TokioRuntime);
        quinn::Endpoint::new(config, Some(server), socket, runtime).unwrap()
    }

    async fn connected(to: SocketAddr) -> UdpSocket {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        socket.connect(to).await.unwrap();
        socket
    }

    #[tokio::test]
    async fn a_process_that_lives_answers_all_who_know_the_secret_and_its_name() {
        let secret = Secret::generate();
        let (a, b) = (name("a@127.0.0.1"), name("b@127.0.0.1"));
        let caller = Identity::new(&a, &secret).unwrap();
        let endpoint = endpoint(&Identity::new(&b, &secret).unwrap());
        let at = endpoint.local_addr().unwrap();
        for _ in 0..50 {
            let socket = connected(at).await;
            assert!(caller.hail(&b).is_answered(&socket, PATIENCE).await);
        }
        let socket = connected(at).await;
        let stranger = Identity::new(&a, &Secret::generate()).unwrap();
        assert!(!caller.hail(&a).is_answered(&socket, SOON).await);
        assert!(!stranger.hail(&b).is_answered(&socket, SOON).await);
    }

    #[tokio::test]
    async fn nobody_answers_for_a_process_that_is_gone_or_for_another_hail() {
        let secret = Secret::generate();
        let b = name("b@127.0.0.1");
        let caller = Identity::new(&b, &secret).unwrap();
        let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let at = silent.local_addr().unwrap();
        let socket = connected(at).await;
        let other = caller.hail(&b).token;
        silent
            .send_to(&other, socket.local_addr().unwrap())
            .await
            .unwrap();
        assert!(!caller.hail(&b).is_answered(&socket, SOON).await);
        drop(silent);
        assert!(!caller.hail(&b).is_answered(&socket, SOON).await, "refused");
    }

    #[test]
    fn unease_fades() {
        let (unease, at) = (Unease::default(), |s| {
            Instant::ORIGIN + Duration::from_secs(s)
        });
        assert!(!unease.is_felt(at(1)));
        unease.note(at(100));
        unease.note(at(99));
        assert!(unease.is_felt(at(129)) && !unease.is_felt(at(130)));
        let tried = (0..80).filter(|_| unease.on_silence(at(1))).count();
        assert_eq!(tried, 10);
    }
}
