//! Who is known, in the least memory that random picks and a round robin allow.
//!
//! In a fleet of ten thousand every process knows ten thousand members: a hundred million entries.
//! So what all processes of a fleet have in common, names and profiles, is a [`Directory`] that they
//! share; an entry of one process is 12 bytes, and 4 more for its place in the round robin. Members
//! that are not in the shared directory, and profiles that changed, are kept by the process itself.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use crate::member::{Admission, Incarnation, Life, Profile, Standing};
use crate::name::NodeId;
use crate::roster::IdHasher;
use crate::time::Instant;

/// The most members that are known, the dead included. News of more are not taken.
pub(super) const MEMBERS_MAX: usize = 1 << 17;

/// A member's place in the table of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot(u32);

/// What is held of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing (any more).
    Unknown,
    /// It answers.
    Alive,
    /// It is accused.
    Suspect,
    /// It did not refute in time.
    Dead,
    /// It said goodbye.
    Left,
}

/// A member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The incarnation that the state is about.
    pub(super) incarnation: u32,
    /// When the state was taken on, in milliseconds since the origin of time.
    since_ms: u32,
    pub(super) state: State,
}

/// Profiles by slot, and slots by id.
#[derive(Clone, Debug, Default)]
pub(super) struct Directory {
    slots: ById<Slot>,
    profiles: Vec<Arc<Profile>>,
}

/// Something for each of some members. Never iterated, so that no order of hashing shows.
pub(super) type ById<T> = HashMap<NodeId, T, BuildHasherDefault<IdHasher>>;

/// The table of a process.
#[derive(Clone, Debug)]
pub(super) struct Members {
    shared: Arc<Directory>,
    /// Those who are not in the shared directory. Their slots come after its slots.
    own: Directory,
    /// Profiles of members of the shared directory that changed theirs.
    changed: BTreeMap<Slot, Arc<Profile>>,
    /// Slots of the process's own that are free again.
    free: Vec<Slot>,
    entries: Vec<Entry>,
    /// The round robin: everyone who is known, shuffled.
    order: Vec<Slot>,
    turn: usize,
    present: usize,
    digest: u64,
}

impl Slot {
    fn at(index: usize) -> Self {
        Self(u32::try_from(index).expect("fewer than MEMBERS_MAX"))
    }

    fn index(self) -> usize {
        self.0 as usize
    }
}

impl State {
    /// Alive, or suspect.
    pub(super) fn is_present(self) -> bool {
        matches!(self, Self::Alive | Self::Suspect)
    }

    /// Dead, or left.
    pub(super) fn is_gone(self) -> bool {
        matches!(self, Self::Dead | Self::Left)
    }
}

impl Entry {
    const UNKNOWN: Self = Self {
        incarnation: 0,
        since_ms: 0,
        state: State::Unknown,
    };

    /// Whether the state was taken on before that moment.
    pub(super) fn is_older_than(&self, moment: Instant) -> bool {
        self.since_ms < millis(moment)
    }
}

fn millis(moment: Instant) -> u32 {
    u32::try_from(moment.as_micros() / 1000).unwrap_or(u32::MAX)
}

impl Members {
    /// Nobody.
    pub(super) fn empty() -> Self {
        Self::sharing(Arc::default())
    }

    /// All of these, alive at that incarnation since now, in the order given.
    pub(super) fn fleet(profiles: &[Arc<Profile>], incarnation: u32, now: Instant) -> Self {
        let slots = profiles.iter().enumerate();
        let mut members = Self::sharing(Arc::new(Directory {
            slots: slots.map(|(i, p)| (p.id(), Slot::at(i))).collect(),
            profiles: profiles.to_vec(),
        }));
        for slot in (0..profiles.len()).map(Slot::at) {
            members.order.push(slot);
            members.set(slot, incarnation, State::Alive, now);
        }
        members
    }

    fn sharing(shared: Arc<Directory>) -> Self {
        let entries = vec![Entry::UNKNOWN; shared.profiles.len()];
        Self {
            shared,
            own: Directory::default(),
            changed: BTreeMap::new(),
            free: Vec::new(),
            entries,
            order: Vec::new(),
            turn: 0,
            present: 0,
            digest: 0,
        }
    }

    /// Puts the round robin into an order of this process's own, somewhere in the middle of a pass.
    pub(super) fn scatter(&mut self, rng: &mut fastrand::Rng) {
        rng.shuffle(&mut self.order);
        self.turn = rng.usize(..=self.order.len());
    }

    /// Where a known member is.
    pub(super) fn find(&self, id: NodeId) -> Option<Slot> {
        let slot = self.place(id)?;
        (self.entry(slot).state != State::Unknown).then_some(slot)
    }

    fn place(&self, id: NodeId) -> Option<Slot> {
        let shared = self.shared.slots.get(&id);
        shared.or_else(|| self.own.slots.get(&id)).copied()
    }

    /// What is held of a member.
    pub(super) fn entry(&self, slot: Slot) -> Entry {
        self.entries[slot.index()]
    }

