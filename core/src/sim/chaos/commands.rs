//! The steps of a storm: what operators do, and what should come of it.

use std::time::Duration;

use super::schedule::may_move;
use super::storm::Storm;
use crate::engine::Departure;
use crate::member::Admission;
use crate::output::Target;

/// A member that removed another is heard for this long before anything else happens: one who
/// falls silent at once has told nobody.
const REMOVER_HEARD: Duration = Duration::from_millis(500);
/// A newcomer joins by somebody who holds at least so many others that never move: the only one
/// that it ever heard of might be lost, and then nobody could find it.
const OTHERS_MIN: usize = 2;

impl Storm {
    // ---- joining ----

    pub(super) fn may_join(&self, node: usize, by: usize) -> bool {
        let able = self.obeys(node) || !self.ran.contains(&node);
        let idle = !self.is_joining(node) && !self.is_joining(by);
        let apart = node != by && self.inside.contains(&by) && self.runs(by);
        let member = self.inside.contains(&node);
        able && idle && apart && (member || (self.holds_others(by) && self.knows_end(by, node)))
    }

    fn holds_others(&self, by: usize) -> bool {
        let engine = self.world.nodes[by].engine();
        let held = |&&other: &&usize| {
            let member = engine.member(self.world.nodes[other].id());
            other != by && !may_move(other) && member.is_some_and(|member| member.is_healthy())
        };
        self.inside.iter().filter(held).count() >= OTHERS_MIN
    }

    /// Whether a member knows that a node's former stay was ended, where it was. One that does not
    /// would let it in to that same stay, and the removal would end it again.
    fn knows_end(&self, by: usize, node: usize) -> bool {
        let Some(&ended) = self.removed.get(&node) else {
            return true;
        };
        let (engine, id) = (self.world.nodes[by].engine(), self.world.nodes[node].id());
        let later = engine.member(id).map(|member| member.standing.life);
        engine.buried(id).is_some_and(|buried| buried >= ended)
            || later.is_some_and(|later| later.admission > ended)
    }

    pub(super) fn join(&mut self, node: usize, by: usize) {
        if self.ran.insert(node) {
            self.world.start(node);
        }
        let target = Target::Node(self.world.nodes[by].contact());
        self.note_joining(node, by);
        self.world.checked.note_join(node, by);
        let begun = self
            .world
            .tell(node, |engine, now| engine.join(now, target));
        if let Err(error) = begun {
            self.say(format!("not begun: {error}"));
            self.joining.remove(&node);
            self.rejoining.remove(&node);
        }
    }

    // ---- leaving ----

    pub(super) fn may_leave(&self, node: usize) -> bool {
        self.inside.contains(&node) && self.obeys(node) && self.may_go(node)
    }

    pub(super) fn leave(&mut self, node: usize) {
        if self.depart(node, Departure::Leave) {
            self.inside.remove(&node);
        }
    }

    pub(super) fn may_shut_down(&self, node: usize) -> bool {
        self.obeys(node) && !self.joining.contains_key(&node)
    }

    pub(super) fn shut_down(&mut self, node: usize) {
        if self.depart(node, Departure::Shutdown) {
            self.end(node, true);
        }
    }

    // ---- removing ----

    pub(super) fn may_force_leave(&self, node: usize, by: usize) -> bool {
        let members = self.inside.contains(&by) && self.inside.contains(&node);
        let idle = !self.is_joining(node);
        members && by != node && self.runs(by) && idle && self.may_go(node)
    }

    pub(super) fn force_leave(&mut self, node: usize, by: usize) {
        let name = self.world.nodes[node].name.clone();
        let done = self
            .world
            .tell(by, |engine, now| engine.force_leave(now, &name));
        if let Err(error) = done {
            self.say(format!("not done: {error}"));
            return;
        }
        self.removers.insert(by);
        let ended = self.world.nodes[by].engine().buried(name.id());
        let ended = ended.unwrap_or_default();
        // Who knows of an earlier stay only has ended that one.
        if ended >= self.stay_of(node) {
            self.inside.remove(&node);
            self.removed.insert(node, ended);
        } else {
            self.say(format!("only {ended:?} of n{node} is ended"));
        }
        self.pass(REMOVER_HEARD);
    }

    fn stay_of(&self, node: usize) -> Admission {
        let node = &self.world.nodes[node];
        match &node.process {
            Some(process) => process.engine.membership().admission,
            None => node.memory.membership.admission,
        }
    }
}
