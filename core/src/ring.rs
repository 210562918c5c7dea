//! Rings: who is whose neighbour, known to all without a word.
//!
//! Five salted hashes put the present members on five rings. Whoever holds the same members
//! knows the same rings, so a node's successors (to whom it passes news) and its observers (who
//! watch it) need no messages and no election. Fixed successors give every node the same
//! in-degree, so that nobody is missed; random peers would leave a tail.
//!
//! A member is observed by the next member on each of four rings, and by the next four on the
//! fifth. Those four observe each other too, so that they hold connections to each other when
//! they have to agree on a verdict; the first four make the graph one in which news double
//! and double again.
//!
//! A node keeps its own neighbours only, not the orderings: a change far from it on every ring
//! costs five hashes, one nearby a pass over the members.
//!
//! Source: Rapid §4.1 (K-ring monitoring), with the rings reused for dissemination.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::member::Member;
use crate::name::NodeId;

/// How many rings there are.
const RINGS: usize = 5;
/// How many members ahead on each ring are neighbours.
const DEPTHS: [usize; RINGS] = [1, 1, 1, 1, 4];
/// How many observers a member has at the most.
pub(crate) const OBSERVERS_MAX: usize = 8;
/// How many of them observe each other: the first that [`observers`] names.
pub(crate) const BENCH: usize = DEPTHS[RINGS - 1];

/// A node's own place on the rings.
#[derive(Debug)]
pub(crate) struct Rings {
    me: NodeId,
    places: [u64; RINGS],
    /// Distance to the last successor on each ring; `u64::MAX` where there are too few.
    ahead: [u64; RINGS],
    /// Distance back to the last healthy predecessor on each ring.
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

    /// Whom this node observes: those among whose first healthy successors on some ring it is.
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
        let (mut next, mut back) = (Nearest::default(), Nearest::default());
        let mut suspects = Vec::new();
        for (id, member) in others {
            let places = places(id);
            next.offer(id, |ring| places[ring].wrapping_sub(self.places[ring]));
            if member.is_healthy() {
                back.offer(id, |ring| self.places[ring].wrapping_sub(places[ring]));
            } else {
                suspects.push(id);
            }
        }
        self.ahead = next.reach();
        self.behind = back.reach();
        self.successors = distinct(next.rings.iter().flatten().map(|&(_, id)| id));
        let between = |id: &NodeId| {
            let behind = |(ring, place): (usize, u64)| {
                self.places[ring].wrapping_sub(place) < self.behind[ring]
            };
            places(*id).into_iter().enumerate().any(behind)
        };
        let healthy = back.rings.iter().flatten().map(|&(_, id)| id);
        self.subjects = distinct(healthy.chain(suspects.into_iter().filter(between)));
        self.stale = false;
    }
}

/// The observers of `subject` among `members`: the first after it on each ring. Those who are
/// asked to watch are the healthy ones. The ones that know each other come first.
pub fn observers(subject: NodeId, members: impl Iterator<Item = NodeId>) -> Vec<NodeId> {
    let from = places(subject);
    let mut next = Nearest::default();
    for id in members.filter(|&id| id != subject) {
        let places = places(id);
        next.offer(id, |ring| places[ring].wrapping_sub(from[ring]));
    }
    distinct(next.rings.iter().rev().flatten().map(|&(_, id)| id))
}

/// Those at the least distances on each ring, the nearest first.
#[derive(Default)]
struct Nearest {
    rings: [Vec<(u64, NodeId)>; RINGS],
}

impl Nearest {
    fn offer(&mut self, id: NodeId, distance: impl Fn(usize) -> u64) {
        for (ring, (held, depth)) in self.rings.iter_mut().zip(DEPTHS).enumerate() {
            let distance = distance(ring);
            if held.len() == depth && held.last().is_some_and(|last| last.0 <= distance) {
                continue;
            }
            held.truncate(depth - 1);
            let at = held.partition_point(|nearer| nearer.0 <= distance);
            held.insert(at, (distance, id));
        }
    }

    /// The distance of the last one on each ring; `u64::MAX` where there is room.
    fn reach(&self) -> [u64; RINGS] {
        std::array::from_fn(|ring| match self.rings[ring].get(DEPTHS[ring] - 1) {
            Some(&(distance, _)) => distance,
            None => u64::MAX,
        })
    }
}

fn places(id: NodeId) -> [u64; RINGS] {
    std::array::from_fn(|ring| xxh3_64_with_seed(&id.0.to_le_bytes(), ring as u64 + 1))
}

fn distinct(ids: impl Iterator<Item = NodeId>) -> Vec<NodeId> {
    let mut seen = Vec::with_capacity(OBSERVERS_MAX);
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
    fn the_first_four_observers_of_a_member_observe_each_other() {
        let members = members(60);
        for &id in members.keys() {
            let first = &observers_of(id, &members)[..4];
            for (place, one) in first.iter().enumerate() {
                let watch = observers_of(*one, &members);
                assert!(first[place + 1..].iter().all(|other| watch.contains(other)));
            }
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
