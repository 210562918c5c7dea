//! Admitting: whether a joiner is let in, and under which admission.
//!
//! A request is refused for its cluster's name, for want of room, or because its name was removed
//! or is taken. A name is taken only by a process that still answers: a restarted one takes the
//! place of its former life, wherever it is.

use std::cmp::Reverse;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use super::joining::Phase;
use crate::member::{Admission, Profile};
use crate::message::{
    Contact, Intent, JoinGranted, JoinRefused, JoinRequest, Message, Ping, Refusal, SeqNo,
};
use crate::name::NodeId;
use crate::output::{Class, Signal, Target};
use crate::probe::Purpose;
use crate::time::Instant;
use crate::timers::Timer;

/// How long the member whose name a joiner wants has to answer.
const DOUBT_PATIENCE: Duration = Duration::from_millis(1500);
/// The most joiners that wait for such an answer.
pub(super) const DOUBTS_MAX: usize = 64;

/// A joiner waits until it is known whether another process has its name.
#[derive(Debug)]
pub(super) struct Doubt {
    /// Where the other process would be.
    address: SocketAddr,
    joiner: Contact,
    request: JoinRequest,
}

/// News go straight to who was let in just now unless they go to so many already. In a storm more
/// would cost the seed megabytes, and those who join tell each other.
const JOINERS_BRIDGED: usize = 8;

impl Engine {
    pub(super) fn on_join_request(&mut self, now: Instant, from: &Contact, request: JoinRequest) {
        if request.profile.name != from.name {
            self.stats.unbelieved += 1;
            return;
        }
        match self.objection(from, &request) {
            Some(refusal) => self.refuse(now, from, request.seq, request.intent, refusal),
            None if request.intent == Intent::Return && request.cluster != self.cluster => {
                self.transmit(from.clone(), Class::Reliable, vec![Message::WrongCluster]);
            }
            None if self.is_left_apart(from.id(), &request) => {}
            None => match self.namesake_elsewhere(from.id(), &request.profile) {
                Some(address) => self.doubt(now, address, from.clone(), request),
                None => self.grant(now, from, &request),
            },
        }
    }

    fn objection(&self, from: &Contact, request: &JoinRequest) -> Option<Refusal> {
        let id = from.id();
        let same_cluster = request.cluster == self.cluster;
        if request.cluster_name != self.cluster_name {
            let (theirs, ours) = (self.cluster_name.clone(), request.cluster_name.clone());
            return Some(Refusal::ClusterName { theirs, ours });
        }
        if self.is_busy_for(from, request) {
            return Some(Refusal::Busy);
        }
        if self.roster.is_full() && self.roster.member(id).is_none() {
            let members_max = u32::try_from(self.config.members_max).unwrap_or(u32::MAX);
            return Some(Refusal::Full { members_max });
        }
        let buried = self.roster.ended(id, request.profile.life.admission);
        match request.intent {
            // However it comes back with its old state; only an operator's join admits it anew.
            Intent::Return | Intent::Discovered
                if same_cluster && request.admitted && buried.is_some() =>
            {
                buried.map(|admission| Refusal::Removed { admission })
            }
            Intent::Discovered if !same_cluster && self.withdrawn => Some(Refusal::Withdrawn),
            // A node whose own discovery is off does not come; then the other one is let in.
            Intent::Discovered
                if !same_cluster && self.discovery && self.is_smaller_than(request) =>
            {
                Some(Refusal::SmallerCluster)
            }
            Intent::Explicit if !same_cluster && self.asks(from, request) => {
                Some(Refusal::SmallerCluster)
            }
            _ => None,
        }
    }

    /// Whether this node's own change of cluster has to end before it lets others in. Of nodes
    /// that ask each other in a circle, the one with the lowest cluster id lets in.
    fn is_busy_for(&self, from: &Contact, request: &JoinRequest) -> bool {
        match &self.phase {
            Phase::Settled | Phase::CatchingUp(_) => false,
            Phase::Asking(asking) if asking.awaited.is_some() => false,
            Phase::Asking(_) => request.cluster < self.cluster && !self.asks(from, request),
            Phase::Preparing(_) | Phase::PreparingLeave | Phase::Departing(_) => true,
        }
    }

    /// Whether discovery leads somebody here who is in this cluster already, on a side of its own,
    /// where sides are an operator's to bring together. Who is alone may come to either.
    fn is_left_apart(&self, id: NodeId, request: &JoinRequest) -> bool {
        let found = request.intent == Intent::Discovered && request.admitted;
        let settled = request.cluster == self.cluster && request.size > 1;
        let stays = !self.config.autoheal && self.roster.present() > 1;
        stays && found && settled && !self.is_present(id) && !self.is_awaited(id)
    }

    /// Whether this node is asking the asker, and is the one of the two that goes to the other.
    fn asks(&self, from: &Contact, request: &JoinRequest) -> bool {
        let Phase::Asking(asking) = &self.phase else {
            return false;
        };
        let mutual = match &asking.target {
            Target::Node(contact) => contact.id() == from.id(),
            Target::Address(address) => *address == request.profile.address,
        };
        mutual && request.cluster < self.cluster
    }

    fn is_smaller_than(&self, request: &JoinRequest) -> bool {
        let mine = (self.size_on_wire(), Reverse(self.cluster));
        mine < (request.size, Reverse(request.cluster))
    }

