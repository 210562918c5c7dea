//! Tombstones: removals that no stale copy of a removed member may undo.

use super::by_id::ById;
use crate::member::Admission;
use crate::name::NodeId;

/// The highest admission of each name that was ended by a removal; so many names, the oldest go.
#[derive(Clone, Debug)]
pub(super) struct Tombstones {
    ended: ById<Admission>,
    max: usize,
}

impl Tombstones {
    pub(super) fn new(max: usize) -> Self {
        Self {
            ended: ById::default(),
            max,
        }
    }

    pub(super) fn get(&self, id: NodeId) -> Option<Admission> {
        self.ended.get(&id).copied()
    }

    /// Whether this admission of a name is over.
    pub(super) fn cover(&self, id: NodeId, admission: Admission) -> bool {
        self.get(id).is_some_and(|ended| admission <= ended)
    }

    /// All of them, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (NodeId, Admission)> {
        self.ended.iter().map(|(&id, &admission)| (id, admission))
    }

    /// Ends an admission; an earlier tombstone of the same name goes, and the oldest of all where
    /// they are too many: that one is returned.
    pub(super) fn put(&mut self, id: NodeId, admission: Admission) -> Option<(NodeId, Admission)> {
        self.ended.shift_remove(&id);
        self.ended.insert(id, admission);
        if self.ended.len() > self.max {
            return self.ended.shift_remove_index(0);
        }
        None
    }

    pub(super) fn clear(&mut self) {
        self.ended.clear();
    }
}
