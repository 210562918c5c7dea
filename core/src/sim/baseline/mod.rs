//! The protocols to compare with: `HashiCorp` memberlist's, and plain SWIM.
//!
//! Both are one state machine with other numbers ([`Config::lifeguard`], [`Config::swim`]):
//!
//! ```text
//!   every second   ping the next of a shuffled list ── no answer in 500 ms ──▶ three helpers ping
//!                  it, and a stream ── nothing by the end of the second ──▶ suspect it
//!   suspicion      broadcast; refuted by a higher incarnation, or dead when its time is over
//!   broadcasts     ride on pings and answers, and go to three random members five times a second,
//!                  each a bounded number of times
//!   full exchange  of all that is known with a random member, every 30 s and more seldom in large
//!                  groups; joining is one with the seed
//! ```
//!
//! Sources: SWIM (Das, Gupta, Motivala 2002), Lifeguard (Dadgar, Phillips, Currey 2017), and what
//! memberlist's documentation, issues and discussions say of its behaviour. Where memberlist differs
//! from the papers, this is memberlist: the direct timeout is not stretched by ill health, nor is
//! that of helpers; the dead are still sent gossip; who is dead in a full exchange is only
//! suspected; the count of members that timeouts depend on includes the dead until they are
//! forgotten.
//!
//! Simplified: a process whose sending blocks goes on with its timers, and what it wanted to send
//! goes when it can (in memberlist each loop stops at its next packet, which wrongs fewer: with
//! that, a hundredth of the verdicts about healthy members). The other simplifications are in the
//! baseline's favour or without effect on what is compared: one process handles a packet at once
//! and entirely (no handoff queue that can be full, no limit of concurrent exchanges); of what
//! came while a process was stopped, refutations are read before suspicions are judged (an answer
//! to a probe that is over comes too late all the same); encryption is off; there are no user
//! messages.

mod awareness;
mod broadcasts;
mod config;
mod joining;
mod judging;
mod members;
mod message;
mod probing;
mod spreading;
mod suspicion;
mod timers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use indexmap::IndexMap;

use crate::member::Profile;
use crate::message::Contact;
use crate::name::NodeId;
use crate::output::{Class, Event, Target};
use crate::time::Instant;

use super::protocol::{Action, Carrier, Health, Identity, Protocol};
use awareness::Awareness;
use broadcasts::Broadcasts;
use joining::{Departure, Joining};
use members::{MEMBERS_MAX, Members, Slot, State};
use message::Message;
use probing::{Probe, Relay};
use suspicion::Suspicion;
use timers::{Timer, Timers};

pub use config::Config;
pub use message::Packet;

/// The incarnation that a process starts at.
const FIRST_INCARNATION: u32 = 1;

/// One process of memberlist's, or of plain SWIM: a deterministic state machine.
#[derive(Debug)]
pub struct Baseline {
    config: Config,
    rng: fastrand::Rng,
    me: NodeId,
    contact: Contact,
    members: Members,
    /// This process's own incarnation.
    incarnation: u32,
    awareness: Awareness,
    suspicions: BTreeMap<NodeId, Suspicion>,
    broadcasts: Broadcasts,
    timers: Timers,

    /// The number of the last ping.
    seq: u32,
    probe: Probe,
    /// A probe is due that waits for the one under way.
    probe_waits: bool,
    relays: BTreeMap<u32, Relay>,
    /// A moment of a round of gossip: the others are whole intervals away.
    gossip_phase: Instant,

    joining: Option<Joining>,
    departure: Departure,
    /// Who failed, for attempts to reach them. Empty unless those are configured.
    lost: IndexMap<NodeId, Arc<Profile>>,

    out: VecDeque<Action<Packet>>,
    changed: BTreeSet<NodeId>,
}

/// What the settled members of a cluster have in common.
#[derive(Debug)]
pub struct Fleet(Members);

/// What a node's disk keeps: nothing, but with [`Config::rejoin`] whom its last process knew alive.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    contacts: Vec<Contact>,
}

impl Protocol for Baseline {
    type Packet = Packet;
    type Config = Config;
    type Memory = Memory;
    type Fleet = Fleet;

    fn blank(_seed: u128) -> Memory {
        Memory::default()
    }

