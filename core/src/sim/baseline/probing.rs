//! Probes: one member a second, round robin; directly, then through helpers and over a stream.
//!
//! A probe ends with the first answer to a datagram, or at the end of its interval. An interval is
//! stretched by ill health, and a probe that is due meanwhile waits: so an ill node probes less.
//! Source: SWIM §3.1, §4.3; Lifeguard §IV.A; memberlist's stream ping.

use std::time::Duration;

use crate::message::Contact;
use crate::name::{NodeId, NodeName};
use crate::output::{Class, Event, MemberEvent, Target};
use crate::time::Instant;

use super::Baseline;
use super::members::{Slot, State, life};
use super::message::Message;
use super::timers::Timer;

/// The most probes for others that are under way. Beyond them requests are not served; with 3
/// requests a second from each of ten thousand it would take a node that all of them pick.
pub(super) const RELAYS_MAX: usize = 16_384;

/// The probe that is under way.
#[derive(Debug)]
pub(super) enum Probe {
    /// None.
    Idle,
    /// The target was pinged.
    Direct(Round),
    /// It did not answer: helpers were asked, and a stream opened.
    Indirect {
        /// What is being asked.
        round: Round,
        /// How many helpers will say that it did not answer them either.
        nacks_expected: u32,
        /// How many did.
        nacks: u32,
        /// It answered on the stream.
        contacted: bool,
    },
}

/// A probe.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    /// The number that an answer repeats.
    seq: u32,
    target: NodeId,
    /// The incarnation that is accused if there is no answer.
    incarnation: u32,
    /// When it is over.
    end: Instant,
}

/// A probe for somebody else.
#[derive(Debug)]
pub(super) struct Relay {
    requester: Contact,
    /// The number under which the requester asked.
    seq: u32,
    /// Whether the requester is told of silence too.
    nack: bool,
}

impl Baseline {
    /// It is time for a probe.
    pub(super) fn on_probe_due(&mut self, now: Instant, due: Instant) {
        let next = next_tick(due, self.config.probe_interval, now);
        self.timers.set(Timer::Probe, next);
        match self.probe {
            Probe::Idle => self.probe_next(now),
            _ => self.probe_waits = true,
        }
    }

    fn probe_next(&mut self, now: Instant) {
        for _ in 0..=self.members.len() {
            let Some(slot) = self.members.next_turn() else {
                self.begin_pass(now);
                continue;
            };
            if !self.is_me(slot) && self.members.entry(slot).state.is_present() {
                return self.begin_probe(now, slot);
            }
        }
    }

    fn begin_pass(&mut self, now: Instant) {
        let gone_before = now.before(self.config.gossip_to_dead);
        for (profile, incarnation) in self.members.begin_pass(gone_before, &mut self.rng) {
            self.changed.insert(profile.id());
            let name = profile.name.clone();
            let life = life(incarnation);
            self.tell(Event::MemberForgotten(MemberEvent { name, life }));
        }
    }

    pub(super) fn begin_probe(&mut self, now: Instant, slot: Slot) {
        let entry = self.members.entry(slot);
        let contact = self.contact(slot);
        let round = Round {
            seq: self.next_seq(),
            target: contact.id(),
            incarnation: entry.incarnation,
            end: now + self.awareness.stretch(self.config.probe_interval),
        };
        let ping = self.ping(round.seq, &contact.name);
        if self.config.buddy && entry.state == State::Suspect {
            let suspect = Message::Suspect(self.claim(slot, entry.incarnation));
            self.send(Target::Node(contact), Class::Datagram, vec![ping, suspect]);
        } else {
            self.send_with_broadcasts(contact, ping);
        }
        self.probe = Probe::Direct(round);
        let timeout = now + self.direct_timeout();
        self.timers.set(Timer::ProbeStage, timeout.min(round.end));
    }

    fn direct_timeout(&self) -> Duration {
        if self.config.probe_timeout_scales {
            self.awareness.stretch(self.config.probe_timeout)
        } else {
            self.config.probe_timeout
        }
    }

    /// The probe's deadline passed.
    pub(super) fn on_probe_stage(&mut self, now: Instant) {
        match std::mem::replace(&mut self.probe, Probe::Idle) {
            Probe::Idle => {}
            Probe::Direct(round) => self.ask_helpers(round),
            Probe::Indirect {
                contacted: true, ..
            } => self.end_probe_well(now),
            Probe::Indirect {
                round,
                nacks_expected,
                nacks,
                contacted: false,
            } => {
                // A missing nack says that the fault may be this node's own. Without nacks every
                // failed probe says so.
                self.awareness.worsen(if nacks_expected > 0 {
                    nacks_expected.saturating_sub(nacks)
                } else {
                    1
                });
                self.accuse(now, &round);
                self.go_on_probing(now);
            }
        }
    }

    fn accuse(&mut self, now: Instant, round: &Round) {
        if let Some(slot) = self.members.find(round.target) {
            let claim = self.claim(slot, round.incarnation);
            self.on_suspect(now, &claim);
        }
    }

