//! Rings: who is whose neighbour, known to all without a word.
//!
//! Eight salted hashes put the present members on eight rings. Whoever holds the same members
//! knows the same rings, so a node's successors (to whom it passes news) and its observers (who
//! watch it) need no messages and no election. Fixed successors give every node the same
//! in-degree, so that nobody is missed; random peers would leave a tail.
//!
//! A node keeps its own neighbours only, not the orderings: a change far from it on every ring
//! costs eight hashes, one nearby a pass over the members.
//!
//! Source: Rapid §4.1 (K-ring monitoring), with the rings reused for dissemination.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::member::Member;
use crate::name::NodeId;

/// How many rings there are, and so how many observers a member has at the most.
pub(crate) const RINGS: usize = 8;

/// A node's own place on the rings.
#[derive(Debug)]
pub(crate) struct Rings {
    me: NodeId,
    places: [u64; RINGS],
    /// Distance to the successor on each ring; `u64::MAX` where there is none.
    ahead: [u64; RINGS],
    /// Distance back to the nearest healthy predecessor on each ring.
    behind: [u64; RINGS],
    successors: Vec<NodeId>,
    subjects: Vec<NodeId>,
    stale: bool,
}

impl Rings {
    pub(crate) fn new(me: NodeId) -> Self {
        Self {
            me,
            places: places(me),
            ahead: [u64::MAX; RINGS],
            behind: [u64::MAX; RINGS],
            successors: Vec::new(),
            subjects: Vec::new(),
            stale: false,
        }
    }

    /// The distinct present members next after this node, in the order of the rings.
    pub(crate) fn successors(&self) -> &[NodeId] {
        debug_assert!(!self.stale, "refreshed before use");
        &self.successors
    }

    /// Whom this node observes: those whose first healthy successor on some ring it is.
    pub(crate) fn subjects(&self) -> &[NodeId] {
        debug_assert!(!self.stale, "refreshed before use");
        &self.subjects
    }

    /// A member came, went, or changed between healthy and suspected.
    pub(crate) fn touch(&mut self, id: NodeId) {
        if self.stale || id == self.me {
            return;
        }
        let near = |(ring, place): (usize, u64)| {
            place.wrapping_sub(self.places[ring]) <= self.ahead[ring]
                || self.places[ring].wrapping_sub(place) <= self.behind[ring]
        };
        self.stale = places(id).into_iter().enumerate().any(near);
    }

    /// Whether [`Rings::refresh`] has something to do.
    pub(crate) fn is_stale(&self) -> bool {
        self.stale
    }

    /// Finds the neighbours anew among `members`.
    pub(crate) fn refresh<'a>(&mut self, members: impl Iterator<Item = (NodeId, &'a Member)>) {
        let others = members.filter(|&(id, member)| id != self.me && member.is_present());
        let mut next = [(u64::MAX, None); RINGS];
        let mut back = [(u64::MAX, None); RINGS];
        let mut suspects = Vec::new();
        for (id, member) in others {
            for (ring, place) in places(id).into_iter().enumerate() {
                nearer(&mut next[ring], place.wrapping_sub(self.places[ring]), id);
                if member.is_healthy() {
                    nearer(&mut back[ring], self.places[ring].wrapping_sub(place), id);
                }
            }
            if !member.is_healthy() {
                suspects.push(id);
            }
        }
        self.ahead = next.map(|(distance, _)| distance);
        self.behind = back.map(|(distance, _)| distance);
        self.successors = distinct(next.into_iter().filter_map(|(_, id)| id));
        let between = |id: &NodeId| {
            let behind = |(ring, place): (usize, u64)| {
                self.places[ring].wrapping_sub(place) < self.behind[ring]
            };
            places(*id).into_iter().enumerate().any(behind)
        };
        let subjects = back
            .into_iter()
            .filter_map(|(_, id)| id)
            .chain(suspects.into_iter().filter(between));
        self.subjects = distinct(subjects);
        self.stale = false;
    }
}

