//! What must hold after every step, whatever happens.
//!
//! A process that has just done something is looked at; so every process is, whenever its state
//! can have changed. What can only be seen from above (that the healthy find together, that
//! nobody is removed by mistake) is looked at by [`super::chaos`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::protocol::Protocol;
use super::world::World;
use crate::member::{Life, Standing, State};
use crate::name::NodeId;
use crate::output::{Change, JoinError, Signal};
use crate::time::Instant;

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// What a node holds of a member goes forward only, over restarts too: nothing stale comes
    /// back.
    NothingStaleReturns,
    /// A member's life is raised by its owner alone: nobody holds one that it never had.
    LivesAreTheirOwners,
    /// Queues keep their limits, and sums agree with what they are sums of.
    SumsAndLimits,
    /// Who left or was removed does not come back unasked.
    TheGoneStayAway,
    /// A healthy member does not stay out of a healthy member's view.
    TheHealthyStayIn,
    /// A command ends, as it is told that it did.
    CommandsEnd,
    /// When all is mended, those who belong together find together in time.
    TheyFindTogether,
    /// And stay so, without a late verdict.
    TheyStayTogether,
    /// Then nothing is left to say or to suspect.
    TheyComeToRest,
    /// Nobody was removed whom no operator removed.
    NobodyIsEvicted,
    /// Nothing panics.
    NothingPanics,
}

/// Something that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What should have.
    pub invariant: Invariant,
    /// When it did not.
    pub at: Instant,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {:?}: {}", self.invariant, self.at, self.what)
    }
}

/// What the checkers remember, and what they found.
#[derive(Clone, Debug, Default)]
pub struct Checks {
    /// The cluster that each node is in, and the last fact that it held there of each member.
    held: BTreeMap<usize, (u128, BTreeMap<NodeId, Held>)>,
    /// The highest life that each name's owner ever had in a cluster.
    owned: BTreeMap<(u128, NodeId), Life>,
    /// Nodes that left or were removed, and that nobody asked back.
    gone: BTreeSet<usize>,
    /// Those of them that are asked back at this moment.
    asked: BTreeSet<usize>,
    /// What was wrong; the first twenty.
    pub violations: Vec<Violation>,
}

/// The last fact that a node held of a member.
#[derive(Clone, Copy, Debug)]
struct Held {
    standing: Standing,
    /// The member was forgotten since, or the node restarted.
    forgotten: bool,
}

/// The most violations that are kept.
const VIOLATIONS_MAX: usize = 20;

impl Held {
    /// Whether it is stale to hold this after it. Of one who was forgotten as gone it is stale to
    /// say that it is there; how it went may be learned anew.
    fn forbids(self, after: Standing) -> bool {
        let returns = after.is_present() && !self.standing.is_present();
        after < self.standing && (!self.forgotten || returns)
    }
}

impl Checks {
    /// A node is asked to come to another one's cluster.
    pub(super) fn note_join(&mut self, joiner: usize, target: usize) {
        if self.gone.remove(&joiner) {
            self.asked.insert(joiner);
        }
        // Whoever is joined is alone no more.
        self.gone.remove(&target);
    }

    /// A node lost what it remembered.
    pub(super) fn note_forgotten(&mut self, node: usize) {
        self.held.remove(&node);
        self.gone.insert(node);
    }

    /// A process begins, with what its node remembers.
    pub(super) fn note_start(&mut self, node: usize) {
        let held = self.held.get_mut(&node).into_iter();
        for held in held.flat_map(|(_, held)| held.values_mut()) {
            held.forgotten = true;
        }
    }

    /// A process told something to its program.
    pub(super) fn note_signal(&mut self, node: usize, signal: &Signal) {
        match signal {
            Signal::Resume(Change::Leave | Change::Removed, true) => {
                self.gone.insert(node);
                self.asked.remove(&node);
            }
            Signal::JoinEnded(Ok(()) | Err(JoinError::Incomplete(_))) => {
                self.asked.remove(&node);
            }
            Signal::JoinEnded(Err(_)) if self.asked.remove(&node) => {
                self.gone.insert(node);
            }
            _ => {}
        }
    }
}

impl<P: Protocol> World<P> {
    /// Looks at what a process holds of a member that has changed there.
    pub(super) fn check_changed(&mut self, observer: usize, id: NodeId) {
        let Some(process) = &self.nodes[observer].process else {
            return;
        };
        let cluster = process.engine.cluster();
        let held = self.checked.held.entry(observer).or_default();
        if held.0 != cluster {
            *held = (cluster, BTreeMap::default());
        }
        let Some(standing) = process.engine.standing_of(id) else {
            if let Some(held) = held.1.get_mut(&id) {
                held.forgotten = true;
            }
            return;
        };
        if self.nodes[observer].id() == id {
            let owned = self.checked.owned.entry((cluster, id)).or_default();
            *owned = (*owned).max(standing.life);
            return;
        }
        let now = Held {
            standing,
            forgotten: false,
        };
        let before = held.1.insert(id, now);
        if let Some(before) = before.filter(|before| before.forbids(standing)) {
            let what = format!("n{observer} went back from {before:?} to {standing:?} about {id}");
            self.violate(Invariant::NothingStaleReturns, what);
        }
        let owned = self.checked.owned.get(&(cluster, id));
        let invented = owned.is_some_and(|&owned| standing.life > owned);
        if invented && standing.state != State::Removed {
            let what = format!("n{observer} holds {standing:?} of {id}, which never got there");
            self.violate(Invariant::LivesAreTheirOwners, what);
        }
    }

