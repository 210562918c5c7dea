//! The engine as a protocol of the simulator, and what only it can be asked.

use std::sync::Arc;
use std::time::Duration;

use super::protocol::{Action, Carrier, EPOCH_MS, Health, Identity, Protocol};
use super::world::World;
use crate::codec::{self, HEADER_BYTES, PACKET_BYTES_MAX, message_bytes};
use crate::config::Config;
use crate::engine::{Acquaintance, Departure, Engine, Start};
use crate::member::{Admission, Incarnation, Life, Profile, Standing, State};
use crate::message::{ClusterId, Contact, Message, Packet, Rumor};
use crate::name::NodeId;
use crate::output::{Class, JoinError, Membership, Output, Signal, Target, Transmit};
use crate::roster::Roster;
use crate::time::Instant;

/// A data directory.
#[derive(Clone, Debug)]
pub struct Memory {
    /// What must be remembered.
    pub membership: Membership,
    /// The address book.
    pub contacts: Vec<Acquaintance>,
    /// The removals.
    pub tombstones: Vec<(NodeId, Admission)>,
}

/// What the members of a settled cluster hold: all the same.
#[derive(Debug)]
pub struct Fleet(Roster);

/// The cluster that a settled fleet is.
const SETTLED: ClusterId = ClusterId(7);

impl Memory {
    /// A data directory with nothing in it but a cluster of the node's own.
    pub fn blank(cluster: ClusterId) -> Self {
        Self {
            membership: Membership::founding(cluster, Incarnation(EPOCH_MS), false),
            contacts: Vec::new(),
            tombstones: Vec::new(),
        }
    }
}

/// What a process says of itself.
pub(super) fn profile(identity: &Identity) -> Arc<Profile> {
    Arc::new(Profile {
        name: identity.contact.name.clone(),
        life: Life {
            admission: Admission(1),
            incarnation: Incarnation(identity.wall_ms),
        },
        instance: identity.instance,
        address: identity.contact.address,
        rpc_port: identity.contact.address.port() + 1000,
        version: "0.1.0".into(),
        side: None,
        tags: identity.tags.clone(),
    })
}

fn start(profile: &Profile, cluster_name: Arc<str>, memory: &Memory) -> Start {
    Start {
        name: profile.name.clone(),
        address: profile.address,
        rpc_port: profile.rpc_port,
        instance: profile.instance,
        version: profile.version.clone(),
        tags: profile.tags.clone(),
        cluster_name,
        membership: memory.membership.clone(),
        contacts: memory.contacts.clone(),
        tombstones: memory.tombstones.clone(),
    }
}

impl Protocol for Engine {
    type Packet = Packet;
    type Config = Config;
    type Memory = Memory;
    type Fleet = Fleet;

    fn blank(seed: u128) -> Memory {
        Memory::blank(ClusterId(seed))
    }

    fn start(
        config: &Config,
        identity: &Identity,
        memory: &mut Memory,
        seed: u64,
        now: Instant,
    ) -> Self {
        let persisted = memory.membership.incarnation.0;
        memory.membership.incarnation = Incarnation(identity.wall_ms.max(persisted + 1));
        let start = start(&profile(identity), identity.cluster_name.clone(), memory);
        Self::new(config.clone(), start, seed, now)
    }

    fn fleet(config: &Config, profiles: &[Arc<Profile>], now: Instant) -> Fleet {
        let mut roster = Roster::new(config);
        for profile in profiles {
            roster.apply(now, &Rumor::Alive(profile.clone()));
        }
        Fleet(roster)
    }

    fn settled(
        config: &Config,
        fleet: &Fleet,
        profile: &Arc<Profile>,
        memory: &mut Memory,
        seed: u64,
        now: Instant,
    ) -> Self {
        memory.membership = Membership {
            admitted: true,
            ..Membership::founding(SETTLED, profile.life.incarnation, false)
        };
        let start = start(profile, "convoke".into(), memory);
        Self::new(config.clone(), start, seed, now).among(fleet.0.clone())
    }