    fn start(
        config: &Config,
        identity: &Identity,
        memory: &mut Memory,
        seed: u64,
        now: Instant,
    ) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let profile = Arc::new(Profile {
            name: identity.contact.name.clone(),
            life: members::life(FIRST_INCARNATION),
            instance: identity.instance,
            address: identity.contact.address,
            rpc_port: identity.contact.address.port().wrapping_add(1000),
            version: "".into(),
            side: None,
            tags: identity.tags.clone(),
        });
        let mut members = Members::empty();
        let slot = members
            .insert(&profile, &mut rng, now)
            .expect("an empty table has room");
        members.set(slot, FIRST_INCARNATION, State::Alive, now);
        let mut baseline = Self::with(config, identity.contact.clone(), members, rng, now);
        baseline.broadcast_alive(now, &profile);
        baseline.start_timers(now);
        if config.rejoin {
            baseline.rejoin(now, std::mem::take(&mut memory.contacts));
        }
        baseline
    }

    fn fleet(_config: &Config, profiles: &[Arc<Profile>], now: Instant) -> Fleet {
        assert!(profiles.len() <= MEMBERS_MAX, "a fleet within the limit");
        Fleet(Members::fleet(profiles, FIRST_INCARNATION, now))
    }

    fn settled(
        config: &Config,
        fleet: &Fleet,
        profile: &Arc<Profile>,
        _memory: &mut Memory,
        seed: u64,
        now: Instant,
    ) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut members = fleet.0.clone();
        members.scatter(&mut rng);
        let contact = contact_of(profile);
        let mut baseline = Self::with(config, contact, members, rng, now);
        baseline.settle_timers(now);
        baseline
    }

    fn persist(&self, memory: &mut Memory) {
        memory.contacts.clear();
        if self.config.rejoin && self.departure == Departure::Staying {
            let others = self
                .members
                .iter()
                .filter(|&(slot, entry)| entry.state.is_present() && !self.is_me(slot));
            memory
                .contacts
                .extend(others.map(|(slot, _)| self.contact(slot)));
        }
    }

    fn handle_packet(&mut self, now: Instant, from: &Contact, class: Class, packet: Packet) {
        for message in packet.messages {
            if self.departure == Departure::Gone {
                return;
            }
            self.on_message(now, from, class, message);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        // A timer that is set anew for this very moment waits for the next call.
        for _ in 0..self.timers.len() {
            let Some((due, timer)) = self.timers.expire(now) else {
                break;
            };
            self.on_timer(now, due, timer);
        }
    }

    fn handle_unreachable(&mut self, now: Instant, to: &Target, cause: &'static str) {
        self.on_seed_unreachable(now, to, cause);
    }

    fn join(&mut self, now: Instant, seed: &Target) {
        self.begin_join(now, seed.clone());
    }

    fn leave(&mut self, now: Instant) {
        self.begin_leave(now);
    }

    fn poll(&mut self, _now: Instant) -> Action<Packet> {
        if self.out.is_empty() {
            self.finish_leave_when_told();
        }
        if let Some(action) = self.out.pop_front() {
            return action;
        }
        match self.changed.pop_first() {
            Some(id) => Action::Changed(id),
            None => Action::Wake(self.timers.next()),
        }
    }

    fn packet_bytes(packet: &Packet) -> usize {
        packet.bytes()
    }

    fn carrier() -> Carrier {
        Carrier::UdpTcp
    }

    fn size(&self) -> usize {
        self.members.present()
    }

    fn digest(&self) -> u64 {
        self.members.digest()
    }

    fn health(&self, id: NodeId) -> Health {
        let slot = self.members.find(id);
        match slot.map(|slot| self.members.entry(slot).state) {
            Some(State::Alive) => Health::Alive,
            Some(State::Suspect) => Health::Suspect,
            Some(State::Dead) => Health::Failed,
            Some(State::Left) => Health::Left,
            Some(State::Unknown) | None => Health::Unknown,
        }
    }

    fn check(&self) -> Result<(), String> {
        let known = self.members.len();
        let bounds = [
            ("members", known, MEMBERS_MAX),
            ("broadcasts", self.broadcasts.len(), MEMBERS_MAX),
            ("suspicions", self.suspicions.len(), self.members.present()),
            ("relayed probes", self.relays.len(), probing::RELAYS_MAX),
            ("lost members", self.lost.len(), MEMBERS_MAX),
            ("present members", self.members.present(), known),
        ];
        let over = bounds.iter().find(|(_, count, limit)| count > limit);
        match over {
            Some((what, count, limit)) => Err(format!("{count} {what}, at most {limit}")),
            None => Ok(()),
        }
    }
}

