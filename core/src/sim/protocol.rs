//! What the simulator runs: a membership protocol as a state machine without I/O.
//!
//! Two implementations share every network, fault and measurement: [`crate::Engine`] and the
//! baselines of [`super::baseline`]. What a node is called, where it listens and what it tells
//! are the same types for all of them; only what crosses the network differs.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::member::{Instance, Profile, Standing};
use crate::message::Contact;
use crate::name::NodeId;
use crate::output::{Class, Event, Signal, Target};
use crate::time::Instant;

/// A membership protocol: call an input method, then [`Protocol::poll`] until it says
/// [`Action::Wake`].
pub trait Protocol: Sized {
    /// What crosses the network at once.
    type Packet: Clone + fmt::Debug;
    /// Its parameters.
    type Config: Clone + fmt::Debug;
    /// What a node's disk keeps between its processes.
    type Memory: Clone + fmt::Debug;
    /// What all nodes of a cluster that has settled long ago have in common. Made once, and shared
    /// by all of them, for a list of ten thousand members is not to be built ten thousand times.
    type Fleet;

    /// The disk of a node that never ran. `seed` is for what is random in it.
    fn blank(seed: u128) -> Self::Memory;

    /// A process starts, alone, with what its node remembers.
    fn start(
        config: &Self::Config,
        identity: &Identity,
        memory: &mut Self::Memory,
        seed: u64,
        now: Instant,
    ) -> Self;

    /// What the settled members of one cluster have in common.
    fn fleet(config: &Self::Config, profiles: &[Arc<Profile>], now: Instant) -> Self::Fleet;

    /// A process that has been a member of that fleet for long: everyone knows everyone.
    fn settled(
        config: &Self::Config,
        fleet: &Self::Fleet,
        profile: &Arc<Profile>,
        memory: &mut Self::Memory,
        seed: u64,
        now: Instant,
    ) -> Self;

    /// The process ends without a word: what its disk holds now.
    fn persist(&self, memory: &mut Self::Memory);

    /// A packet came from a node at that address.
    fn handle_packet(&mut self, now: Instant, from: &Contact, class: Class, packet: Self::Packet);

    /// Time passed. Calls that come early do nothing.
    fn handle_timeout(&mut self, now: Instant);

    /// A packet could not be carried to its target. A hint, no proof.
    fn handle_unreachable(&mut self, now: Instant, to: &Target, cause: &'static str);

    /// A host that was knocked at ([`Action::Knock`]) says that nothing listens there.
    fn handle_refused(&mut self, _now: Instant, _at: &Contact) {}

    /// Joins the cluster of whoever listens there.
    fn join(&mut self, now: Instant, seed: &Target);

    /// Says goodbye, for good.
    fn leave(&mut self, now: Instant);

    /// Says goodbye before its process ends. It may come back.
    fn shut_down(&mut self, now: Instant) {
        self.leave(now);
    }

    /// Whether a process that starts again finds back by what its disk keeps.
    fn remembers() -> bool {
        false
    }

    /// The next thing to do.
    fn poll(&mut self, now: Instant) -> Action<Self::Packet>;

    /// What it asked its program to prepare ([`Signal::Prepare`]) is prepared.
    fn prepared(&mut self, _now: Instant) {}

    /// What a signal says that the disk is to keep.
    fn remember(_memory: &mut Self::Memory, _signal: &Signal) {}

    /// What comes out at the other end of the encoder.
    fn through_codec(_config: &Self::Config, _class: Class, packet: Self::Packet) -> Self::Packet {
        packet
    }

    /// The accepted fact that it holds about another node, for those protocols whose facts are
    /// ordered: the order never goes back.
    fn standing_of(&self, _id: NodeId) -> Option<Standing> {
        None
    }

    /// The cluster that it is in, for those protocols that tell clusters apart: within one, a life
    /// is raised by its owner alone.
    fn cluster(&self) -> u128 {
        0
    }

    /// The size of a packet in bytes, as its encoder makes it, without the transport's headers.
    fn packet_bytes(packet: &Self::Packet) -> usize;

    /// How long a datagram waits for a handshake, and a handshake goes on for datagrams alone.
    fn cold_patience(_config: &Self::Config) -> Duration {
        Duration::ZERO
    }

    /// How its packets travel.
    fn carrier() -> Carrier;

    /// How many members it holds as present, itself included.
    fn size(&self) -> usize;

    /// Equal on two nodes exactly when they hold the same present members at the same
    /// incarnations (but for a collision of hashes).
    fn digest(&self) -> u64;

    /// What it holds of another node.
    fn health(&self, id: NodeId) -> Health;

    /// Checks what must always hold of one process by itself: limits of queues, views that agree
    /// with their digest. Called after every step where checkers are on; must be cheap.
    ///
    /// # Errors
    /// What does not hold.
    fn check(&self) -> Result<(), String>;
}

/// Who a process is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its name and gossip address.
    pub contact: Contact,
    /// This process: drawn at its start.
    pub instance: Instance,
    /// The wall clock at its start, in milliseconds since 1970, as its host shows it.
    pub wall_ms: u64,
    /// The name of the cluster that it is configured for.
    pub cluster_name: Arc<str>,
    /// Its labels.
    pub tags: std::collections::BTreeMap<String, String>,
}

/// One thing that a process wants done.
#[derive(Clone, Debug)]
pub enum Action<P> {
    /// Send a packet.
    Transmit {
        /// To whom.
        to: Target,
        /// How.
        class: Class,
        /// What.
        packet: P,
    },
    /// Ask a host whether anything listens at that port.
    Knock(Contact),
    /// It tells what it sees.
    Event(Event),
    /// It tells its own program something.
    Signal(Signal),
    /// What it holds of this node has changed.
    Changed(NodeId),
    /// Nothing more until then, unless another input comes first. Always the last.
    Wake(Option<Instant>),
}

/// How a protocol's packets travel, for delays, bytes and CPU time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// QUIC for both classes: a handshake before the first packet, acknowledgements, AEAD.
    Quic,
    /// Bare UDP datagrams; a TCP connection for each exchange that is reliable.
    UdpTcp,
}

/// What a node holds of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    /// Present.
    Alive,
    /// Present, and accused.
    Suspect,
    /// Found dead.
    Failed,
    /// Said goodbye.
    Left,
    /// Removed by an operator.
    Removed,
    /// Never heard of, or forgotten.
    Unknown,
}

/// The wall clock of a world's first moment: milliseconds since 1970.
pub const EPOCH_MS: u64 = 1_782_120_000_000;

/// The wall clock at a moment of the world.
pub fn wall_ms(now: Instant) -> u64 {
    EPOCH_MS + u64::try_from(now.since(Instant::ORIGIN).as_millis()).unwrap_or(u64::MAX - EPOCH_MS)
}

/// How long a stream goes on trying.
pub const STREAM_TIMEOUT: Duration = Duration::from_secs(10);
