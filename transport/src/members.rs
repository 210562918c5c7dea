//! The members of a view: a persistent map that shares with older ones all but what changed.
//!
//! What changes most is how somebody is, not who there is. So the members lie in a trie by their
//! ids, where a change copies a few small nodes and compares no names; and the order of names, in
//! a tree beside it, changes only where somebody comes or goes.

use std::hash::BuildHasherDefault;

use convoke_core::{IdHasher, NodeId, NodeName};
use rpds::{HashTrieMapSync, RedBlackTreeSetSync};

use crate::view::MemberView;

/// The most branches of a node of the trie: a change copies a node of each level, and counts one
/// reference up for each branch in it.
const BRANCHES_MAX: u8 = 8;

/// Members by id, and their names in order.
#[derive(Clone, Debug)]
pub(crate) struct Members {
    by_id: HashTrieMapSync<NodeId, MemberView, BuildHasherDefault<IdHasher>>,
    names: RedBlackTreeSetSync<NodeName>,
}

impl Members {
    pub(crate) fn new() -> Self {
        let hasher = BuildHasherDefault::default();
        Self {
            by_id: HashTrieMapSync::new_with_hasher_and_degree_and_ptr_kind(hasher, BRANCHES_MAX),
            names: RedBlackTreeSetSync::new_sync(),
        }
    }

    pub(crate) fn get(&self, name: &NodeName) -> Option<&MemberView> {
        self.by_id.get(&name.id())
    }

    /// All of them, sorted by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &MemberView> {
        self.names.iter().filter_map(|name| self.get(name))
    }

    pub(crate) fn insert(&mut self, member: MemberView) {
        let (id, known) = (member.name.id(), self.by_id.size());
        let name = member.name.clone();
        self.by_id.insert_mut(id, member);
        if self.by_id.size() > known {
            self.names.insert_mut(name);
        }
    }

    pub(crate) fn remove(&mut self, id: NodeId) {
        if let Some(member) = self.by_id.get(&id) {
            self.names.remove_mut(&member.name);
            self.by_id.remove_mut(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::SystemTime;

    use convoke_core::member::Standing;
    use convoke_core::{Admission, Incarnation, Instance, Instant, Life, Member, Profile};

    use super::*;
    use crate::view::MemberState;

    fn member(n: u32, standing: fn(Life) -> Standing) -> MemberView {
        let life = Life {
            admission: Admission(1),
            incarnation: Incarnation(1),
        };
        let profile = Profile {
            name: format!("n{n}@10.0.0.1").parse().unwrap(),
            life,
            instance: Instance::new(1, u64::from(n)),
            address: "10.0.0.1:4370".parse().unwrap(),
            rpc_port: 5370,
            version: "0.1.0".into(),
            side: None,
            tags: [].into(),
        };
        let member = Member {
            profile: Arc::new(profile),
            standing: standing(life),
            suspected: false,
            since: Instant::ORIGIN,
            refused: false,
            heard: false,
            held: false,
        };
        MemberView::new(&member, SystemTime::UNIX_EPOCH).expect("it is no removal")
    }

    fn members(count: u32) -> Members {
        let mut members = Members::new();
        for n in 0..count {
            members.insert(member(n * 7 % count, Standing::alive));
        }
        members
    }

    fn state(members: &Members, n: u32) -> Option<MemberState> {
        let name = format!("n{n}@10.0.0.1").parse().unwrap();
        members.get(&name).map(|member| member.state)
    }

    #[test]
    fn members_come_sorted_by_name_and_once() {
        let mut members = members(500);
        (0..500).for_each(|n| members.insert(member(n, Standing::failed)));
        let names: Vec<_> = members.iter().map(|member| member.name.clone()).collect();
        assert!(names.is_sorted_by(|one, next| one < next));
        assert_eq!(names.len(), 500);
        assert!(
            members
                .iter()
                .all(|member| member.state == MemberState::Failed)
        );
    }

    #[test]
    fn an_older_picture_stays_as_it_was() {
        let mut members = members(500);
        let older = members.clone();
        members.insert(member(3, Standing::failed));
        members.insert(member(500, Standing::alive));
        members.remove(member(4, Standing::alive).name.id());
        let alive = Some(MemberState::Alive);
        assert_eq!([3, 4, 500].map(|n| state(&older, n)), [alive, alive, None]);
        let now = [Some(MemberState::Failed), None, alive];
        assert_eq!([3, 4, 500].map(|n| state(&members, n)), now);
        assert_eq!((older.iter().count(), members.iter().count()), (500, 500));
    }

    #[test]
    fn who_is_removed_twice_is_gone_once() {
        let mut members = members(3);
        let id = member(1, Standing::alive).name.id();
        members.remove(id);
        members.remove(id);
        assert_eq!(members.iter().count(), 2);
    }
}
