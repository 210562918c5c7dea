//! Alive, suspect, dead, left: which news are taken, and what follows.
//!
//! An incarnation is raised by its owner alone, to refute. Bad news count at the incarnation that
//! is held or a later one, good news at a later one only. Source: SWIM §4.2; memberlist adds that
//! who says of itself that it is dead has left.

use std::sync::Arc;

use crate::member::Profile;
use crate::name::NodeId;
use crate::output::{Event, MemberEvent};
use crate::time::Instant;

use super::Baseline;
use super::joining::Departure;
use super::members::{Entry, MEMBERS_MAX, Slot, State, life};
use super::message::{Claim, Message};
use super::suspicion::{Suspicion, Window};
use super::timers::Timer;

impl Baseline {
    /// A member is said to live.
    pub(super) fn on_alive(
        &mut self,
        now: Instant,
        id: NodeId,
        profile: &Arc<Profile>,
        incarnation: u32,
    ) {
        let Some(slot) = self.members.find(id) else {
            if let Some(slot) = self.members.insert(profile, &mut self.rng, now) {
                self.revive(now, id, slot, profile, incarnation);
            }
            return;
        };
        let entry = self.members.entry(slot);
        let moves = self.members.profile(slot).address != profile.address;
        if moves && !self.may_move(now, entry) {
            // Two nodes of one name: the one that was known first keeps it.
            return;
        }
        if id == self.me {
            self.on_alive_of_me(now, profile, incarnation);
        } else if moves || incarnation > entry.incarnation {
            self.revive(now, id, slot, profile, incarnation);
        }
    }

    /// Whether a member's name may be claimed from another address.
    fn may_move(&self, now: Instant, entry: Entry) -> bool {
        let reclaim = self.config.dead_reclaim;
        match entry.state {
            State::Left => true,
            State::Dead => reclaim.is_some_and(|age| entry.is_older_than(now.before(age))),
            State::Alive | State::Suspect | State::Unknown => false,
        }
    }

    /// A copy of what this node, or a former process of it, said of itself.
    fn on_alive_of_me(&mut self, now: Instant, profile: &Arc<Profile>, incarnation: u32) {
        if self.departure != Departure::Staying || incarnation < self.incarnation {
            return;
        }
        if incarnation > self.incarnation || profile.tags != self.own_profile().tags {
            self.refute(now, incarnation);
        }
    }

    fn revive(
        &mut self,
        now: Instant,
        id: NodeId,
        slot: Slot,
        profile: &Arc<Profile>,
        incarnation: u32,
    ) {
        let was = self.members.entry(slot).state;
        let retagged = self.members.profile(slot).tags != profile.tags;
        self.drop_suspicion(id);
        self.lost.swap_remove(&id);
        self.members.set_profile(slot, profile);
        self.hold(now, id, slot, incarnation, State::Alive);
        self.broadcast(
            now,
            id,
            Message::Alive {
                profile: profile.clone(),
                incarnation,
            },
        );
        if was.is_gone() {
            self.tell(Event::MemberJoined(profile.clone()));
        } else if was == State::Suspect {
            let event = self.member_event(slot);
            self.tell(Event::MemberRefuted(event));
        }
        if retagged && was.is_present() {
            self.tell(Event::TagsChanged(profile.clone()));
        }
    }

    /// A member is accused.
    pub(super) fn on_suspect(&mut self, now: Instant, claim: &Claim) {
        let id = claim.node.id();
        let Some(slot) = self.members.find(id) else {
            return;
        };
        let entry = self.members.entry(slot);
        if claim.incarnation < entry.incarnation {
            return;
        }
        if let Some(suspicion) = self.suspicions.get_mut(&id) {
            if suspicion.confirm(claim.by.id()) {
                let deadline = suspicion.deadline();
                self.timers.set(Timer::Suspicion(id), deadline.max(now));
                self.broadcast(now, id, Message::Suspect(claim.clone()));
            }
            return;
        }
        if entry.state != State::Alive {
            return;
        }
        if id == self.me {
            return self.refute(now, claim.incarnation);
        }
        self.broadcast(now, id, Message::Suspect(claim.clone()));
        self.hold(now, id, slot, claim.incarnation, State::Suspect);
        let window = Window::new(&self.config, self.members.len());
        let suspicion = Suspicion::new(window, claim.by.id(), now);
        self.timers
            .set(Timer::Suspicion(id), suspicion.deadline().max(now));
        self.suspicions.insert(id, suspicion);
        let event = self.member_event(slot);
        self.tell(Event::MemberSuspected(event));
    }

