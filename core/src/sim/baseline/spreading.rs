//! Spreading: broadcasts on every datagram, gossip, and full exchanges.
//!
//! Source: SWIM §4.1 (piggybacking); memberlist adds gossip apart from probes, which speeds news
//! up, and full exchanges (push/pull), which bring what gossip missed.

use std::sync::Arc;

use crate::message::Contact;
use crate::name::NodeId;
use crate::output::{Class, Target};
use crate::time::Instant;

use super::Baseline;
use super::members::State;
use super::message::{COMPOUND_BYTES, COMPOUND_PART_BYTES, Claim, List, Message, Record};
use super::probing::next_tick;
use super::timers::Timer;

impl Baseline {
    /// Queues news for everyone.
    pub(super) fn broadcast(&mut self, now: Instant, about: NodeId, message: Message) {
        self.broadcasts.push(about, message);
        self.schedule_gossip(now);
    }

    /// Rounds without anything to tell are left out; those that are held keep their beat.
    fn schedule_gossip(&mut self, now: Instant) {
        if !self.timers.is_set(Timer::Gossip) {
            let next = next_tick(self.gossip_phase, self.config.gossip_interval, now);
            self.timers.set(Timer::Gossip, next);
        }
    }

    /// A round of gossip.
    pub(super) fn on_gossip_due(&mut self, now: Instant) {
        if self.broadcasts.len() == 0 {
            return;
        }
        self.schedule_gossip(now);
        let me = self.own_slot();
        let dead_before = now.before(self.config.gossip_to_dead);
        let hears = |slot, entry: super::members::Entry| {
            slot != me
                && match entry.state {
                    State::Alive | State::Suspect => true,
                    State::Dead => !entry.is_older_than(dead_before),
                    State::Left | State::Unknown => false,
                }
        };
        let nodes = self.config.gossip_nodes;
        for slot in self.members.pick(nodes, &mut self.rng, hears) {
            let room = self.config.datagram_bytes_max - COMPOUND_BYTES;
            let messages = self.take_broadcasts(room);
            if messages.is_empty() {
                return;
            }
            let to = Target::Node(self.contact(slot));
            self.send(to, Class::Datagram, messages);
        }
    }

    /// Sends a message, and as many broadcasts with it as fit.
    pub(super) fn send_with_broadcasts(&mut self, to: Contact, message: Message) {
        let used = COMPOUND_BYTES + COMPOUND_PART_BYTES + message.bytes();
        let room = self.config.datagram_bytes_max.saturating_sub(used);
        let mut messages = vec![message];
        messages.extend(self.take_broadcasts(room));
        self.send(Target::Node(to), Class::Datagram, messages);
    }

    fn take_broadcasts(&mut self, room: usize) -> Vec<Message> {
        if self.broadcasts.len() == 0 {
            return Vec::new();
        }
        let transmits_max = self.config.transmits_max(self.members.len());
        self.broadcasts.take(transmits_max, room)
    }

    /// Sets the time of the next full exchange.
    pub(super) fn schedule_push_pull(&mut self, now: Instant) {
        let pause = self.config.push_pull_pause(self.members.len());
        self.timers.set(Timer::PushPull, now + pause);
    }

    /// A full exchange with somebody who lives.
    pub(super) fn on_push_pull_due(&mut self, now: Instant) {
        self.schedule_push_pull(now);
        let me = self.own_slot();
        let lives = |slot, entry: super::members::Entry| slot != me && entry.state == State::Alive;
        let picked = self.members.pick(1, &mut self.rng, lives);
        for slot in picked {
            self.push(Target::Node(self.contact(slot)), false);
        }
    }

    /// Sends all that this node knows.
    pub(super) fn push(&mut self, to: Target, answer: bool) {
        let record = |(slot, entry): (_, super::members::Entry)| {
            let profile = self.members.profile(slot).clone();
            Record {
                id: profile.id(),
                profile,
                incarnation: entry.incarnation,
                state: entry.state,
            }
        };
        let records = self.members.iter().map(record).collect();
        let list = Arc::new(List::new(records));
        self.send(
            to,
            Class::Reliable,
            vec![Message::PushPull { list, answer }],
        );
    }

    /// Somebody sent all that it knows.
    pub(super) fn on_push_pull(&mut self, now: Instant, from: &Contact, list: &List, answer: bool) {
        if !answer {
            self.push(Target::Node(from.clone()), true);
        }
        for record in &list.records {
            self.merge(now, record);
        }
        if answer {
            self.on_joined(from);
        }
    }

    /// Takes a record as if it had been told: what lives lives, what left left; but what is dead
    /// is only suspected, so that it can refute.
    fn merge(&mut self, now: Instant, record: &Record) {
        let claim = |by| Claim {
            node: record.profile.name.clone(),
            incarnation: record.incarnation,
            by,
        };
        match record.state {
            State::Alive => self.on_alive(now, record.id, &record.profile, record.incarnation),
            State::Left => self.on_dead(now, &claim(record.profile.name.clone())),
            State::Suspect | State::Dead => {
                self.on_suspect(now, &claim(self.contact.name.clone()));
            }
            State::Unknown => {}
        }
    }
}
