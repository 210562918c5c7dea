//! Healing: contacting the lost, forgetting.

use std::collections::BTreeSet;

use super::Engine;
use crate::case::What;
use crate::member::{Admission, Instance, Standing};
use crate::message::{Contact, Intent, Message, Ping, Rumor};
use crate::name::NodeId;
use crate::output::{Class, Event, MemberEvent, Target};
use crate::probe::Purpose;
use crate::time::Instant;
use crate::timers::Timer;

/// Every so many contacts one goes to the address book instead of a failed member.
const BOOK_TURN: u32 = 4;
/// How often all members together call each of the lost in a heal interval, about. More would
/// bring nobody back sooner: a call to a dead host costs five kilobytes of handshakes.
const CALLS_A_LOST: usize = 10;
/// When some are back from a partition, the rest is held for so many suspicions at the least.
const HELD_SUSPICIONS: u32 = 2;
/// The most peers that news go to for having come back just now.
pub(super) const BRIDGES_MAX: usize = 64;
/// The most of them who were only heard of. When a whole side comes back, news reach everybody over
/// the rings as soon as a few from over there are on them; each bridge more is a handshake and a
/// copy of all news, for every member.
const BRIDGES_HEARSAY_MAX: usize = 4;

impl Engine {
    // ---- contacting the lost ----

    pub(super) fn set_heal_turn(&mut self, now: Instant) {
        let pause = self.config.heal_interval.mul_f64(0.5 + self.rng.f64());
        self.timers.set(Timer::Heal, now + pause);
    }

    pub(super) fn on_heal_turn(&mut self, now: Instant) {
        self.set_heal_turn(now);
        if !self.config.autoheal || self.is_departing() {
            return;
        }
        let lost = self.roster.failed() + self.roster.strangers();
        if self.rng.usize(..self.roster.present()) >= CALLS_A_LOST * lost {
            return;
        }
        self.heal_turns = self.heal_turns.wrapping_add(1);
        let failed = self.random_failed();
        let book = failed.is_none() || self.heal_turns.is_multiple_of(BOOK_TURN);
        if book && self.call_from_book(now) {
            return;
        }
        if let Some((contact, standing)) = failed {
            let member = self.roster.member(contact.id());
            match member.is_some_and(|member| member.profile.instance == Instance::UNKNOWN) {
                true => self.call_or_ask(now, contact, standing),
                false => self.call(now, contact, standing),
            }
        }
    }

    /// Calls somebody of the past who was not met since. False where there is nobody.
    fn call_from_book(&mut self, now: Instant) -> bool {
        let found = self.roster.random_acquaintance(&mut self.rng, |_| true);
        let Some((contact, standing)) = found.map(|entry| {
            let contact = Contact {
                name: entry.name.clone(),
                address: entry.address,
            };
            (contact, entry.standing)
        }) else {
            return false;
        };
        self.call_or_ask(now, contact, standing);
        true
    }

    /// Calls somebody who was remembered and not met: by name, or whoever listens there by now, for
    /// addresses change hands.
    fn call_or_ask(&mut self, now: Instant, contact: Contact, standing: Standing) {
        let there = Target::Address(contact.address);
        if self.rng.bool() && !self.is_me(&there) && !self.is_member_at(&there) {
            self.request_join(now, there, Intent::Return);
        } else {
            self.call(now, contact, standing);
        }
    }

    fn random_failed(&mut self) -> Option<(Contact, Standing)> {
        let number = self.rng.usize(..self.roster.failed().max(1));
        let (id, standing) = self.roster.failed_by_number(number)?;
        Some((self.contact(id)?, standing))
    }

    /// Calls somebody who is lost. The accusation in the call makes it refute at once.
    fn call(&mut self, now: Instant, contact: Contact, standing: Standing) {
        let seq = self.questions.ask(contact.id(), Purpose::Contact, now);
        let suspect = (!standing.is_present()).then_some(standing.life);
        self.transmit(
            contact,
            Class::Datagram,
            vec![Message::Ping(Ping { seq, suspect })],
        );
    }