impl Baseline {
    fn with(
        config: &Config,
        contact: Contact,
        members: Members,
        rng: fastrand::Rng,
        now: Instant,
    ) -> Self {
        Self {
            me: contact.id(),
            contact,
            members,
            rng,
            incarnation: FIRST_INCARNATION,
            awareness: Awareness::new(config.awareness_levels),
            suspicions: BTreeMap::new(),
            broadcasts: Broadcasts::default(),
            timers: Timers::default(),
            seq: 0,
            probe: Probe::Idle,
            probe_waits: false,
            relays: BTreeMap::new(),
            gossip_phase: now,
            joining: None,
            departure: Departure::Staying,
            lost: IndexMap::new(),
            out: VecDeque::new(),
            changed: BTreeSet::new(),
            config: config.clone(),
        }
    }

    /// The timers of a process that just started: each begins after a random wait, so that those
    /// who start together do not act together.
    fn start_timers(&mut self, now: Instant) {
        let config = self.config.clone();
        let probe = now + self.part_of(config.probe_interval) + config.probe_interval;
        self.timers.set(Timer::Probe, probe);
        self.gossip_phase = now + self.part_of(config.gossip_interval);
        let stagger = now + self.part_of(config.push_pull_interval);
        self.timers.set(Timer::Stagger, stagger);
        if let Some(interval) = config.reconnect {
            self.timers.set(Timer::Reconnect, now + interval);
        }
    }

    /// The timers of a process that has been running for long: anywhere in their period.
    fn settle_timers(&mut self, now: Instant) {
        let config = self.config.clone();
        let probe = now + self.part_of(config.probe_interval);
        self.timers.set(Timer::Probe, probe);
        self.gossip_phase = now + self.part_of(config.gossip_interval);
        let pause = config.push_pull_pause(self.members.len());
        let push_pull = now + self.part_of(pause);
        self.timers.set(Timer::PushPull, push_pull);
        if let Some(interval) = config.reconnect {
            let reconnect = now + self.part_of(interval);
            self.timers.set(Timer::Reconnect, reconnect);
        }
    }

    /// A random part of an interval.
    fn part_of(&mut self, interval: std::time::Duration) -> std::time::Duration {
        interval.mul_f64(self.rng.f64())
    }

    fn on_message(&mut self, now: Instant, from: &Contact, class: Class, message: Message) {
        match message {
            Message::Ping { seq, node, .. } => self.on_ping(from, class, seq, &node),
            Message::IndirectPing {
                seq, target, nack, ..
            } => self.on_indirect_ping(now, from, seq, *target, nack),
            Message::Ack(seq) => self.on_ack(now, class, seq),
            Message::Nack(seq) => self.on_nack(seq),
            Message::Suspect(claim) => self.on_suspect(now, &claim),
            Message::Dead(claim) => self.on_dead(now, &claim),
            Message::Alive {
                profile,
                incarnation,
            } => self.on_alive(now, profile.id(), &profile, incarnation),
            Message::PushPull { list, answer } => self.on_push_pull(now, from, &list, answer),
        }
    }

    fn on_timer(&mut self, now: Instant, due: Instant, timer: Timer) {
        match timer {
            Timer::Probe => self.on_probe_due(now, due),
            Timer::ProbeStage => self.on_probe_stage(now),
            Timer::Relay(seq) => self.on_relay_silent(seq),
            Timer::Suspicion(id) => self.on_suspicion_over(now, id),
            Timer::Gossip => self.on_gossip_due(now),
            Timer::Stagger => self.schedule_push_pull(now),
            Timer::PushPull => self.on_push_pull_due(now),
            Timer::Reconnect => self.on_reconnect_due(now),
            Timer::Join => self.on_join_timeout(now),
            Timer::Leave => self.finish_leave(),
        }
    }

    fn is_me(&self, slot: Slot) -> bool {
        self.members.find(self.me) == Some(slot)
    }

    fn contact(&self, slot: Slot) -> Contact {
        contact_of(self.members.profile(slot))
    }

    fn tell(&mut self, event: Event) {
        self.out.push_back(Action::Event(event));
    }

    /// Sends messages as they are.
    fn send(&mut self, to: Target, class: Class, messages: Vec<Message>) {
        let packet = Packet::new(messages, class, self.config.compression);
        self.out.push_back(Action::Transmit { to, class, packet });
    }
}

fn contact_of(profile: &Profile) -> Contact {
    Contact {
        name: profile.name.clone(),
        address: profile.address,
    }
}

#[cfg(test)]
mod tests;
