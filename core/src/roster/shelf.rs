//! The shelf of members, with what is counted and summed of them.

use super::by_id::ById;
use crate::member::{Fingerprint, Member, Standing, State};
use crate::name::NodeId;
use crate::time::Instant;

/// A full shelf makes room for this share of its members, one in so many, and for this many.
const ROOM_DIVISOR: usize = 8;
const ROOM_MIN: usize = 4;

/// Members by id: present, failed, left.
#[derive(Clone, Debug, Default)]
pub(super) struct Shelf {
    members: ById<Member>,
    present: usize,
    failed: usize,
    fingerprint: Fingerprint,
}

impl Shelf {
    pub(super) fn get(&self, id: NodeId) -> Option<&Member> {
        self.members.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: NodeId) -> Option<&mut Member> {
        self.members.get_mut(&id)
    }

    pub(super) fn contains(&self, id: NodeId) -> bool {
        self.members.contains_key(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (NodeId, &Member)> + Clone {
        self.members.iter().map(|(&id, member)| (id, member))
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn present(&self) -> usize {
        self.present
    }

    pub(super) fn failed(&self) -> usize {
        self.failed
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// A random present member that `accept` takes.
    pub(super) fn random_present(
        &self,
        rng: &mut fastrand::Rng,
        mut accept: impl FnMut(NodeId, &Member) -> bool,
    ) -> Option<NodeId> {
        if self.members.is_empty() {
            return None;
        }
        let mut fits = |index: usize| {
            let (&id, member) = self
                .members
                .get_index(index)
                .expect("index is below the length");
            (member.is_present() && accept(id, member)).then_some(id)
        };
        for _ in 0..8 {
            if let Some(id) = fits(rng.usize(..self.members.len())) {
                return Some(id);
            }
        }
        let start = rng.usize(..self.members.len());
        (0..self.members.len()).find_map(|i| fits((start + i) % self.members.len()))
    }

    pub(super) fn insert(&mut self, id: NodeId, member: Member) {
        let standing = member.standing;
        if self.members.len() == self.members.capacity() {
            let room = ROOM_MIN.max(self.members.len() / ROOM_DIVISOR);
            self.members.reserve_exact(room);
        }
        self.members.insert(id, member);
        self.count_in(id, standing);
    }

    pub(super) fn set_standing(&mut self, now: Instant, id: NodeId, standing: Standing) {
        let member = self
            .members
            .get_mut(&id)
            .expect("member is known: looked up by the caller");
        let (was, was_suspected) = (member.standing, member.suspected);
        member.standing = standing;
        member.suspected = false;
        (member.refused, member.heard, member.held) = (false, false, false);
        if was.state != standing.state || was_suspected {
            member.since = now;
        }
        self.count_out(id, was);
        self.count_in(id, standing);
    }

    /// Another process has the name of a present member since now.
    pub(super) fn begin_anew(&mut self, now: Instant, id: NodeId) {
        if let Some(member) = self.members.get_mut(&id) {
            member.since = now;
        }
    }

    /// Marks a present member as suspected or not. False where nothing changed.
    pub(super) fn set_suspected(&mut self, now: Instant, id: NodeId, suspected: bool) -> bool {
        let Some(member) = self
            .members
            .get_mut(&id)
            .filter(|m| m.is_present() && m.suspected != suspected)
        else {
            return false;
        };
        member.suspected = suspected;
        member.since = now;
        true
    }

    pub(super) fn take(&mut self, id: NodeId) -> Option<Member> {
        let member = self.members.swap_remove(&id)?;
        self.count_out(id, member.standing);
        Some(member)
    }

    fn count_in(&mut self, id: NodeId, standing: Standing) {
        if standing.is_present() {
            self.present += 1;
            self.fingerprint = self.fingerprint.with(standing.digest(id));
        } else {
            self.failed += usize::from(standing.state == State::Failed);
        }
    }

    fn count_out(&mut self, id: NodeId, standing: Standing) {
        if standing.is_present() {
            self.present -= 1;
            self.fingerprint = self.fingerprint.without(standing.digest(id));
        } else {
            self.failed -= usize::from(standing.state == State::Failed);
        }
    }

    /// Makes the sums wrong.
    #[cfg(all(test, feature = "sim"))]
    pub(super) fn miscount(&mut self) {
        self.fingerprint = self.fingerprint.with(1);
    }
}