    fn persist(&self, memory: &mut Memory) {
        memory.contacts = self.acquaintances();
        memory.tombstones = self.tombstones();
    }

    fn handle_packet(&mut self, now: Instant, from: &Contact, class: Class, packet: Packet) {
        Self::handle_packet(self, now, from, class, packet);
    }

    fn handle_timeout(&mut self, now: Instant) {
        Self::handle_timeout(self, now);
    }

    fn handle_unreachable(&mut self, now: Instant, to: &Target, cause: &'static str) {
        Self::handle_unreachable(self, now, to, cause);
    }

    fn handle_refused(&mut self, now: Instant, at: &Contact) {
        Self::handle_refused(self, now, at);
    }

    fn join(&mut self, now: Instant, seed: &Target) {
        // A node that can't begin a join now tells so by not being a member.
        let _ = Self::join(self, now, seed.clone());
    }

    fn leave(&mut self, now: Instant) {
        // The same of one that is alone.
        let _ = Self::leave(self, now, Departure::Leave);
    }

    fn shut_down(&mut self, now: Instant) {
        let _ = Self::leave(self, now, Departure::Shutdown);
    }

    fn remembers() -> bool {
        true
    }

    fn poll(&mut self, _now: Instant) -> Action<Packet> {
        match self.poll_output() {
            Output::Transmit(Transmit { to, class, packet }) => {
                Action::Transmit { to, class, packet }
            }
            Output::Knock(contact) => Action::Knock(contact),
            Output::Event(event) => Action::Event(event),
            Output::Signal(signal) => Action::Signal(signal),
            Output::Changed(id) => Action::Changed(id),
            Output::Timeout(at) => Action::Wake(at),
        }
    }

    fn prepared(&mut self, now: Instant) {
        Self::prepared(self, now);
    }

    fn remember(memory: &mut Memory, signal: &Signal) {
        if let Signal::Membership(membership) = signal {
            memory.membership = membership.clone();
        }
    }

    fn through_codec(config: &Config, class: Class, packet: Packet) -> Packet {
        let bytes_max = match class {
            Class::Datagram => config.datagram_bytes_max,
            Class::Reliable => PACKET_BYTES_MAX,
        };
        let bytes = codec::encode(&packet);
        assert!(
            bytes.len() <= bytes_max,
            "{} bytes at once: {packet:?}",
            bytes.len()
        );
        codec::decode(&bytes).expect("what an engine says can be encoded and decoded")
    }

    fn standing_of(&self, id: NodeId) -> Option<Standing> {
        let member = self.member(id).map(|member| member.standing);
        member.or_else(|| self.floor(id))
    }

    fn cluster(&self) -> u128 {
        self.membership().cluster.0
    }

    fn packet_bytes(packet: &Packet) -> usize {
        HEADER_BYTES + packet.messages.iter().map(message_bytes).sum::<usize>()
    }

    fn cold_patience(config: &Config) -> Duration {
        config.cold_patience()
    }

    fn carrier() -> Carrier {
        Carrier::Quic
    }

    fn size(&self) -> usize {
        Self::size(self)
    }

    fn digest(&self) -> u64 {
        self.fingerprint().0
    }

    fn health(&self, id: NodeId) -> Health {
        match self.member(id) {
            None => Health::Unknown,
            Some(member) => match member.standing.state {
                State::Alive if member.suspected => Health::Suspect,
                State::Alive => Health::Alive,
                State::Failed => Health::Failed,
                State::Left => Health::Left,
                State::Removed => Health::Removed,
            },
        }
    }

    fn check(&self) -> Result<(), String> {
        self.check_limits()
    }
}

/// A world of engines.
impl World<Engine> {
    /// An empty world with the LAN's configuration.
    pub fn new(seed: u64) -> Self {
        Self::empty(seed, Config::lan())
    }

    /// A cluster of `size` nodes that has come to rest: everyone joined node 0, a few at a time.
    pub fn cluster(seed: u64, size: usize) -> Self {
        let mut world = Self::new(seed);
        world.grow(size);
        world
    }

