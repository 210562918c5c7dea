//! A node: a name and an address that last, and processes that come and go.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::network::Pipe;
use super::protocol::{Identity, Protocol};
use crate::member::Instance;
use crate::message::Contact;
use crate::name::{NodeId, NodeName};
use crate::output::{Class, Event, Signal, Target};
use crate::time::Instant;

/// How many packets a process's socket holds by default while it can't read; what comes after is
/// lost. Linux grants who asks for more twice its limit of 212,992 bytes, and counts 768 for a
/// small packet.
pub const SOCKET_PACKETS_MAX: usize = 500;
/// How much a process holds that can't send.
const HELD_PACKETS_MAX: usize = 4096;
/// A process that wants to be woken so often in one moment is spinning.
const WAKES_AT_ONCE_MAX: u32 = 1000;

/// A process's number: which of a node's lives it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life(pub(super) u32);

/// A node, running or not.
#[derive(Debug)]
pub struct Node<P: Protocol> {
    /// Its name.
    pub name: NodeName,
    /// Where it listens when it runs.
    pub address: SocketAddr,
    /// The name of the cluster that it is configured for.
    pub cluster_name: Arc<str>,
    /// Its labels.
    pub tags: BTreeMap<String, String>,
    /// How far its host's wall clock is ahead (or behind), in milliseconds.
    pub wall_offset_ms: i64,
    /// How much faster its host's clock runs, in millionths.
    pub drift_ppm: i64,
    /// What it keeps on disk.
    pub memory: P::Memory,
    /// The process, while there is one.
    pub process: Option<Process<P>>,
    /// While it is down: whether its host says so.
    pub(super) refuses: bool,
    /// What its processes told, ever, where the world keeps it.
    pub events: Vec<(Instant, Event)>,
    /// What they told their programs.
    pub signals: Vec<(Instant, Signal)>,
    /// Of whom its processes said that what they hold has changed, ever.
    pub changed: BTreeSet<NodeId>,
    /// What its processes sent, since this was last reset.
    pub sent: Sent,
    /// What did not fit into its queues, since this was last reset.
    pub dropped: Dropped,
    pub(super) uplink: Pipe,
    pub(super) downlink: Pipe,
    lives: u32,
}

/// A running (or stopped) process.
#[derive(Debug)]
pub struct Process<P: Protocol> {
    /// The state machine.
    pub engine: P,
    pub(super) life: Life,
    pub(super) stopped: Stopped<P>,
    /// What came and has not been read.
    pub(super) inbox: VecDeque<Received<P>>,
    /// Whether something is scheduled to read it.
    pub(super) works: bool,
    /// Until when the CPU has other work.
    pub(super) busy_until: Instant,
    /// When the engine wants to be woken, by the world's clock.
    pub(super) wake: Option<Instant>,
    pub(super) preparing: bool,
    /// When a handshake or a hail of its own last went unanswered.
    pub(super) unanswered: Option<Instant>,
    /// How many peers did not answer its hails.
    pub(super) silent: u32,
    clock: Clock,
    woken: (Instant, u32),
}

/// Whether a process runs.
#[derive(Debug)]
pub(super) enum Stopped<P: Protocol> {
    /// It does.
    No,
    /// Nothing of it does.
    Frozen {
        /// What its clock shows until it runs again, where that stands still too.
        shown: Option<Instant>,
    },
    /// Its timers do; what it sends is held.
    Blocked(Vec<(Target, Class, P::Packet)>),
}

/// A packet that has arrived.
#[derive(Debug)]
pub(super) struct Received<P: Protocol> {
    pub(super) from: Contact,
    pub(super) class: Class,
    pub(super) packet: P::Packet,
}

/// A host's clock.
#[derive(Clone, Copy, Debug)]
struct Clock {
    ppm: i64,
    /// By how many microseconds it was set forward (or stood still) since the process began.
    ahead: i64,
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Datagrams.
    pub datagrams: u64,
    /// Reliable messages.
    pub reliable: u64,
    /// Tries to begin a handshake.
    pub dials: u64,
    /// Packets that asked whether anybody is there, before a handshake.
    pub hails: u64,
    /// Handshakes that it took part in.
    pub handshakes: u64,
    /// Bytes, with all headers, acknowledgements and handshakes.
    pub bytes: u64,
    /// The CPU time that packets and handshakes cost, those that came included.
    pub cpu: Duration,
}

/// Packets that were dropped because a queue was full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Before the link that its host sends on.
    pub uplink: u64,
    /// Before the link that its host receives on.
    pub downlink: u64,
    /// In the socket of a process that did not read.
    pub socket: u64,
}

impl Sent {
    /// Datagrams and reliable messages.
    pub fn messages(&self) -> u64 {
        self.datagrams + self.reliable
    }
}

impl<P: Protocol> Node<P> {
    pub(super) fn new(name: NodeName, address: SocketAddr, seed: u128) -> Self {
        Self {
            name,
            address,
            cluster_name: "convoke".into(),
            tags: BTreeMap::new(),
            wall_offset_ms: 0,
            drift_ppm: 0,
            memory: P::blank(seed),
            process: None,
            refuses: false,
            events: Vec::new(),
            signals: Vec::new(),
            changed: BTreeSet::new(),
            sent: Sent::default(),
            dropped: Dropped::default(),
            uplink: Pipe::default(),
            downlink: Pipe::default(),
            lives: 0,
        }
    }