    /// News also go straight to this member for a while: it just came back, and there may be a
    /// whole side behind it.
    pub(super) fn bridge(&mut self, now: Instant, id: NodeId) {
        if self.bridges.len() < BRIDGES_MAX || self.bridges.contains_key(&id) {
            self.bridges.insert(id, now + self.config.bridge);
        }
    }

    /// The same for one who did not come itself: others brought the news of it.
    pub(super) fn bridge_by_hearsay(&mut self, now: Instant, id: NodeId) {
        if self.bridges.len() < BRIDGES_HEARSAY_MAX {
            self.bridge(now, id);
        }
    }

    /// A member says that it is in another cluster: in this one it is not any more. Where a stay of
    /// its name was ended by a removal, who speaks from another address may be the one of that time.
    pub(super) fn on_wrong_cluster(&mut self, now: Instant, from: &Contact) {
        let id = from.id();
        let member = self.roster.member(id);
        let life = member.map(|member| member.standing.life);
        let elsewhere = member.is_some_and(|member| member.profile.address != from.address);
        let outlived = self.roster.ended(id, Admission::default()).is_some();
        if !(elsewhere && outlived) {
            self.roster.strike(id);
            self.mates.strike(id);
            if let Some(life) = life {
                self.accept(now, &Rumor::Left { id, life }, Some(id), true);
            }
        }
        self.on_target_moved(now, id);
    }

    // ---- forgetting ----

    fn is_held(&self, now: Instant, id: NodeId) -> bool {
        let patience = self.config.autoclean.unwrap_or_default();
        let patience = patience.max(self.config.suspicion_max * HELD_SUSPICIONS);
        self.watch.holds(id, patience, now)
    }

    /// Whom a partition holds, the others are to hear of, however long it lasts.
    pub(super) fn hold_the_lost(&mut self, now: Instant) {
        let lost = self.watch.lost().iter().copied();
        let held: BTreeSet<_> = lost.filter(|&id| self.is_held(now, id)).collect();
        if held != self.held {
            for &id in held.symmetric_difference(&self.held) {
                self.roster.hold(id, held.contains(&id));
            }
            self.held = held;
        }
    }

    /// Forgets those whose time is over. Only with quorum: a minority that forgot the rest would
    /// become its own majority. Not while this node is down: it would end the partition by that. And
    /// none whom a partition holds: a majority that forgot them could be parted again, and both parts
    /// would have quorum. Nor, for as long again, when some of them are back: the others may follow.
    pub(super) fn forget_the_dead(&mut self, now: Instant) {
        if !self.quorum || self.down.is_some() {
            return;
        }
        for id in self.roster.forgettable(now) {
            if self.is_held(now, id) {
                continue;
            }
            let Some(member) = self.roster.forget(id) else {
                continue;
            };
            self.watch.on_gone(id);
            self.changed.insert(id);
            let event = MemberEvent {
                name: member.profile.name.clone(),
                life: member.standing.life,
            };
            self.note(now, id, event.life, What::Forgotten);
            self.event(Event::MemberForgotten(event));
        }
        self.assess_soon(now);
        self.update_quorum();
    }
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sim::World;

    #[test]
    fn whoever_comes_itself_finds_room_that_hearsay_leaves() {
        let mut world = World::cluster(1, 5);
        let bridged = world.tell(0, |engine, now| {
            engine.bridges.clear();
            (0..100).for_each(|id| engine.bridge_by_hearsay(now, NodeId(id)));
            let by_hearsay = engine.bridges.len();
            (100..300).for_each(|id| engine.bridge(now, NodeId(id)));
            let bridged = (by_hearsay, engine.bridges.len());
            // Whoever has one keeps it for longer.
            engine.bridge(now + Duration::from_secs(1), NodeId(0));
            assert_eq!(engine.bridges.len(), bridged.1);
            bridged
        });
        assert_eq!(bridged, (BRIDGES_HEARSAY_MAX, BRIDGES_MAX));
    }
}