    /// Adds `size` nodes (the first one of the world founds the cluster) and lets it come to rest.
    ///
    /// # Panics
    /// When it does not.
    pub fn grow(&mut self, size: usize) {
        let first = self.nodes.len();
        self.add_many(size);
        for number in first.max(1)..first + size {
            self.begin_join(number, 0);
            if number % 8 == 0 {
                self.run_for(Duration::from_millis(20));
            }
        }
        let converged = self.run_until(Duration::from_secs(20), Self::is_converged);
        assert!(
            converged.is_some(),
            "a cluster of {size} forms:\n{}",
            self.describe()
        );
        self.run_for(Duration::from_secs(5));
        assert!(
            self.is_converged(),
            "a cluster at rest stays so:\n{}",
            self.describe()
        );
    }

    /// Begins a join that may be begun.
    ///
    /// # Panics
    /// When it may not.
    pub fn begin_join(&mut self, joiner: usize, target: usize) {
        self.checked.note_join(joiner, target);
        let target = Target::Node(self.nodes[target].contact());
        self.tell(joiner, |engine, now| engine.join(now, target))
            .expect("the join is begun");
    }

    /// A join, and how it ended.
    ///
    /// # Errors
    /// Those of the join.
    pub fn join(&mut self, joiner: usize, target: usize) -> Result<(), JoinError> {
        self.checked.note_join(joiner, target);
        let target = Target::Node(self.nodes[target].contact());
        self.tell(joiner, |engine, now| engine.join(now, target))?;
        self.join_ended(joiner)
    }

    /// Waits for the end of a join that has been begun.
    ///
    /// # Errors
    /// Those of the join.
    ///
    /// # Panics
    /// When it does not end.
    pub fn join_ended(&mut self, joiner: usize) -> Result<(), JoinError> {
        let ends = |world: &Self| {
            let ended = |(_, signal): &&_| matches!(signal, Signal::JoinEnded(_));
            world.nodes[joiner].signals.iter().filter(ended).count()
        };
        let before = ends(self);
        self.run_until(Duration::from_secs(15), |world| ends(world) > before)
            .expect("a join ends within its limit");
        let ended = |(_, signal): &(Instant, Signal)| match signal {
            Signal::JoinEnded(result) => Some(result.clone()),
            _ => None,
        };
        let last = self.nodes[joiner].signals.iter().rev().find_map(ended);
        last.expect("counted above")
    }

    /// A leave, until its end.
    ///
    /// # Panics
    /// When it does not begin, or does not end.
    pub fn leave(&mut self, leaver: usize, departure: Departure) {
        let begun = self.now;
        self.tell(leaver, |engine, now| engine.leave(now, departure))
            .expect("the leave is begun");
        let ended = |world: &Self| {
            let mut signals = world.nodes[leaver].signals.iter().rev();
            signals.any(|(at, signal)| *at >= begun && *signal == Signal::LeaveEnded)
        };
        self.run_until(Duration::from_secs(5), ended)
            .expect("a leave ends within its linger");
    }

    /// The graceful end of a process.
    pub fn shut_down(&mut self, number: usize) {
        self.leave(number, Departure::Shutdown);
        self.crash(number);
    }

    /// Takes a node's data directory away. The next start founds a cluster.
    pub fn forget(&mut self, number: usize, cluster: ClusterId) {
        self.nodes[number].memory = Memory::blank(cluster);
        self.checked.note_forgotten(number);
    }

    /// Sends messages that `from` never thought of, in its name.
    pub fn forge(&mut self, from: usize, to: usize, messages: Vec<Message>) {
        let sender = self.nodes[from].engine();
        let packet = Packet {
            cluster: sender.membership().cluster.tag(),
            fingerprint: sender.fingerprint(),
            messages: messages.into(),
        };
        let to = Target::Node(self.nodes[to].contact());
        self.transmit(from, to, Class::Reliable, packet);
    }
}