    /// What a member says of itself.
    pub(super) fn profile(&self, slot: Slot) -> &Arc<Profile> {
        let shared = &self.shared.profiles;
        match slot.index().checked_sub(shared.len()) {
            Some(own) => &self.own.profiles[own],
            None if self.changed.is_empty() => &shared[slot.index()],
            None => self.changed.get(&slot).unwrap_or(&shared[slot.index()]),
        }
    }

    /// A member says something else of itself.
    pub(super) fn set_profile(&mut self, slot: Slot, profile: &Arc<Profile>) {
        if Arc::ptr_eq(self.profile(slot), profile) {
            return;
        }
        match slot.index().checked_sub(self.shared.profiles.len()) {
            Some(own) => self.own.profiles[own] = profile.clone(),
            None => drop(self.changed.insert(slot, profile.clone())),
        }
    }

    /// How many are known, the dead that are not forgotten and this node included.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// How many are present.
    pub(super) fn present(&self) -> usize {
        self.present
    }

    /// The sum over those who are present.
    pub(super) fn digest(&self) -> u64 {
        self.digest
    }

    /// Everyone who is known.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, Entry)> + Clone {
        self.order.iter().map(|&slot| (slot, self.entry(slot)))
    }

    /// Takes up somebody who is not known, as dead until told otherwise, at a random place of the
    /// round robin (SWIM §4.3). `None`: there are too many.
    pub(super) fn insert(
        &mut self,
        profile: &Arc<Profile>,
        rng: &mut fastrand::Rng,
        now: Instant,
    ) -> Option<Slot> {
        if self.order.len() >= MEMBERS_MAX {
            return None;
        }
        let id = profile.id();
        let slot = self.place(id).unwrap_or_else(|| self.add(id, profile));
        self.set_profile(slot, profile);
        self.set(slot, 0, State::Dead, now);
        let last = self.order.len();
        self.order.push(slot);
        self.order.swap(rng.usize(..=last), last);
        Some(slot)
    }

    /// A slot for somebody who is not in the shared directory.
    fn add(&mut self, id: NodeId, profile: &Arc<Profile>) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry::UNKNOWN);
            self.own.profiles.push(profile.clone());
            Slot::at(self.entries.len() - 1)
        });
        self.own.slots.insert(id, slot);
        slot
    }

    /// Holds another state of a member from now on.
    pub(super) fn set(&mut self, slot: Slot, incarnation: u32, state: State, now: Instant) {
        let old = self.entry(slot);
        let id = self.profile(slot).id();
        if old.state.is_present() {
            self.present -= 1;
            self.digest = self.digest.wrapping_sub(share(id, old.incarnation));
        }
        if state.is_present() {
            self.present += 1;
            self.digest = self.digest.wrapping_add(share(id, incarnation));
        }
        let since_ms = if state == old.state {
            old.since_ms
        } else {
            millis(now)
        };
        self.entries[slot.index()] = Entry {
            incarnation,
            since_ms,
            state,
        };
    }

    /// Whose turn it is. `None`: the pass is over, [`Members::begin_pass`] begins the next.
    pub(super) fn next_turn(&mut self) -> Option<Slot> {
        let slot = self.order.get(self.turn).copied()?;
        self.turn += 1;
        Some(slot)
    }

    /// Forgets those who have been gone since before that moment, and shuffles the others. Takes
    /// time in proportion to their number, once in as many probes. Returns who was forgotten.
    pub(super) fn begin_pass(
        &mut self,
        gone_before: Instant,
        rng: &mut fastrand::Rng,
    ) -> Vec<(Arc<Profile>, u32)> {
        let entries = &self.entries;
        let old = |slot: &Slot| {
            let entry = entries[slot.index()];
            entry.state.is_gone() && entry.is_older_than(gone_before)
        };
        let forgotten: Vec<Slot> = self.order.iter().copied().filter(old).collect();
        if !forgotten.is_empty() {
            self.order.retain(|slot| !old(slot));
        }
        rng.shuffle(&mut self.order);
        self.turn = 0;
        forgotten
            .into_iter()
            .map(|slot| self.forget(slot))
            .collect()
    }

    fn forget(&mut self, slot: Slot) -> (Arc<Profile>, u32) {
        let profile = self.profile(slot).clone();
        let incarnation = self.entry(slot).incarnation;
        self.entries[slot.index()] = Entry::UNKNOWN;
        self.changed.remove(&slot);
        if self.own.slots.remove(&profile.id()).is_some() {
            self.free.push(slot);
        }
        (profile, incarnation)
    }

    /// Up to `count` different members that suit, picked at random: three times as many picks as
    /// there are members are tried at the most, which is few unless hardly anybody suits.
    pub(super) fn pick(
        &self,
        count: usize,
        rng: &mut fastrand::Rng,
        suits: impl Fn(Slot, Entry) -> bool,
    ) -> Vec<Slot> {
        let mut picked = Vec::with_capacity(count);
        for _ in 0..3 * self.order.len() {
            if picked.len() == count {
                break;
            }
            let slot = self.order[rng.usize(..self.order.len())];
            if !picked.contains(&slot) && suits(slot, self.entry(slot)) {
                picked.push(slot);
            }
        }
        picked
    }

    /// Whether counts and sums agree with the entries. Looks at all of them.
    #[cfg(test)]
    pub(super) fn audit(&self) {
        let mut places: Vec<_> = self.order.clone();
        places.sort();
        places.dedup();
        assert_eq!(places.len(), self.order.len(), "nobody is listed twice");
        let known = self.entries.iter().filter(|e| e.state != State::Unknown);
        assert_eq!(known.count(), self.order.len(), "everyone is listed");
        let present = self.iter().filter(|(_, entry)| entry.state.is_present());
        assert_eq!(present.clone().count(), self.present);
        let digest = present.fold(0u64, |sum, (slot, entry)| {
            sum.wrapping_add(share(self.profile(slot).id(), entry.incarnation))
        });
        assert_eq!(digest, self.digest);
    }
}