    /// Who a process that starts at this moment is.
    pub(super) fn identity(&self, now: Instant, rng: &mut fastrand::Rng) -> Identity {
        let wall_ms = super::protocol::wall_ms(now).saturating_add_signed(self.wall_offset_ms);
        Identity {
            contact: self.contact(),
            instance: Instance::new(wall_ms, rng.u64(..)),
            wall_ms,
            cluster_name: self.cluster_name.clone(),
            tags: self.tags.clone(),
        }
    }

    pub(super) fn start(&mut self, config: &P::Config, now: Instant, rng: &mut fastrand::Rng) {
        let identity = self.identity(now, rng);
        let clock = Clock::new(self.drift_ppm);
        let engine = P::start(
            config,
            &identity,
            &mut self.memory,
            rng.u64(..),
            clock.shown(now),
        );
        self.run(engine, now);
    }

    pub(super) fn run(&mut self, engine: P, now: Instant) {
        self.lives += 1;
        self.process = Some(Process {
            engine,
            life: Life(self.lives),
            stopped: Stopped::No,
            inbox: VecDeque::new(),
            works: false,
            busy_until: now,
            wake: None,
            preparing: false,
            unanswered: None,
            silent: 0,
            clock: Clock::new(self.drift_ppm),
            woken: (now, 0),
        });
    }

    /// The process is gone; what it had written stays.
    pub(super) fn end(&mut self, refuses: bool) {
        let process = self.process.take().expect("the node is up");
        process.engine.persist(&mut self.memory);
        self.refuses = refuses;
    }

    /// The id of its name.
    pub fn id(&self) -> NodeId {
        self.name.id()
    }

    /// Its name and address.
    pub fn contact(&self) -> Contact {
        Contact {
            name: self.name.clone(),
            address: self.address,
        }
    }

    /// The state machine of a node that is up.
    ///
    /// # Panics
    /// When the node is down.
    pub fn engine(&self) -> &P {
        &self.process.as_ref().expect("the node is up").engine
    }

    /// Up, and not frozen.
    pub fn is_running(&self) -> bool {
        self.process
            .as_ref()
            .is_some_and(|process| !process.is_frozen())
    }

    /// Up, frozen or not.
    pub fn is_up(&self) -> bool {
        self.process.is_some()
    }

    pub(super) fn process_mut(&mut self) -> &mut Process<P> {
        self.process.as_mut().expect("the node is up")
    }

    /// The process of that life, if it is not frozen or gone.
    pub(super) fn running(&mut self, life: Life) -> Option<&mut Process<P>> {
        self.process
            .as_mut()
            .filter(|process| process.life == life && !process.is_frozen())
    }
}

impl<P: Protocol> Process<P> {
    /// The time by this process's own clock.
    pub(super) fn clock(&self, now: Instant) -> Instant {
        self.clock.shown(now)
    }

    /// From now on its clock shows so much more.
    pub(super) fn set_clock_forward(&mut self, time: Duration) {
        let micros = i64::try_from(time.as_micros()).expect("less than an age");
        self.clock.ahead += micros;
    }

    /// Its clock shows this now, and goes on from there.
    pub(super) fn set_clock(&mut self, now: Instant, shown: Instant) {
        self.clock.set(now, shown);
    }

    /// From now on its clock runs so much faster, in millionths.
    pub(super) fn set_drift(&mut self, now: Instant, ppm: i64) {
        let shown = self.clock.shown(now);
        self.clock.ppm = ppm;
        self.clock.set(now, shown);
    }

    /// When its clock shows a time.
    pub(super) fn when(&self, shown: Instant) -> Instant {
        self.clock.when(shown)
    }

    pub(super) fn is_frozen(&self) -> bool {
        matches!(self.stopped, Stopped::Frozen { .. })
    }

    /// Whether it reads what comes.
    pub(super) fn reads(&self) -> bool {
        matches!(self.stopped, Stopped::No)
    }

    /// Counts wake-ups, to notice an engine that asks for the same moment over and over.
    pub(super) fn note_wake(&mut self, now: Instant) {
        let count = if self.woken.0 == now {
            self.woken.1 + 1
        } else {
            0
        };
        assert!(count < WAKES_AT_ONCE_MAX, "the engine spins at {now:?}");
        self.woken = (now, count);
    }
}

/// Keeps what a blocked process wants to send; of too much, the oldest goes.
pub(super) fn hold<T>(held: &mut Vec<T>, item: T) {
    if held.len() == HELD_PACKETS_MAX {
        held.remove(0);
    }
    held.push(item);
}

impl Clock {
    const fn new(ppm: i64) -> Self {
        Self { ppm, ahead: 0 }
    }

    fn shown(self, now: Instant) -> Instant {
        shift(scale(now, 1_000_000 + self.ppm, 1_000_000), self.ahead)
    }

    fn set(&mut self, now: Instant, shown: Instant) {
        let scaled = Self::new(self.ppm).shown(now);
        let micros = |at: Instant| i64::try_from(at.as_micros()).expect("less than an age");
        self.ahead = micros(shown) - micros(scaled);
    }

    fn when(self, shown: Instant) -> Instant {
        let shown = shift(shown, -self.ahead);
        if self.ppm == 0 {
            return shown;
        }
        scale(shown, 1_000_000, 1_000_000 + self.ppm) + Duration::from_micros(1)
    }
}

fn shift(at: Instant, micros: i64) -> Instant {
    Instant::from_micros(at.as_micros().saturating_add_signed(micros))
}

fn scale(at: Instant, by: i64, of: i64) -> Instant {
    if by == of {
        return at;
    }
    let micros = i128::from(at.as_micros()) * i128::from(by) / i128::from(of);
    Instant::from_micros(u64::try_from(micros).expect("a clock that runs shows a time"))
}