    fn refuse(
        &mut self,
        now: Instant,
        from: &Contact,
        seq: SeqNo,
        intent: Intent,
        refusal: Refusal,
    ) {
        if !refusal.is_ordinary() || intent == Intent::Explicit {
            self.signal(Signal::Refused {
                peer: from.clone(),
                by_us: true,
                refusal: refusal.clone(),
            });
        }
        let comes_to_us = refusal == Refusal::SmallerCluster && intent == Intent::Discovered;
        self.transmit(
            from.clone(),
            Class::Reliable,
            vec![Message::JoinRefused(JoinRefused { seq, refusal })],
        );
        if comes_to_us {
            self.propose(now, Target::Node(from.clone()));
        }
    }

    /// A present member of the joiner's name that is another process at another address.
    fn namesake_elsewhere(&self, id: NodeId, joiner: &Profile) -> Option<SocketAddr> {
        let member = self
            .roster
            .member(id)
            .filter(|member| member.is_present())?;
        let other =
            member.profile.instance != joiner.instance && member.profile.address != joiner.address;
        other.then_some(member.profile.address)
    }

    fn doubt(&mut self, now: Instant, address: SocketAddr, joiner: Contact, request: JoinRequest) {
        let id = joiner.id();
        if self.doubts.len() >= DOUBTS_MAX && !self.doubts.contains_key(&id) {
            self.stats.over_limit += 1;
            return;
        }
        self.doubts.insert(
            id,
            Doubt {
                address,
                joiner,
                request,
            },
        );
        let seq = self.questions.ask(id, Purpose::Doubted, now);
        let ping = Message::Ping(Ping { seq, suspect: None });
        self.transmit_to(Target::Address(address), Class::Reliable, vec![ping]);
        self.timers.set(Timer::Doubt(id), now + DOUBT_PATIENCE);
    }

    /// Whether it is waited for that a process of this name answers from this address.
    pub(super) fn is_doubted_at(&self, id: NodeId, address: SocketAddr) -> bool {
        let doubt = self.doubts.get(&id);
        doubt.is_some_and(|doubt| doubt.address == address)
    }

    /// The member whose name is wanted answered.
    pub(super) fn on_doubt_dispelled(&mut self, now: Instant, id: NodeId) {
        self.timers.stop(Timer::Doubt(id));
        if let Some(Doubt {
            address,
            joiner,
            request,
        }) = self.doubts.remove(&id)
        {
            self.refuse(
                now,
                &joiner,
                request.seq,
                request.intent,
                Refusal::NameInUse { address },
            );
        }
    }

    /// It did not: the newcomer takes its place, unless it was removed meanwhile.
    pub(super) fn on_doubt_over(&mut self, now: Instant, id: NodeId) {
        let Some(Doubt {
            joiner, request, ..
        }) = self.doubts.remove(&id)
        else {
            return;
        };
        match self.objection(&joiner, &request) {
            Some(refusal) => self.refuse(now, &joiner, request.seq, request.intent, refusal),
            None => self.grant(now, &joiner, &request),
        }
    }

    fn grant(&mut self, now: Instant, to: &Contact, request: &JoinRequest) {
        let id = to.id();
        let (highest, floor) = self.roster.highest(id);
        let stay = request.profile.life.admission;
        let known = request.admitted
            && request.cluster == self.cluster
            && self.roster.tombstone(id).is_none_or(|buried| stay > buried);
        let repeated = self
            .roster
            .member(id)
            .is_some_and(|m| m.is_present() && m.profile.instance == request.profile.instance);
        let admission = match () {
            () if repeated => highest,
            () if known => highest.max(stay),
            () => Admission(highest.0.saturating_add(1)),
        };
        let granted = JoinGranted {
            seq: request.seq,
            cluster: self.cluster,
            admission,
            floor,
            size: self.size_on_wire(),
            quorum: self.quorum && self.mates.is_empty() && self.down.is_none(),
            members: self.some_members(id),
        };
        self.transmit(
            to.clone(),
            Class::Reliable,
            vec![Message::JoinGranted(Box::new(granted))],
        );
        // A newcomer may be on its way to another side, which is not to hear of this one.
        let parted = !self.config.autoheal && self.watch.standing().is_some();
        if self.bridges.len() < JOINERS_BRIDGED && !parted {
            self.bridge(now, id);
        }
    }

    /// This node and some others, for a joiner to learn the rest from.
    fn some_members(&mut self, but: NodeId) -> Vec<Arc<Profile>> {
        let most = self.config.join_members_max;
        let mut others: Vec<_> = self
            .roster
            .members()
            .filter(|(_, m)| m.is_healthy())
            .map(|(id, _)| id)
            .collect();
        others.retain(|&id| id != but && id != self.me);
        if others.len() >= most {
            self.rng.shuffle(&mut others);
            others.truncate(most - 1);
        }
        let profiles = others
            .into_iter()
            .filter_map(|id| Some(self.roster.member(id)?.profile.clone()));
        std::iter::once(self.profile.clone())
            .chain(profiles)
            .collect()
    }
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sim::World;

    #[test]
    fn news_go_straight_to_the_first_of_a_storm_of_joiners() {
        for (joiners, bridged) in [(5, 5), (40, JOINERS_BRIDGED)] {
            let mut world = World::new(1);
            world.add_many(joiners + 1);
            (1..=joiners).for_each(|joiner| world.begin_join(joiner, 0));
            let all_in = world.run_until(Duration::from_secs(2), World::is_converged);
            assert!(all_in.is_some(), "{}", world.describe());
            assert_eq!(world.nodes[0].engine().bridges.len(), bridged);
        }
    }
}