/// A member's share of the digest.
fn share(id: NodeId, incarnation: u32) -> u64 {
    Standing::alive(life(incarnation)).digest(id)
}

/// An incarnation in the words of events. Admissions are unknown here.
pub(super) fn life(incarnation: u32) -> Life {
    Life {
        admission: Admission(0),
        incarnation: Incarnation(incarnation.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::profile;
    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::from_micros(secs * 1_000_000)
    }

    fn fleet(count: u32) -> Members {
        let profiles: Vec<_> = (0..count).map(profile).collect();
        Members::fleet(&profiles, 1, at(0))
    }

    #[test]
    fn an_entry_and_its_turn_take_sixteen_bytes() {
        assert_eq!(size_of::<Entry>() + size_of::<Slot>(), 16);
    }

    #[test]
    fn every_member_has_one_turn_in_a_pass() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut members = fleet(20);
        members.begin_pass(at(0), &mut rng);
        let mut turns: Vec<_> = std::iter::from_fn(|| members.next_turn()).collect();
        assert!(!turns.is_sorted(), "they are shuffled");
        turns.sort();
        assert_eq!(turns, (0..20).map(Slot).collect::<Vec<_>>());
    }

    #[test]
    fn who_has_been_gone_for_long_is_forgotten_when_the_pass_ends() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut members = fleet(5);
        let newcomer = members.insert(&profile(5), &mut rng, at(1)).unwrap();
        members.set(newcomer, 1, State::Alive, at(1));
        members.set(newcomer, 1, State::Dead, at(10));
        members.set(Slot(3), 1, State::Left, at(20));
        members.audit();
        assert!(members.begin_pass(at(10), &mut rng).is_empty());
        let forgotten = members.begin_pass(at(15), &mut rng);
        assert_eq!(forgotten, [(profile(5), 1)]);
        assert_eq!(members.find(profile(5).id()), None);
        assert_eq!((members.len(), members.present()), (5, 4));
        members.audit();
        // The place is free for the next newcomer.
        assert_eq!(
            members.insert(&profile(6), &mut rng, at(30)),
            Some(newcomer)
        );
        assert_eq!(members.find(profile(6).id()), Some(newcomer));
        members.audit();
    }

    #[test]
    fn a_shared_member_that_was_forgotten_can_come_back_changed() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut members = fleet(3);
        let untouched = members.clone();
        members.set(Slot(1), 1, State::Dead, at(1));
        assert_eq!(members.begin_pass(at(2), &mut rng).len(), 1);
        let mut moved = (*profile(1)).clone();
        moved.address.set_port(9);
        let slot = members.insert(&Arc::new(moved.clone()), &mut rng, at(3));
        assert_eq!(slot, Some(Slot(1)));
        assert_eq!(**members.profile(Slot(1)), moved);
        assert_eq!(untouched.profile(Slot(1)), &profile(1));
        members.audit();
    }

    #[test]
    fn the_digest_is_the_same_for_the_same_members_and_only_for_them() {
        let mut rng = fastrand::Rng::with_seed(1);
        let (mut a, b) = (fleet(4), fleet(3));
        assert_ne!(a.digest(), b.digest());
        a.set(Slot(3), 1, State::Suspect, at(1));
        assert_eq!(a.digest(), fleet(4).digest());
        a.set(Slot(3), 1, State::Dead, at(1));
        assert_eq!(a.digest(), b.digest());
        let mut grown = Members::empty();
        for number in [2, 0, 1] {
            let slot = grown.insert(&profile(number), &mut rng, at(0)).unwrap();
            grown.set(slot, 1, State::Alive, at(0));
        }
        assert_eq!(grown.digest(), b.digest());
        grown.audit();
    }

    #[test]
    fn picks_are_different_and_suit() {
        let mut rng = fastrand::Rng::with_seed(1);
        let members = fleet(10);
        for _ in 0..100 {
            let mut picked = members.pick(3, &mut rng, |slot, _| slot != Slot(4));
            picked.sort();
            picked.dedup();
            assert!(picked.len() == 3 && !picked.contains(&Slot(4)));
        }
        assert!(members.pick(3, &mut rng, |_, _| false).is_empty());
        assert!(Members::empty().pick(3, &mut rng, |_, _| true).is_empty());
    }
}