/// The observers of `subject` among `members`: the first after it on each ring. Those who are
/// asked to watch are the healthy ones.
pub(crate) fn observers(subject: NodeId, members: impl Iterator<Item = NodeId>) -> Vec<NodeId> {
    let from = places(subject);
    let mut next = [(u64::MAX, None); RINGS];
    for id in members.filter(|&id| id != subject) {
        for (ring, place) in places(id).into_iter().enumerate() {
            nearer(&mut next[ring], place.wrapping_sub(from[ring]), id);
        }
    }
    distinct(next.into_iter().filter_map(|(_, id)| id))
}

fn places(id: NodeId) -> [u64; RINGS] {
    std::array::from_fn(|ring| xxh3_64_with_seed(&id.0.to_le_bytes(), ring as u64 + 1))
}

fn nearer(best: &mut (u64, Option<NodeId>), distance: u64, id: NodeId) {
    if distance < best.0 {
        *best = (distance, Some(id));
    }
}

fn distinct(ids: impl Iterator<Item = NodeId>) -> Vec<NodeId> {
    let mut seen = Vec::with_capacity(RINGS);
    for id in ids {
        if !seen.contains(&id) {
            seen.push(id);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::roster::tests::member;

    type Members = BTreeMap<NodeId, Member>;

    fn members(count: usize) -> Members {
        (0..count)
            .map(|i| member(&format!("n{i}@10.0.0.1"), 1))
            .map(|m| (m.profile.id(), m))
            .collect()
    }

    fn rings(me: NodeId, members: &Members) -> Rings {
        let mut rings = Rings::new(me);
        rings.refresh(members.iter().map(|(&id, m)| (id, m)));
        rings
    }

    fn observers_of(id: NodeId, members: &Members) -> Vec<NodeId> {
        observers(
            id,
            members
                .iter()
                .filter(|(_, m)| m.is_healthy())
                .map(|(&id, _)| id),
        )
    }

    #[test]
    fn observers_and_subjects_are_one_relation_seen_from_two_ends() {
        let mut members = members(40);
        let suspects: Vec<_> = members.keys().copied().step_by(5).collect();
        for id in &suspects {
            members.get_mut(id).unwrap().suspected = true;
        }
        for (&me, member) in &members {
            // A node holds itself healthy, whatever others think of it.
            if !member.is_healthy() {
                continue;
            }
            let rings = rings(me, &members);
            for &other in members.keys().filter(|&&id| id != me) {
                let observes = observers_of(other, &members).contains(&me);
                assert_eq!(rings.subjects().contains(&other), observes, "{me} {other}");
            }
        }
    }

    #[test]
    fn everybody_is_somebodys_successor_on_every_ring() {
        let members = members(50);
        let mut heard = BTreeMap::new();
        for &me in members.keys() {
            for &id in rings(me, &members).successors() {
                *heard.entry(id).or_insert(0) += 1;
            }
        }
        assert_eq!(heard.len(), 50);
        assert!(heard.values().all(|&n| n >= 4), "{heard:?}");
    }

    #[test]
    fn touching_those_far_away_changes_nothing_and_those_near_is_noticed() {
        let mut all = members(200);
        let me = *all.keys().next().unwrap();
        let mut mine = rings(me, &all);
        for id in all.keys().copied().collect::<Vec<_>>() {
            if id == me {
                continue;
            }
            let gone = all.remove(&id).unwrap();
            mine.touch(id);
            let afresh = rings(me, &all);
            if mine.is_stale() {
                mine.refresh(all.iter().map(|(&id, m)| (id, m)));
            }
            assert_eq!(mine.successors(), afresh.successors());
            assert_eq!(mine.subjects(), afresh.subjects());
            all.insert(id, gone);
            mine.touch(id);
            if mine.is_stale() {
                mine.refresh(all.iter().map(|(&id, m)| (id, m)));
            }
            assert_eq!(mine.successors(), rings(me, &all).successors());
        }
    }

    #[test]
    fn two_members_observe_each_other() {
        let members = members(2);
        let ids: Vec<_> = members.keys().copied().collect();
        assert_eq!(rings(ids[0], &members).subjects(), [ids[1]]);
        assert_eq!(rings(ids[1], &members).successors(), [ids[0]]);
        assert_eq!(observers_of(ids[0], &members), [ids[1]]);
    }
}