    /// A suspect did not refute in time.
    pub(super) fn on_suspicion_over(&mut self, now: Instant, id: NodeId) {
        let Some(slot) = self.members.find(id) else {
            return;
        };
        let entry = self.members.entry(slot);
        if entry.state == State::Suspect {
            let claim = self.claim(slot, entry.incarnation);
            self.on_dead(now, &claim);
        }
    }

    /// A member is said to be dead, or says that it leaves.
    pub(super) fn on_dead(&mut self, now: Instant, claim: &Claim) {
        let id = claim.node.id();
        let Some(slot) = self.members.find(id) else {
            return;
        };
        let entry = self.members.entry(slot);
        if claim.incarnation < entry.incarnation {
            return;
        }
        self.drop_suspicion(id);
        if entry.state.is_gone() {
            return;
        }
        if id == self.me && self.departure == Departure::Staying {
            return self.refute(now, claim.incarnation);
        }
        self.broadcast(now, id, Message::Dead(claim.clone()));
        if claim.by == claim.node {
            self.hold(now, id, slot, claim.incarnation, State::Left);
            if id != self.me {
                let event = self.member_event(slot);
                self.tell(Event::MemberLeft(event));
            }
        } else {
            self.hold(now, id, slot, claim.incarnation, State::Dead);
            if self.config.reconnect.is_some() && self.lost.len() < MEMBERS_MAX {
                self.lost.insert(id, self.members.profile(slot).clone());
            }
            let event = self.member_event(slot);
            self.tell(Event::MemberFailed {
                member: event,
                refused: false,
            });
        }
    }

    /// Outdoes what was said of this node. That it had to is a sign of its own ill health.
    fn refute(&mut self, now: Instant, incarnation: u32) {
        self.incarnation = self.incarnation.max(incarnation).saturating_add(1);
        self.awareness.worsen(1);
        let slot = self.own_slot();
        self.hold(now, self.me, slot, self.incarnation, State::Alive);
        let profile = self.own_profile().clone();
        self.broadcast_alive(now, &profile);
    }

    /// Tells everyone that this node lives.
    pub(super) fn broadcast_alive(&mut self, now: Instant, profile: &Arc<Profile>) {
        let incarnation = self.incarnation;
        let profile = profile.clone();
        let message = Message::Alive {
            profile,
            incarnation,
        };
        self.broadcast(now, self.me, message);
    }

    /// A bad word of this node's own about a member.
    pub(super) fn claim(&self, slot: Slot, incarnation: u32) -> Claim {
        Claim {
            node: self.members.profile(slot).name.clone(),
            incarnation,
            by: self.contact.name.clone(),
        }
    }

    pub(super) fn own_slot(&self) -> Slot {
        self.members
            .find(self.me)
            .expect("a process knows itself: it forgets others only")
    }

    fn own_profile(&self) -> &Arc<Profile> {
        self.members.profile(self.own_slot())
    }

    fn drop_suspicion(&mut self, id: NodeId) {
        if self.suspicions.remove(&id).is_some() {
            self.timers.stop(Timer::Suspicion(id));
        }
    }

    fn hold(&mut self, now: Instant, id: NodeId, slot: Slot, incarnation: u32, state: State) {
        self.members.set(slot, incarnation, state, now);
        self.changed.insert(id);
    }

    pub(super) fn member_event(&self, slot: Slot) -> MemberEvent {
        MemberEvent {
            name: self.members.profile(slot).name.clone(),
            life: life(self.members.entry(slot).incarnation),
        }
    }
}
