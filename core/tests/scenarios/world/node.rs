//! A node: a name and an address that last, and processes that come and go.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use convoke_core::member::Standing;
use convoke_core::{
    Acquaintance, Admission, Class, ClusterId, Config, Contact, Engine, Event, Incarnation,
    Instance, Instant, Membership, NodeId, NodeName, Packet, Signal, Start,
};

use super::{EPOCH_MS, Payload, WAKES_AT_ONCE_MAX};

/// What a paused process's socket holds; what comes after is lost.
const SOCKET_PACKETS_MAX: usize = 500;

/// A process's number: which of a node's lives it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life(u32);

/// A node, running or not.
pub(crate) struct Node {
    pub(crate) name: NodeName,
    pub(crate) address: SocketAddr,
    pub(crate) cluster_name: Arc<str>,
    pub(crate) tags: BTreeMap<String, String>,
    /// What it keeps on disk.
    pub(crate) memory: Memory,
    pub(crate) process: Option<Process>,
    /// While it is down: whether its host says so.
    pub(super) refuses: bool,
    /// What its processes told, ever.
    pub(crate) events: Vec<(Instant, Event)>,
    pub(crate) signals: Vec<(Instant, Signal)>,
    /// Of whom its processes said that what they hold has changed, ever.
    pub(crate) changed: BTreeSet<NodeId>,
    /// What its processes sent, ever.
    pub(crate) sent: Sent,
    lives: u32,
}

/// A data directory.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    pub(crate) membership: Membership,
    pub(crate) contacts: Vec<Acquaintance>,
    pub(crate) tombstones: Vec<(NodeId, Admission)>,
}

/// A running (or paused) process.
pub(crate) struct Process {
    pub(crate) engine: Engine,
    pub(crate) life: Life,
    /// While paused: what waits in the socket.
    pub(super) paused: Option<VecDeque<Received>>,
    /// When the engine wants to be woken.
    pub(super) wake: Option<Instant>,
    pub(super) preparing: bool,
    woken: (Instant, u32),
}

/// A packet that has arrived.
pub(crate) struct Received {
    pub(super) from: Contact,
    pub(super) class: Class,
    pub(super) packet: Packet,
}

/// Counts of what was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) datagrams: u64,
    pub(crate) reliable: u64,
    /// Payloads only, and only of packets that went through the codec.
    pub(crate) bytes: u64,
}

impl Node {
    pub(super) fn new(name: NodeName, address: SocketAddr, cluster: u128) -> Self {
        let membership = Membership::founding(ClusterId(cluster), Incarnation(EPOCH_MS), false);
        Self {
            name,
            address,
            cluster_name: "convoke".into(),
            tags: BTreeMap::new(),
            memory: Memory {
                membership,
                contacts: Vec::new(),
                tombstones: Vec::new(),
            },
            process: None,
            refuses: false,
            events: Vec::new(),
            signals: Vec::new(),
            changed: BTreeSet::new(),
            sent: Sent::default(),
            lives: 0,
        }
    }

    pub(super) fn start(&mut self, config: Config, now: Instant, rng: &mut fastrand::Rng) {
        let now_ms = EPOCH_MS + now.as_micros() / 1000;
        let persisted = self.memory.membership.incarnation.0;
        self.memory.membership.incarnation = Incarnation(now_ms.max(persisted + 1));
        let start = Start {
            name: self.name.clone(),
            address: self.address,
            rpc_port: self.address.port() + 1000,
            instance: Instance::new(now_ms, rng.u64(..)),
            version: "0.1.0".into(),
            tags: self.tags.clone(),
            cluster_name: self.cluster_name.clone(),
            membership: self.memory.membership.clone(),
            contacts: self.memory.contacts.clone(),
            tombstones: self.memory.tombstones.clone(),
        };
        self.lives += 1;
        self.process = Some(Process {
            engine: Engine::new(config, start, rng.u64(..), now),
            life: Life(self.lives),
            paused: None,
            wake: None,
            preparing: false,
            woken: (now, 0),
        });
    }

    /// The process is gone; what it had written stays.
    pub(super) fn end(&mut self, refuses: bool) {
        let process = self.process.take().expect("the node is up");
        self.memory.contacts = process.engine.acquaintances();
        self.memory.tombstones = process.engine.tombstones();
        self.refuses = refuses;
    }

    /// Takes the node's data directory away. The next start founds a cluster.
    pub(crate) fn forget(&mut self, cluster: ClusterId) {
        let membership = Membership::founding(cluster, Incarnation(EPOCH_MS), false);
        self.memory = Memory {
            membership,
            contacts: Vec::new(),
            tombstones: Vec::new(),
        };
    }

    pub(crate) fn id(&self) -> NodeId {
        self.name.id()
    }

    pub(crate) fn contact(&self) -> Contact {
        Contact {
            name: self.name.clone(),
            address: self.address,
        }
    }

    /// The engine of a node that is up.
    pub(crate) fn engine(&self) -> &Engine {
        &self.process.as_ref().expect("the node is up").engine
    }

    /// What this node holds of another.
    pub(crate) fn standing_of(&self, id: NodeId) -> Option<Standing> {
        self.engine().member(id).map(|member| member.standing)
    }

    /// Up, and not paused.
    pub(crate) fn is_running(&self) -> bool {
        self.process
            .as_ref()
            .is_some_and(|process| process.paused.is_none())
    }

    pub(super) fn process_mut(&mut self) -> &mut Process {
        self.process.as_mut().expect("the node is up")
    }

    /// The process of that life, if it is not paused or gone.
    pub(super) fn running(&mut self, life: Life) -> Option<&mut Process> {
        self.process
            .as_mut()
            .filter(|process| process.life == life && process.paused.is_none())
    }
}

impl Process {
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

impl Sent {
    pub(super) fn add(&mut self, class: Class, payload: &Payload) {
        match class {
            Class::Datagram => self.datagrams += 1,
            Class::Reliable => self.reliable += 1,
        }
        if let Payload::Bytes(bytes) = payload {
            self.bytes += bytes.len() as u64;
        }
    }
}

/// Puts a packet into a paused process's socket, if there is room.
pub(super) fn wait(waiting: &mut VecDeque<Received>, received: Received) {
    if waiting.len() < SOCKET_PACKETS_MAX {
        waiting.push_back(received);
    }
}
