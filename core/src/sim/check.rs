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
    /// What was wrong; the first [`VIOLATIONS_MAX`].
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
