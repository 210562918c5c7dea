//! The roster: every fact that this node has accepted, and nothing else.
//!
//! Three shelves: the members (present, failed, left); the tombstones of removals, which no stale
//! copy of a removed member may undo; and the address book of those who were forgotten, so that a
//! long partition can still be healed and nothing stale comes back as news.

use std::collections::BTreeSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use crate::config::Config;
use crate::engine::Acquaintance;
use crate::member::{Admission, Fingerprint, Incarnation, Member, Profile, Standing, State};
use crate::message::{Contact, Failed, Rumor};
use crate::name::NodeId;
use crate::time::Instant;

/// The part of the autoclean time during which an absent member counts in the digest of the
/// absent: those about to be forgotten are left out, so that forgetting causes no traffic.
const DIGEST_AGE_DIVISOR: u32 = 2;

/// Ids are hashes already.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = self.0.rotate_left(5) ^ u64::from_le_bytes(word);
        }
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = id;
    }
}

type ById<T> = IndexMap<NodeId, T, BuildHasherDefault<IdHasher>>;

/// What accepting a rumor changed.
#[derive(Debug)]
pub(crate) enum Transition {
    /// Nothing: it was known, or outranked.
    Stale,
    /// Nothing: it speaks of somebody of whom no profile is known.
    Unknown,
    /// Nothing: the roster is full.
    Full,
    /// Nothing: the member was forgotten at a life that is not earlier. It has to say itself that
    /// it lives.
    BelowFloor(Acquaintance),
    /// A newcomer, or one that had failed, left or been removed, is present. `was` is the state
    /// that it had here.
    Joined {
        /// What was held before.
        was: Option<State>,
    },
    /// Somebody absent is known now who was not: a fact to hold and to show, not an event.
    Learned,
    /// A present member has a later life.
    Renewed {
        /// It was suspected.
        was_suspected: bool,
        /// It is another process.
        restarted: bool,
        /// It says other tags.
        retagged: bool,
    },
    /// A member is failed now.
    Failed(Change),
    /// A member has left now.
    Left(Change),
    /// A removal is known now; the member is gone where there was one.
    Removed(Option<Box<Member>>),
}

/// A member that is not present any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// Whether it was present until now: the fingerprint changed.
    pub(crate) was_present: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Roster {
    members: ById<Member>,
    tombstones: ById<Admission>,
    book: ById<Acquaintance>,
    /// Those of the book who said that they are in another cluster: they are not called any more.
    elsewhere: BTreeSet<NodeId>,
    absent: BTreeSet<NodeId>,
    present: usize,
    failed: usize,
    fingerprint: Fingerprint,
    absent_digest: u32,
    absent_changed: Instant,
    members_max: usize,
    tombstones_max: usize,
    book_max: usize,
}

