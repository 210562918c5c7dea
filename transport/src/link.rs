//! A connection to one peer: packets go out on it as datagrams or streams, and are read from it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use convoke_core::{Class, Contact, Instant, NodeId, Target, codec};
use quinn::{Connection, ConnectionError, RecvStream, SendDatagramError, VarInt};
use tokio::time::timeout;

use crate::input::Input;
use crate::liveness::Liveness;
use crate::refusal;
use crate::rim::Rim;

/// The longest time that a packet on a stream may take, to be written or to be read.
const STREAM_TIMEOUT: Duration = Duration::from_secs(5);

/// Why this node closes a connection. The reason travels with it in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    /// The process ends.
    Bye = 0,
    /// The peer is not the node that was dialed.
    OtherNode = 1,
    /// Another connection to the same peer is kept.
    Duplicate = 2,
    /// The peer failed, left or was removed.
    Gone = 3,
    /// There are too many connections, and this one was idle the longest.
    Crowded = 4,
    /// The peer's certificate names nobody.
    Unnamed = 5,
}

/// A connection that is open, or was until a moment ago.
#[derive(Debug)]
pub(crate) struct Link {
    connection: Connection,
    contact: Contact,
    dialed: Option<Target>,
    closed: AtomicBool,
    liveness: Liveness,
    /// How many had come when the first packet was sent that was not answered.
    datagrams_seen: AtomicU64,
}

impl Link {
    /// A connection of which the handshake is done. `dialed` is whom this node dialed, if it did.
    pub(crate) fn new(
        connection: Connection,
        contact: Contact,
        dialed: Option<Target>,
        local: NodeId,
        now: Instant,
    ) -> Self {
        let initiator = if dialed.is_some() {
            local
        } else {
            contact.id()
        };
        Self {
            connection,
            contact,
            dialed,
            closed: AtomicBool::new(false),
            liveness: Liveness::new(initiator, now),
            datagrams_seen: AtomicU64::new(0),
        }
    }

    /// The peer: its certified name, and the address that its packets come from.
    pub(crate) fn contact(&self) -> &Contact {
        &self.contact
    }