    /// Looks at a process by itself.
    pub(super) fn check(&mut self, number: usize) {
        let Some(process) = &self.nodes[number].process else {
            return;
        };
        if let Err(what) = process.engine.check() {
            self.violate(Invariant::SumsAndLimits, format!("n{number}: {what}"));
        } else if process.engine.size() > 1 && self.checked.gone.remove(&number) {
            let what = format!("n{number} is in a cluster again, and nobody asked it");
            self.violate(Invariant::TheGoneStayAway, what);
        }
    }

    pub(super) fn violate(&mut self, invariant: Invariant, what: String) {
        if self.checked.violations.len() < VIOLATIONS_MAX {
            let at = self.now;
            self.checked.violations.push(Violation {
                invariant,
                at,
                what,
            });
        }
    }
}

/// Each invariant is broken on purpose, and the checkers notice.
#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::engine::{Departure, Engine};
    use crate::member::{Incarnation, Profile};
    use crate::message::{Message, Rumor};
    use crate::sim::protocol::Health;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn cluster(seed: u64) -> World<Engine> {
        let mut world = World::new(seed);
        world.checks = true;
        world.grow(5);
        world
    }

    fn broken(world: &World<Engine>) -> BTreeSet<Invariant> {
        let violations = world.checked.violations.iter();
        violations.map(|violation| violation.invariant).collect()
    }

    fn profile(world: &World<Engine>, node: usize) -> Arc<Profile> {
        world.nodes[node].engine().profile().clone()
    }

    fn force_leave(world: &mut World<Engine>, by: usize, node: usize) {
        let name = world.nodes[node].name.clone();
        let done = world.tell(by, |engine, now| engine.force_leave(now, &name));
        done.expect("it is a member");
        world.run_for(s(5));
    }

    #[test]
    fn an_ordinary_life_breaks_nothing() {
        let mut world = cluster(1);
        world.crash(3);
        world.run_for(s(20));
        world.start(3);
        world.run_for(s(5));
        force_leave(&mut world, 0, 4);
        world.join(4, 1).expect("it may come back");
        world.leave(2, Departure::Leave);
        world.run_for(s(5));
        world.join(2, 0).expect("it may come back");
        world.run_for(s(20));
        assert!(world.is_converged(), "{}", world.describe());
        assert_eq!(world.checked.violations, []);
    }

    #[test]
    fn what_comes_back_from_a_stale_copy_is_noticed() {
        let mut world = cluster(5);
        let stale = profile(&world, 3);
        force_leave(&mut world, 0, 3);
        world.crash(1);
        world.nodes[1].memory.tombstones.clear();
        world.start(1);
        // Before it is told anew.
        for _ in 0..20 {
            let rumor = Rumor::Alive(stale.clone());
            world.forge(0, 1, vec![Message::Rumor(rumor)]);
            world.run_for(Duration::from_millis(1));
        }
        assert!(broken(&world).contains(&Invariant::NothingStaleReturns));
    }

    #[test]
    fn a_life_that_its_owner_never_had_is_noticed() {
        let mut world = cluster(3);
        let mut invented = (*profile(&world, 3)).clone();
        invented.life = invented.life.above(Incarnation(u64::MAX / 2));
        world.forge(0, 1, vec![Message::Rumor(Rumor::Alive(invented.into()))]);
        world.run_for(s(1));
        assert!(broken(&world).contains(&Invariant::LivesAreTheirOwners));
    }

    #[test]
    fn a_wrong_sum_is_noticed() {
        let mut world = cluster(4);
        world.tell(1, |engine, _| engine.tamper().1.miscount());
        assert_eq!(broken(&world), [Invariant::SumsAndLimits].into());
    }

    #[test]
    fn a_queue_over_its_limit_is_noticed() {
        let mut world = cluster(5);
        world.tell(1, |engine, _| engine.tamper().0.members_max = 4);
        assert_eq!(broken(&world), [Invariant::SumsAndLimits].into());
    }

    #[test]
    fn one_that_left_and_comes_back_unasked_is_noticed() {
        let mut world = cluster(6);
        let mut memory = world.nodes[3].memory.clone();
        memory.contacts = world.nodes[3].engine().acquaintances();
        world.leave(3, Departure::Leave);
        world.crash(3);
        world.nodes[3].memory = memory;
        world.start(3);
        let back = world.run_until(s(10), |w| w.all_hold(3, Health::Alive));
        assert!(back.is_some(), "{}", world.describe());
        assert_eq!(broken(&world), [Invariant::TheGoneStayAway].into());
    }

    #[test]
    fn one_whose_join_failed_is_still_gone() {
        let mut world = cluster(7);
        world.leave(3, Departure::Leave);
        world.crash(4);
        assert!(world.join(3, 4).is_err());
        assert!(world.checked.gone.contains(&3));
        world.join(3, 0).expect("it may come back");
        assert!(!world.checked.gone.contains(&3));
        assert_eq!(world.checked.violations, []);
    }
}
