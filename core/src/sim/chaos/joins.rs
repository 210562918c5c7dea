//! The joins of a storm: who is neither in nor out.

use super::super::check::Invariant;
use super::storm::{COMMAND_MAX, Storm};
use crate::message::ClusterId;
use crate::output::{JoinError, Signal};
use crate::time::Instant;

/// A join that goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Joining {
    pub(super) by: usize,
    /// Since when its node has been running.
    waited: Instant,
    /// How much its node had signalled before.
    signals: usize,
    /// The cluster that it was in before.
    cluster: ClusterId,
}

impl Storm {
    pub(super) fn note_joining(&mut self, node: usize, by: usize) {
        let joining = Joining {
            by,
            waited: self.world.now,
            signals: self.world.nodes[node].signals.len(),
            cluster: self.world.nodes[node].memory.membership.cluster,
        };
        if self.inside.contains(&node) {
            self.rejoining.insert(node, joining);
        } else {
            self.joining.insert(node, joining);
        }
    }

    pub(super) fn is_joining(&self, node: usize) -> bool {
        self.joining.contains_key(&node) || self.rejoining.contains_key(&node)
    }

    /// How a join ended, if it has.
    fn join_result(&self, node: usize, joining: &Joining) -> Option<Result<(), JoinError>> {
        let signals = self.world.nodes[node].signals[joining.signals..].iter();
        signals.rev().find_map(|(_, signal)| match signal {
            Signal::JoinEnded(result) => Some(result.clone()),
            _ => None,
        })
    }

    /// Whether a node is in the cluster, as far as it knows: if its stay was ended, by another one.
    fn is_in(&self, node: usize) -> bool {
        let membership = &self.world.nodes[node].memory.membership;
        let ended = self.removed.get(&node);
        membership.cluster == self.cluster
            && ended.is_none_or(|&ended| membership.admission > ended)
    }

    /// Those whose join has ended are in or out now, as they are told.
    pub(super) fn resolve_joins(&mut self) {
        for (node, joining) in self.rejoining.clone() {
            if self.join_result(node, &joining).is_some() {
                self.rejoining.remove(&node);
            }
        }
        for (node, joining) in self.joining.clone() {
            let Some(result) = self.join_result(node, &joining) else {
                self.wait_for_join(node);
                continue;
            };
            self.joining.remove(&node);
            self.say(format!("n{node}: joining n{}: {result:?}", joining.by));
            // "Incomplete" is in; every other failure is out.
            let says_in = matches!(result, Ok(()) | Err(JoinError::Incomplete(_)));
            let is_in = self.is_in(node);
            let unmoved = self.world.nodes[node].memory.membership.cluster == joining.cluster;
            if says_in != is_in && (says_in || !unmoved) {
                let what = format!("n{node}'s join ended with {result:?}, and it is in: {is_in}");
                self.world.violate(Invariant::CommandsEnd, what);
            }
            self.note_joined(node, says_in);
        }
    }

    /// A joiner that runs must come to an end.
    fn wait_for_join(&mut self, node: usize) {
        let (now, runs) = (self.world.now, self.runs(node));
        let Some(joining) = self.joining.get_mut(&node) else {
            return;
        };
        if !runs {
            joining.waited = now;
        } else if now.since(joining.waited) >= COMMAND_MAX {
            let what = format!("the join of n{node}");
            self.world.violate(Invariant::CommandsEnd, what);
        }
    }

    fn note_joined(&mut self, node: usize, is_in: bool) {
        if is_in {
            self.inside.insert(node);
            self.joined.insert(node, self.world.now);
        }
    }

    /// A joiner's process ends: what it remembers is what it is.
    pub(super) fn note_down(&mut self, node: usize) {
        self.rejoining.remove(&node);
        if self.joining.remove(&node).is_some() {
            let is_in = self.is_in(node);
            self.say(format!("n{node} went down while it joined, in: {is_in}"));
            self.note_joined(node, is_in);
        }
    }
}