    /// Whether packets for this address can go this way.
    pub(crate) fn leads_to(&self, address: SocketAddr) -> bool {
        let dialed = self.dialed.as_ref().map(|target| match target {
            Target::Node(contact) => contact.address,
            Target::Address(address) => *address,
        });
        self.contact.address == address || dialed == Some(address)
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Relaxed)
    }

    /// Whether it answers, and which of two connections is to be used.
    pub(crate) fn liveness(&self) -> &Liveness {
        &self.liveness
    }

    /// QUIC's estimate of the round trip.
    pub(crate) fn rtt(&self) -> Duration {
        self.connection.rtt()
    }

    /// Notes whether anything came since the first packet that was not answered was sent,
    /// acknowledgements included.
    pub(crate) fn sweep(&self, now: Instant) {
        if self.liveness.may_be_stale()
            && self.datagrams_seen.load(Ordering::Relaxed) != self.datagrams()
        {
            self.liveness.stirs(now);
        }
    }

    /// How many datagrams came, of whatever they were.
    fn datagrams(&self) -> u64 {
        self.connection.stats().udp_rx.datagrams
    }

    pub(crate) fn close(&self, why: Close, reason: &str) {
        self.closed.store(true, Ordering::Relaxed);
        self.connection
            .close(VarInt::from_u32(why as u32), reason.as_bytes());
    }

    /// Sends a packet; never waits. A datagram that is too large goes on a stream.
    pub(crate) fn send(self: &Arc<Self>, rim: &Arc<Rim>, class: Class, bytes: Vec<u8>) {
        if self.liveness.sends(rim.clock.now()) {
            self.datagrams_seen
                .store(self.datagrams(), Ordering::Relaxed);
        }
        let fits = || {
            self.connection
                .max_datagram_size()
                .is_some_and(|max| bytes.len() <= max)
        };
        if class == Class::Reliable || !fits() {
            return self.send_stream(rim, bytes);
        }
        rim.counters.datagrams_sent.add();
        match self.connection.send_datagram(bytes.into()) {
            Ok(()) | Err(SendDatagramError::TooLarge) => {}
            Err(SendDatagramError::ConnectionLost(_)) => self.closed.store(true, Ordering::Relaxed),
            Err(SendDatagramError::UnsupportedByPeer | SendDatagramError::Disabled) => {
                rim.counters.sends_dropped.add();
            }
        }
    }

    fn send_stream(self: &Arc<Self>, rim: &Arc<Rim>, bytes: Vec<u8>) {
        let Ok(permit) = rim.streams.clone().try_acquire_owned() else {
            rim.counters.sends_dropped.add();
            return;
        };
        rim.counters.streams_sent.add();
        let (link, rim_of_task) = (self.clone(), rim.clone());
        rim.tasks.spawn(async move {
            let _permit = permit;
            let cause = match timeout(STREAM_TIMEOUT, link.write(&bytes)).await {
                Ok(Ok(())) => return,
                Ok(Err(cause)) => cause,
                Err(_) => format!("{} does not answer", link.contact.address),
            };
            let target = link
                .dialed
                .clone()
                .unwrap_or(Target::Node(link.contact.clone()));
            rim_of_task
                .hand_in(Input::Unreachable { target, cause })
                .await;
        });
    }

    async fn write(&self, bytes: &[u8]) -> Result<(), String> {
        let lost = |error: &ConnectionError| self.in_words(error);
        let mut stream = self
            .connection
            .open_uni()
            .await
            .map_err(|error| lost(&error))?;
        stream.write_all(bytes).await.map_err(|error| match error {
            quinn::WriteError::ConnectionLost(error) => lost(&error),
            other => format!("{}: {other}", self.contact.address),
        })?;
        // Finishing fails only for a stream that is finished or reset, and this one is neither.
        let _ = stream.finish();
        // The stream must outlive its last byte: wait until all is acknowledged.
        let _ = stream.stopped().await;
        Ok(())
    }

    /// Reads until the connection ends; says why it did.
    pub(crate) async fn read(self: &Arc<Self>, rim: &Arc<Rim>) -> ConnectionError {
        let ended = loop {
            tokio::select! {
                datagram = self.connection.read_datagram() => match datagram {
                    Ok(bytes) => self.receive_datagram(rim, &bytes),
                    Err(error) => break error,
                },
                stream = self.connection.accept_uni() => match stream {
                    Ok(stream) => self.clone().receive_stream(rim, stream),
                    Err(error) => break error,
                },
            }
        };
        self.closed.store(true, Ordering::Relaxed);
        ended
    }

    /// Whom to tell the engine about when this connection was refused after all.
    pub(crate) fn refused_target(&self) -> Option<Target> {
        self.dialed.clone().filter(|_| !self.liveness.is_proven())
    }

    pub(crate) fn in_words(&self, error: &ConnectionError) -> String {
        format!("{} {}", self.contact.address, refusal::in_words(error))
    }

    fn receive_datagram(&self, rim: &Rim, bytes: &[u8]) {
        let Some(input) = self.receive(rim, Class::Datagram, bytes) else {
            return;
        };
        if rim.inputs.try_send(input).is_err() {
            rim.counters.inputs_dropped.add();
        }
    }

    fn receive_stream(self: Arc<Self>, rim: &Arc<Rim>, mut stream: RecvStream) {
        let rim_of_task = rim.clone();
        rim.tasks.spawn(async move {
            let rim = rim_of_task;
            let whole = stream.read_to_end(codec::PACKET_BYTES_MAX);
            let Ok(Ok(bytes)) = timeout(STREAM_TIMEOUT, whole).await else {
                return;
            };
            if let Some(input) = self.receive(&rim, Class::Reliable, &bytes) {
                rim.hand_in(input).await;
            }
        });
    }

    fn receive(&self, rim: &Rim, class: Class, bytes: &[u8]) -> Option<Input> {
        self.liveness.hears(rim.clock.now());
        rim.counters.packets_received.add();
        match codec::decode(bytes) {
            Ok(packet) => Some(Input::Packet {
                from: self.contact.clone(),
                class,
                packet,
            }),
            Err(error) => {
                rim.counters.malformed.add();
                rim.log_limited(self.contact.address, || {
                    format!("sent bytes that are no packet ({error}): dropped")
                });
                None
            }
        }
    }
}
