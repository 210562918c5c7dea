//! The address book: those who were forgotten, so that a long partition can still be healed and
//! nothing stale comes back as news.

use std::collections::BTreeSet;

use super::by_id::ById;
use crate::engine::Acquaintance;
use crate::member::{Admission, Standing};
use crate::name::NodeId;

/// So many acquaintances; the oldest go.
#[derive(Clone, Debug)]
pub(super) struct Book {
    entries: ById<Acquaintance>,
    /// Those who said that they are in another cluster: they are not called any more.
    elsewhere: BTreeSet<NodeId>,
    max: usize,
}

impl Book {
    pub(super) fn new(max: usize) -> Self {
        Self {
            entries: ById::default(),
            elsewhere: BTreeSet::new(),
            max,
        }
    }

    pub(super) fn max(&self) -> usize {
        self.max
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, id: NodeId) -> Option<&Acquaintance> {
        self.entries.get(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (NodeId, &Acquaintance)> + Clone {
        self.entries.iter().map(|(&id, entry)| (id, entry))
    }

    /// How many are not known to be elsewhere.
    pub(super) fn callable(&self) -> usize {
        self.entries.len() - self.elsewhere.len()
    }

    pub(super) fn is_elsewhere(&self, id: NodeId) -> bool {
        self.elsewhere.contains(&id)
    }

    /// Writes somebody down, as the latest.
    pub(super) fn put(&mut self, entry: Acquaintance) {
        let id = entry.name.id();
        self.elsewhere.remove(&id);
        self.entries.shift_remove(&id);
        self.entries.insert(id, entry);
        if self.entries.len() > self.max
            && let Some((oldest, _)) = self.entries.shift_remove_index(0)
        {
            self.elsewhere.remove(&oldest);
        }
    }

    /// Somebody is in another cluster. It is not called any more, and its life stays as a floor: a
    /// stale copy does not bring it back.
    pub(super) fn strike(&mut self, id: NodeId) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.standing = entry.standing.max(Standing::left(entry.standing.life));
            self.elsewhere.insert(id);
        }
    }

    /// An admission of a name is over, and with it what is written of it.
    pub(super) fn end(&mut self, id: NodeId, admission: Admission) {
        let ended = |entry: &Acquaintance| entry.standing.life.admission <= admission;
        if self.entries.get(&id).is_some_and(ended) {
            self.entries.shift_remove(&id);
            self.elsewhere.remove(&id);
        }
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.elsewhere.clear();
    }
}