    fn ask_helpers(&mut self, round: Round) {
        self.timers.set(Timer::ProbeStage, round.end);
        self.probe = Probe::Indirect {
            round,
            nacks_expected: 0,
            nacks: 0,
            contacted: false,
        };
        let Some(slot) = self.members.find(round.target) else {
            return;
        };
        let me = self.own_slot();
        let helpers = self.members.pick(
            self.config.indirect_probes,
            &mut self.rng,
            |helper, entry| helper != me && helper != slot && entry.state == State::Alive,
        );
        let target = self.contact(slot);
        for &helper in &helpers {
            let request = Message::IndirectPing {
                seq: round.seq,
                target: target.clone().into(),
                nack: self.config.nacks,
                source: self.contact.clone().into(),
            };
            self.send_with_broadcasts(self.contact(helper), request);
        }
        if self.config.stream_probes {
            let ping = self.ping(round.seq, &target.name);
            self.send(Target::Node(target), Class::Reliable, vec![ping]);
        }
        if let Probe::Indirect { nacks_expected, .. } = &mut self.probe
            && self.config.nacks
        {
            *nacks_expected = u32::try_from(helpers.len()).unwrap_or(u32::MAX);
        }
    }

    fn end_probe_well(&mut self, now: Instant) {
        self.timers.stop(Timer::ProbeStage);
        self.probe = Probe::Idle;
        self.awareness.improve();
        self.go_on_probing(now);
    }

    fn go_on_probing(&mut self, now: Instant) {
        if std::mem::take(&mut self.probe_waits) {
            self.probe_next(now);
        }
    }

    /// Somebody asks whether this node is there.
    pub(super) fn on_ping(&mut self, from: &Contact, class: Class, seq: u32, node: &NodeName) {
        if *node != self.contact.name {
            return;
        }
        let ack = Message::Ack(seq);
        match class {
            Class::Datagram => self.send_with_broadcasts(from.clone(), ack),
            Class::Reliable => self.send(Target::Node(from.clone()), class, vec![ack]),
        }
    }

    /// Somebody asks this node to ping another.
    pub(super) fn on_indirect_ping(
        &mut self,
        now: Instant,
        from: &Contact,
        seq: u32,
        target: Contact,
        nack: bool,
    ) {
        if self.relays.len() >= RELAYS_MAX {
            return;
        }
        let own = self.next_seq();
        let relay = Relay {
            requester: from.clone(),
            seq,
            nack,
        };
        self.relays.insert(own, relay);
        self.timers
            .set(Timer::Relay(own), now + self.config.nack_after);
        let ping = self.ping(own, &target.name);
        self.send_with_broadcasts(target, ping);
    }

    /// Who was pinged for somebody else did not answer in time.
    pub(super) fn on_relay_silent(&mut self, seq: u32) {
        if let Some(relay) = self.relays.remove(&seq)
            && relay.nack
        {
            self.send_with_broadcasts(relay.requester, Message::Nack(relay.seq));
        }
    }

    /// Somebody answered.
    pub(super) fn on_ack(&mut self, now: Instant, class: Class, seq: u32) {
        match &mut self.probe {
            // Nobody waits any more: this node was stopped meanwhile, and will find the probe failed.
            Probe::Direct(round) | Probe::Indirect { round, .. }
                if round.seq == seq && now > round.end => {}
            Probe::Direct(round) if round.seq == seq => self.end_probe_well(now),
            Probe::Indirect {
                round, contacted, ..
            } if round.seq == seq => match class {
                Class::Datagram => self.end_probe_well(now),
                // Looked at when the probe's time is over: a datagram's answer says more.
                Class::Reliable => *contacted = true,
            },
            _ => {
                if let Some(relay) = self.relays.remove(&seq) {
                    self.timers.stop(Timer::Relay(seq));
                    self.send_with_broadcasts(relay.requester, Message::Ack(relay.seq));
                }
            }
        }
    }

    /// A helper got no answer either, and is there to say so.
    pub(super) fn on_nack(&mut self, seq: u32) {
        if let Probe::Indirect { round, nacks, .. } = &mut self.probe
            && round.seq == seq
        {
            *nacks += 1;
        }
    }

    fn ping(&self, seq: u32, node: &NodeName) -> Message {
        Message::Ping {
            seq,
            node: node.clone(),
            source: self.contact.clone().into(),
        }
    }

    fn next_seq(&mut self) -> u32 {
        self.seq = self.seq.wrapping_add(1);
        self.seq
    }
}

/// The first moment after now that is whole intervals after `tick`.
pub(super) fn next_tick(tick: Instant, interval: Duration, now: Instant) -> Instant {
    let step = u64::try_from(interval.as_micros())
        .unwrap_or(u64::MAX)
        .max(1);
    let behind = now.as_micros().saturating_sub(tick.as_micros());
    let ticks = if now < tick { 0 } else { behind / step + 1 };
    Instant::from_micros(tick.as_micros().saturating_add(ticks.saturating_mul(step)))
}