impl Roster {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            members: ById::default(),
            tombstones: ById::default(),
            book: ById::default(),
            elsewhere: BTreeSet::new(),
            absent: BTreeSet::new(),
            present: 0,
            failed: 0,
            fingerprint: Fingerprint::default(),
            absent_digest: 0,
            absent_changed: Instant::ORIGIN,
            members_max: config.members_max,
            tombstones_max: config.tombstones_max,
            book_max: config.address_book_max,
        }
    }

    // ---- reading ----

    pub(crate) fn member(&self, id: NodeId) -> Option<&Member> {
        self.members.get(&id)
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (NodeId, &Member)> + Clone {
        self.members.iter().map(|(&id, member)| (id, member))
    }

    /// Members that are failed or left, in the order of their ids.
    pub(crate) fn absent(&self) -> impl Iterator<Item = (NodeId, &Member)> {
        self.absent.iter().map(|id| (*id, &self.members[id]))
    }

    /// How many are present.
    pub(crate) fn present(&self) -> usize {
        self.present
    }

    /// How many are failed.
    pub(crate) fn failed(&self) -> usize {
        self.failed
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.members.len() >= self.members_max
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The digest of what is held about those that are not present; see [`Roster::sweep`].
    pub(crate) fn absent_digest(&self) -> u32 {
        self.absent_digest
    }

    /// For how long that digest has been the same.
    pub(crate) fn absent_steady(&self, now: Instant) -> Duration {
        now.since(self.absent_changed)
    }

    pub(crate) fn contact(&self, id: NodeId) -> Option<Contact> {
        let profile = &self.member(id)?.profile;
        Some(Contact {
            name: profile.name.clone(),
            address: profile.address,
        })
    }

    /// The removal that stands against a name, if it is not a member by a later admission.
    pub(crate) fn tombstone(&self, id: NodeId) -> Option<Admission> {
        let buried = *self.tombstones.get(&id)?;
        let outlived = self
            .member(id)
            .is_some_and(|member| member.standing.life.admission > buried);
        (!outlived).then_some(buried)
    }

    /// The removal that ended this admission of a name, though it may be a member by a later one.
    pub(crate) fn ended(&self, id: NodeId, admission: Admission) -> Option<Admission> {
        let buried = self.tombstones.get(&id).copied();
        buried.filter(|&buried| admission <= buried)
    }

    pub(crate) fn tombstones(&self) -> impl Iterator<Item = (NodeId, Admission)> {
        self.tombstones
            .iter()
            .map(|(&id, &admission)| (id, admission))
    }

    /// The address book's entry of somebody who is not a member.
    pub(crate) fn acquaintance(&self, id: NodeId) -> Option<&Acquaintance> {
        self.book
            .get(&id)
            .filter(|_| !self.members.contains_key(&id))
    }

    /// How many of the address book are not members, at the most, and not known to be elsewhere.
    pub(crate) fn strangers(&self) -> usize {
        self.book.len() - self.elsewhere.len()
    }

    /// Somebody of the address book who is not a member, and not known to be elsewhere.
    pub(crate) fn random_acquaintance(&self, rng: &mut fastrand::Rng) -> Option<&Acquaintance> {
        let strangers = self
            .book
            .iter()
            .filter(|(id, _)| !self.members.contains_key(*id) && !self.elsewhere.contains(*id));
        let count = strangers.clone().count();
        (count > 0).then(|| {
            strangers
                .clone()
                .nth(rng.usize(..count))
                .map(|(_, entry)| entry)
        })?
    }

    /// All that is to be remembered over a restart: the book, and the members themselves.
    pub(crate) fn acquaintances(&self, me: NodeId) -> Vec<Acquaintance> {
        let book = self
            .book
            .iter()
            .filter(|(id, _)| !self.members.contains_key(*id))
            .map(|(_, entry)| entry.clone());
        let members = self
            .members()
            .filter(|&(id, _)| id != me)
            .map(|(_, member)| acquaintance(member));
        let mut all: Vec<_> = book.chain(members).collect();
        // The latest are at the end; the oldest go first.
        let surplus = all.len().saturating_sub(self.book_max);
        all.drain(..surplus);
        all
    }

    /// The highest admission and incarnation that were ever seen of a name.
    pub(crate) fn highest(&self, id: NodeId) -> (Admission, Incarnation) {
        let member = self
            .member(id)
            .map(|member| member.standing.life.max(member.profile.life));
        let book = self.book.get(&id).map(|entry| entry.standing.life);
        let buried = self.tombstones.get(&id).copied().unwrap_or_default();
        let lives = member.into_iter().chain(book);
        let admission = lives
            .clone()
            .map(|life| life.admission)
            .max()
            .unwrap_or_default();
        let incarnation = lives.map(|life| life.incarnation).max().unwrap_or_default();
        (admission.max(buried), incarnation)
    }

    /// A random present member that `accept` takes.
    pub(crate) fn random_present(
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

    /// Every fact that two rosters compare, sorted by id: the present, the absent that are not
    /// about to be forgotten, and the tombstones.
    pub(crate) fn items(&self, config: &Config, now: Instant) -> Vec<(NodeId, Standing)> {
        let members = self
            .members()
            .filter(|(_, member)| is_compared(member, config, now));
        let members = members.map(|(id, member)| (id, member.standing));
        let buried = self
            .tombstones()
            .filter(|&(id, _)| self.tombstone(id).is_some() && !self.members.contains_key(&id));
        let mut items: Vec<_> = members
            .chain(buried.map(|(id, a)| (id, Standing::removed(a))))
            .collect();
        items.sort_unstable_by_key(|&(id, _)| id);
        items
    }

    /// What is held about somebody, as a rumor.
    pub(crate) fn rumor(&self, id: NodeId, now: Instant) -> Option<Rumor> {
        match self.member(id) {
            Some(member) if member.is_present() => Some(Rumor::Alive(member.profile.clone())),
            Some(member) => Some(Rumor::Absent {
                profile: member.profile.clone(),
                standing: member.standing,
                age: u32::try_from(now.since(member.since).as_secs()).unwrap_or(u32::MAX),
                refused: member.refused,
                heard: member.heard,
            }),
            None => self
                .tombstone(id)
                .map(|admission| Rumor::Removed { id, admission }),
        }
    }

    /// A later fact than `theirs` that no comparison shows, because this node has forgotten the
    /// member or is about to.
    pub(crate) fn unshown(&self, id: NodeId, theirs: Standing, now: Instant) -> Option<Rumor> {
        if self.member(id).is_some() {
            let later = self
                .member(id)
                .is_some_and(|member| member.standing > theirs);
            return self.rumor(id, now).filter(|_| later);
        }
        let floor = self.book.get(&id)?.standing;
        let (life, by) = (floor.life, id);
        match floor.state {
            _ if floor <= theirs => None,
            State::Failed => Some(Rumor::Failed(Failed {
                id,
                life,
                by,
                accusers: 0,
                doubtful: false,
                refused: false,
                heard: false,
            })),
            State::Left => Some(Rumor::Left { id, life }),
            State::Alive | State::Removed => None,
        }
    }

    /// Whether what is kept as a sum is the sum of what there is.
    #[cfg(feature = "sim")]
    pub(crate) fn check_sums(&self) -> Result<(), String> {
        let present = || self.members().filter(|(_, member)| member.is_present());
        let sum = present().fold(Fingerprint::default(), |sum, (id, member)| {
            sum.with(member.standing.digest(id))
        });
        if sum != self.fingerprint || present().count() != self.present {
            return Err(format!(
                "fingerprint {} of {}, and the members make {sum} of {}",
                self.fingerprint,
                self.present,
                present().count()
            ));
        }
        Ok(())
    }

    /// Makes the sums wrong.
    #[cfg(all(test, feature = "sim"))]
    pub(crate) fn miscount(&mut self) {
        self.fingerprint = self.fingerprint.with(1);
    }

    // ---- changing ----

    /// Merges a fact.
    pub(crate) fn apply(&mut self, now: Instant, rumor: &Rumor) -> Transition {
        let transition = match rumor {
            Rumor::Alive(profile) => {
                self.apply_profile(now, profile, Standing::alive(profile.life), 0)
            }
            Rumor::Absent {
                profile,
                standing,
                age,
                ..
            } => self.apply_profile(now, profile, *standing, *age),
            Rumor::Failed(_) | Rumor::Left { .. } => {
                self.apply_standing(now, rumor.id(), rumor.standing())
            }
            Rumor::Removed { id, admission } => self.bury(*id, *admission),
        };
        let how = match rumor {
            Rumor::Failed(Failed { refused, heard, .. }) | Rumor::Absent { refused, heard, .. } => {
                (*refused, *heard)
            }
            _ => return transition,
        };
        if let Transition::Failed(_) | Transition::Learned = transition {
            self.learn_how(rumor.id(), how.0, how.1);
        }
        transition
    }

    /// How a failed member was lost: whether its port `refused`, whether it is `heard` all the
    /// same. False where that is no news, or it is not failed.
    pub(crate) fn learn_how(&mut self, id: NodeId, refused: bool, heard: bool) -> bool {
        let member = self.members.get_mut(&id);
        let member = member.filter(|member| member.standing.state == State::Failed);
        member.is_some_and(|member| {
            let known = (member.refused, member.heard);
            (member.refused, member.heard) = (known.0 || refused, known.1 || heard);
            (member.refused, member.heard) != known
        })
    }

    fn apply_profile(
        &mut self,
        now: Instant,
        profile: &Arc<Profile>,
        standing: Standing,
        age: u32,
    ) -> Transition {
        let id = profile.id();
        if self
            .tombstones
            .get(&id)
            .is_some_and(|&buried| standing.life.admission <= buried)
        {
            return Transition::Stale;
        }
        let Some(member) = self.members.get_mut(&id) else {
            return self.admit(now, id, profile, standing, age);
        };
        let (retagged, restarted) = (
            profile.tags != member.profile.tags,
            profile.instance != member.profile.instance,
        );
        if profile.supersedes(&member.profile) {
            member.profile = profile.clone();
        }
        if standing <= member.standing {
            return Transition::Stale;
        }
        if standing.is_present() && member.is_present() {
            let was_suspected = member.suspected;
            self.set_standing(now, id, standing);
            return Transition::Renewed {
                was_suspected,
                restarted,
                retagged,
            };
        }
        self.apply_standing(now, id, standing)
    }

    fn admit(
        &mut self,
        now: Instant,
        id: NodeId,
        profile: &Arc<Profile>,
        standing: Standing,
        age: u32,
    ) -> Transition {
        match self.book.get(&id) {
            Some(floor) if !standing.is_present() && standing <= floor.standing => {
                return Transition::Stale;
            }
            Some(floor) if standing < floor.standing => {
                return Transition::BelowFloor(floor.clone());
            }
            _ => {}
        }
        if self.is_full() {
            return Transition::Full;
        }
        let member = Member {
            profile: profile.clone(),
            standing,
            suspected: false,
            since: now.before(Duration::from_secs(age.into())),
            refused: false,
            heard: false,
        };
        self.members.insert(id, member);
        self.count_in(id, standing);
        if standing.is_present() {
            return Transition::Joined { was: None };
        }
        Transition::Learned
    }

    fn apply_standing(&mut self, now: Instant, id: NodeId, standing: Standing) -> Transition {
        let Some(member) = self.members.get(&id) else {
            return Transition::Unknown;
        };
        let was = member.standing;
        if standing <= was {
            return Transition::Stale;
        }
        self.set_standing(now, id, standing);
        let change = Change {
            was_present: was.is_present(),
        };
        match standing.state {
            State::Alive => Transition::Joined {
                was: Some(was.state),
            },
            State::Failed => Transition::Failed(change),
            State::Left | State::Removed => Transition::Left(change),
        }
    }

    fn set_standing(&mut self, now: Instant, id: NodeId, standing: Standing) {
        let member = self
            .members
            .get_mut(&id)
            .expect("member is known: looked up by the caller");
        let (was, was_suspected) = (member.standing, member.suspected);
        member.standing = standing;
        member.suspected = false;
        (member.refused, member.heard) = (false, false);
        if was.state != standing.state || was_suspected {
            member.since = now;
        }
        self.count_out(id, was);
        self.count_in(id, standing);
    }

    fn bury(&mut self, id: NodeId, admission: Admission) -> Transition {
        if self
            .tombstones
            .get(&id)
            .is_some_and(|&buried| buried >= admission)
        {
            return Transition::Stale;
        }
        self.tombstones.shift_remove(&id);
        self.tombstones.insert(id, admission);
        if self.tombstones.len() > self.tombstones_max {
            self.tombstones.shift_remove_index(0);
        }
        let ended = |entry: &Acquaintance| entry.standing.life.admission <= admission;
        if self.book.get(&id).is_some_and(ended) {
            self.book.shift_remove(&id);
            self.elsewhere.remove(&id);
        }
        let outlived = self
            .member(id)
            .is_some_and(|member| member.standing.life.admission > admission);
        if outlived {
            return Transition::Stale;
        }
        Transition::Removed(self.take(id).map(Box::new))
    }

    /// Marks a present member as suspected or not. False where nothing changed.
    pub(crate) fn set_suspected(&mut self, now: Instant, id: NodeId, suspected: bool) -> bool {
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

    /// Forgets an absent member; its life stays in the address book as a floor.
    pub(crate) fn forget(&mut self, id: NodeId) -> Option<Member> {
        let member = self.take(id)?;
        self.remember(acquaintance(&member));
        Some(member)
    }

    /// Puts somebody into the address book.
    pub(crate) fn remember(&mut self, entry: Acquaintance) {
        let id = entry.name.id();
        self.elsewhere.remove(&id);
        self.book.shift_remove(&id);
        self.book.insert(id, entry);
        if self.book.len() > self.book_max
            && let Some((oldest, _)) = self.book.shift_remove_index(0)
        {
            self.elsewhere.remove(&oldest);
        }
    }

    /// Somebody of the address book is in another cluster. It is not called any more, and its life
    /// stays as a floor: a stale copy does not bring it back.
    pub(crate) fn strike(&mut self, id: NodeId) {
        if let Some(entry) = self.book.get_mut(&id) {
            entry.standing = entry.standing.max(Standing::left(entry.standing.life));
            self.elsewhere.insert(id);
        }
    }

    /// Whom to forget: absent members whose time is over.
    pub(crate) fn forgettable(&self, config: &Config, now: Instant) -> Vec<NodeId> {
        let Some(autoclean) = config.autoclean else {
            return Vec::new();
        };
        let over = self
            .absent()
            .filter(|(_, member)| now.since(member.since) >= autoclean);
        over.map(|(id, _)| id).collect()
    }

    /// Brings the digest of the absent up to date.
    pub(crate) fn sweep(&mut self, config: &Config, now: Instant) {
        let absent = self
            .absent()
            .filter(|(_, member)| is_compared(member, config, now));
        let absent = absent.map(|(id, member)| member.standing.digest(id));
        let buried = self
            .tombstones()
            .filter(|&(id, _)| self.tombstone(id).is_some());
        let buried = buried.map(|(id, admission)| Standing::removed(admission).digest(id));
        let sum = absent.chain(buried).fold(0u64, u64::wrapping_add);
        let digest = (sum ^ sum >> 32) as u32;
        if digest != self.absent_digest {
            self.absent_digest = digest;
            self.absent_changed = now;
        }
    }

    /// Starts afresh in another cluster. Nothing of the old one may be taken for a fact there.
    pub(crate) fn clear(&mut self) {
        self.members.clear();
        self.tombstones.clear();
        self.book.clear();
        self.elsewhere.clear();
        self.absent.clear();
        self.present = 0;
        self.failed = 0;
        self.fingerprint = Fingerprint::default();
        self.absent_digest = 0;
    }

    fn take(&mut self, id: NodeId) -> Option<Member> {
        let member = self.members.swap_remove(&id)?;
        self.count_out(id, member.standing);
        Some(member)
    }

    fn count_in(&mut self, id: NodeId, standing: Standing) {
        if standing.is_present() {
            self.present += 1;
            self.fingerprint = self.fingerprint.with(standing.digest(id));
        } else {
            self.absent.insert(id);
            self.failed += usize::from(standing.state == State::Failed);
        }
    }

    fn count_out(&mut self, id: NodeId, standing: Standing) {
        if standing.is_present() {
            self.present -= 1;
            self.fingerprint = self.fingerprint.without(standing.digest(id));
        } else {
            self.absent.remove(&id);
            self.failed -= usize::from(standing.state == State::Failed);
        }
    }
}

fn acquaintance(member: &Member) -> Acquaintance {
    Acquaintance {
        name: member.profile.name.clone(),
        address: member.profile.address,
        standing: member.standing,
    }
}

fn is_compared(member: &Member, config: &Config, now: Instant) -> bool {
    let young = |autoclean: Duration| now.since(member.since) < autoclean / DIGEST_AGE_DIVISOR;
    member.is_present() || config.autoclean.is_none_or(young)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::member::{Instance, Life};

    pub(crate) fn life(admission: u32, incarnation: u64) -> Life {
        Life {
            admission: Admission(admission),
            incarnation: Incarnation(incarnation),
        }
    }

    pub(crate) fn profile(name: &str, life: Life) -> Arc<Profile> {
        Arc::new(Profile {
            name: name.parse().unwrap(),
            life,
            instance: Instance::new(1, 1),
            address: "10.0.0.1:4370".parse().unwrap(),
            rpc_port: 5370,
            version: "0.1.0".into(),
            side: None,
            tags: BTreeMap::new(),
        })
    }

    pub(crate) fn member(name: &str, incarnation: u64) -> Member {
        let life = life(1, incarnation);
        Member {
            profile: profile(name, life),
            standing: Standing::alive(life),
            suspected: false,
            since: Instant::ORIGIN,
            refused: false,
            heard: false,
        }
    }

    const NOW: Instant = Instant::ORIGIN;
    const A: &str = "a@10.0.0.1";

    fn alive(admission: u32, incarnation: u64) -> Rumor {
        Rumor::Alive(profile(A, life(admission, incarnation)))
    }

    fn failed(admission: u32, incarnation: u64) -> Rumor {
        Rumor::Failed(Failed {
            id: id(),
            life: life(admission, incarnation),
            by: NodeId(1),
            accusers: 3,
            doubtful: false,
            refused: false,
            heard: false,
        })
    }

    fn left(admission: u32, incarnation: u64) -> Rumor {
        Rumor::Left {
            id: id(),
            life: life(admission, incarnation),
        }
    }

    fn removed(admission: u32) -> Rumor {
        Rumor::Removed {
            id: id(),
            admission: Admission(admission),
        }
    }

    fn id() -> NodeId {
        profile(A, Life::ZERO).id()
    }

    fn after(rumors: &[Rumor]) -> Roster {
        let mut roster = Roster::new(&Config::lan());
        for rumor in rumors {
            roster.apply(NOW, rumor);
        }
        roster
    }

    /// What a roster says, without the order in which it learned it.
    fn said(roster: &Roster) -> (Vec<(NodeId, Standing)>, Fingerprint, usize) {
        (
            roster.items(&Config::lan(), NOW),
            roster.fingerprint(),
            roster.present(),
        )
    }

    #[test]
    fn the_order_of_facts_about_a_known_member_does_not_matter() {
        let first = alive(1, 1);
        let facts = [
            alive(1, 2),
            failed(1, 2),
            left(1, 1),
            removed(1),
            alive(2, 1),
            failed(2, 1),
            alive(2, 3),
        ];
        for a in &facts {
            for b in &facts {
                for c in &facts {
                    let one = after(&[first.clone(), a.clone(), b.clone(), c.clone()]);
                    let other = after(&[first.clone(), c.clone(), a.clone(), b.clone(), a.clone()]);
                    // A bare verdict about somebody unknown is no fact; reconciliation brings it.
                    let bare = |r: &Rumor| matches!(r, Rumor::Failed(_) | Rumor::Left { .. });
                    let unknown = [a, b, c].iter().any(|r| **r == removed(1))
                        && [a, b, c].iter().any(|r| bare(r));
                    if !unknown {
                        assert_eq!(said(&one), said(&other), "{a:?} {b:?} {c:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_fingerprint_is_that_of_the_present_members() {
        assert_eq!(
            after(&[alive(1, 1), failed(1, 1)]).fingerprint(),
            Fingerprint::default()
        );
        assert_eq!(
            after(&[alive(1, 1), failed(1, 1), alive(1, 2)]).fingerprint(),
            after(&[alive(1, 2)]).fingerprint()
        );
        assert_ne!(
            after(&[alive(1, 1)]).fingerprint(),
            after(&[alive(1, 2)]).fingerprint()
        );
    }

    #[test]
    fn a_removed_member_does_not_come_back_by_its_own_word() {
        let mut roster = after(&[alive(1, 1), removed(1)]);
        assert!(matches!(
            roster.apply(NOW, &alive(1, 99)),
            Transition::Stale
        ));
        assert_eq!(roster.present(), 0);
        assert_eq!(roster.tombstone(id()), Some(Admission(1)));
        assert!(matches!(
            roster.apply(NOW, &alive(2, 1)),
            Transition::Joined { was: None }
        ));
        assert_eq!(roster.tombstone(id()), None);
    }

    #[test]
    fn what_was_forgotten_does_not_come_back_by_an_old_copy() {
        let mut roster = after(&[alive(1, 5), failed(1, 5)]);
        roster.forget(id()).unwrap();
        assert!(matches!(
            roster.apply(NOW, &alive(1, 5)),
            Transition::BelowFloor(_)
        ));
        assert!(matches!(
            roster.apply(NOW, &alive(1, 6)),
            Transition::Joined { was: None }
        ));
    }

    #[test]
    fn a_stale_copy_does_not_bring_back_one_who_said_that_it_is_elsewhere() {
        let mut roster = after(&[alive(1, 5), left(1, 5)]);
        roster.forget(id()).unwrap();
        roster.strike(id());
        assert!(matches!(
            roster.apply(NOW, &alive(1, 5)),
            Transition::BelowFloor(_)
        ));
        let mut rng = fastrand::Rng::with_seed(1);
        assert_eq!(roster.random_acquaintance(&mut rng), None, "nobody to call");
        assert_eq!(roster.strangers(), 0);
        assert!(matches!(
            roster.apply(NOW, &alive(1, 6)),
            Transition::Joined { was: None }
        ));
    }

    #[test]
    fn the_removal_of_an_earlier_stay_leaves_the_floor_of_a_later_one() {
        let mut roster = after(&[alive(2, 5), failed(2, 5)]);
        roster.forget(id()).unwrap();
        roster.apply(NOW, &removed(1));
        assert!(matches!(
            roster.apply(NOW, &alive(2, 5)),
            Transition::BelowFloor(_)
        ));
    }

    #[test]
    fn a_member_of_the_past_that_was_alive_is_taken_at_the_same_life() {
        let mut roster = Roster::new(&Config::lan());
        roster.remember(acquaintance(&member(A, 5)));
        assert!(matches!(
            roster.apply(NOW, &alive(1, 5)),
            Transition::Joined { was: None }
        ));
    }

    #[test]
    fn shelves_are_bounded() {
        let config = Config {
            members_max: 3,
            tombstones_max: 2,
            address_book_max: 2,
            ..Config::lan()
        };
        let mut roster = Roster::new(&config);
        for i in 0..5 {
            roster.apply(
                NOW,
                &Rumor::Alive(profile(&format!("n{i}@10.0.0.1"), life(1, 1))),
            );
            roster.apply(
                NOW,
                &Rumor::Removed {
                    id: NodeId(i),
                    admission: Admission(1),
                },
            );
            roster.remember(acquaintance(&member(&format!("b{i}@10.0.0.1"), 1)));
        }
        assert_eq!(
            (roster.len(), roster.tombstones().count(), roster.book.len()),
            (3, 2, 2)
        );
        assert!(roster.is_full());
    }

    #[test]
    fn those_about_to_be_forgotten_are_not_compared() {
        let config = Config::lan();
        let mut roster = after(&[alive(1, 1), failed(1, 1)]);
        roster.sweep(&config, NOW);
        assert_ne!(roster.absent_digest(), 0);
        let later = NOW + config.autoclean.unwrap() / 2;
        roster.sweep(&config, later);
        assert_eq!(roster.absent_digest(), 0);
        assert!(roster.items(&config, later).is_empty());
        assert_eq!(
            roster.forgettable(&config, NOW + config.autoclean.unwrap()),
            [id()]
        );
    }

    #[test]
    fn random_picks_reach_everybody() {
        let rumors: Vec<_> = (0..20)
            .map(|i| Rumor::Alive(profile(&format!("n{i}@10.0.0.1"), life(1, 1))))
            .collect();
        let roster = after(&rumors);
        let mut rng = fastrand::Rng::with_seed(1);
        let picked: BTreeSet<_> = (0..1000)
            .filter_map(|_| roster.random_present(&mut rng, |_, _| true))
            .collect();
        assert_eq!(picked.len(), 20);
        assert_eq!(roster.random_present(&mut rng, |_, _| false), None);
    }
}
