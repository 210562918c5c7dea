//! The roster: every fact that this node has accepted, and nothing else.
//!
//! Three rooms: the shelf of members (present, failed, left); the tombstones of removals, which no stale
//! copy of a removed member may undo; and the address book of those who were forgotten, so that a
//! long partition can still be healed and nothing stale comes back as news.

mod book;
mod by_id;
mod comparing;
mod line;
mod shelf;
#[cfg(test)]
pub(crate) mod tests;
mod tombstones;

use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::engine::Acquaintance;
use crate::member::{Admission, Fingerprint, Incarnation, Member, Profile, Standing, State};
use crate::message::{Contact, Failed, Rumor};
use crate::name::NodeId;
use crate::time::Instant;
use book::Book;
pub(crate) use by_id::ById;
pub use by_id::IdHasher;
use comparing::NEVER;
use line::{Entry, Line};
use shelf::Shelf;
use tombstones::Tombstones;

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
    shelf: Shelf,
    tombstones: Tombstones,
    book: Book,
    line: Line,
    /// When it was last looked who of the absent is old: who was not by then is still compared.
    aged: Instant,
    /// No absent member that is compared has been so for longer than since then.
    eldest_compared: Instant,
    /// No absent member has been so for longer than since then.
    eldest: Instant,
    absent_digest: u32,
    absent_changed: Instant,
    autoclean: Option<Duration>,
    members_max: usize,
}

impl Roster {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            shelf: Shelf::default(),
            tombstones: Tombstones::new(config.tombstones_max),
            book: Book::new(config.address_book_max),
            line: Line::new(),
            aged: Instant::ORIGIN,
            eldest_compared: NEVER,
            eldest: NEVER,
            absent_digest: 0,
            absent_changed: Instant::ORIGIN,
            autoclean: config.autoclean,
            members_max: config.members_max,
        }
    }

    // ---- reading ----

    pub(crate) fn member(&self, id: NodeId) -> Option<&Member> {
        self.shelf.get(id)
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (NodeId, &Member)> + Clone {
        self.shelf.iter()
    }

    /// The failed member of this number, in the order of their ids.
    pub(crate) fn failed_by_number(&self, number: usize) -> Option<(NodeId, Standing)> {
        let (part, number) = self.line.part_of_failed(number)?;
        let known = part.iter().filter_map(|&id| Some((id, self.member(id)?)));
        let mut failed = known.filter(|(_, member)| member.standing.state == State::Failed);
        failed.nth(number).map(|(id, member)| (id, member.standing))
    }

    /// How many are present.
    pub(crate) fn present(&self) -> usize {
        self.shelf.present()
    }

    /// How many are failed.
    pub(crate) fn failed(&self) -> usize {
        self.shelf.failed()
    }

    pub(crate) fn len(&self) -> usize {
        self.shelf.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.shelf.len() >= self.members_max
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.shelf.fingerprint()
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
        let buried = self.tombstones.get(id)?;
        let outlived = self
            .member(id)
            .is_some_and(|member| member.standing.life.admission > buried);
        (!outlived).then_some(buried)
    }

    /// The removal that ended this admission of a name, though it may be a member by a later one.
    pub(crate) fn ended(&self, id: NodeId, admission: Admission) -> Option<Admission> {
        let buried = self.tombstones.get(id);
        buried.filter(|&buried| admission <= buried)
    }

    pub(crate) fn tombstones(&self) -> impl Iterator<Item = (NodeId, Admission)> {
        self.tombstones.iter()
    }

    /// The address book's entry of somebody who is not a member.
    pub(crate) fn acquaintance(&self, id: NodeId) -> Option<&Acquaintance> {
        self.book.get(id).filter(|_| !self.shelf.contains(id))
    }

    /// How many of the address book are not members, at the most, and not known to be elsewhere.
    pub(crate) fn strangers(&self) -> usize {
        self.book.callable()
    }

    /// Somebody of the address book who `fits`, is not a member, and not known to be elsewhere.
    pub(crate) fn random_acquaintance(
        &self,
        rng: &mut fastrand::Rng,
        fits: impl Fn(&Acquaintance) -> bool,
    ) -> Option<&Acquaintance> {
        let strangers = self.book.iter().filter(|&(id, entry)| {
            !self.shelf.contains(id) && !self.book.is_elsewhere(id) && fits(entry)
        });
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
            .filter(|(id, _)| !self.shelf.contains(*id))
            .map(|(_, entry)| entry.clone());
        let members = self
            .members()
            .filter(|&(id, _)| id != me)
            .map(|(_, member)| acquaintance(member));
        let mut all: Vec<_> = book.chain(members).collect();
        // The latest are at the end; the oldest go first.
        let surplus = all.len().saturating_sub(self.book.max());
        all.drain(..surplus);
        all
    }

    /// The highest admission and incarnation that were ever seen of a name.
    pub(crate) fn highest(&self, id: NodeId) -> (Admission, Incarnation) {
        let member = self
            .member(id)
            .map(|member| member.standing.life.max(member.profile.life));
        let book = self.book.get(id).map(|entry| entry.standing.life);
        let buried = self.tombstones.get(id).unwrap_or_default();
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
        accept: impl FnMut(NodeId, &Member) -> bool,
    ) -> Option<NodeId> {
        self.shelf.random_present(rng, accept)
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
        let floor = self.book.get(id)?.standing;
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
        if sum != self.fingerprint() || present().count() != self.present() {
            return Err(format!(
                "fingerprint {} of {}, and the members make {sum} of {}",
                self.fingerprint(),
                self.present(),
                present().count()
            ));
        }
        self.check_line()
    }

    /// Makes the sums wrong.
    #[cfg(all(test, feature = "sim"))]
    pub(crate) fn miscount(&mut self) {
        self.shelf.miscount();
    }

    /// Whether a fact about a member, and all that comes with it, is held or outranked.
    pub(crate) fn is_known(&self, rumor: &Rumor) -> bool {
        let Some(member) = self.member(rumor.id()) else {
            return false;
        };
        let later = match rumor {
            Rumor::Alive(profile) | Rumor::Absent { profile, .. } => {
                profile.supersedes(&member.profile)
            }
            Rumor::Failed(_) | Rumor::Left { .. } => false,
            Rumor::Removed { .. } => true,
        };
        !later && rumor.standing() <= member.standing
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
        let member = self.shelf.get_mut(id);
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
        if self.tombstones.cover(id, standing.life.admission) {
            return Transition::Stale;
        }
        let Some(member) = self.shelf.get_mut(id) else {
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
            self.change(id, |roster| roster.shelf.set_standing(now, id, standing));
            if restarted {
                self.shelf.begin_anew(now, id);
            }
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
        match self.book.get(id) {
            // Who was only written down over a restart is shown as the others show it.
            Some(floor)
                if !standing.is_present()
                    && (standing < floor.standing
                        || (floor.forgotten && standing == floor.standing)) =>
            {
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
            held: false,
        };
        self.change(id, |roster| roster.shelf.insert(id, member));
        if standing.is_present() {
            return Transition::Joined { was: None };
        }
        Transition::Learned
    }

    fn apply_standing(&mut self, now: Instant, id: NodeId, standing: Standing) -> Transition {
        let Some(member) = self.shelf.get(id) else {
            return Transition::Unknown;
        };
        let was = member.standing;
        if standing <= was {
            return Transition::Stale;
        }
        self.change(id, |roster| roster.shelf.set_standing(now, id, standing));
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

    fn bury(&mut self, id: NodeId, admission: Admission) -> Transition {
        if self.tombstones.cover(id, admission) {
            return Transition::Stale;
        }
        let dropped = self.change(id, |roster| roster.tombstones.put(id, admission));
        let dropped = dropped.filter(|(oldest, _)| !self.shelf.contains(*oldest));
        if let Some((oldest, admission)) = dropped {
            let was = Entry {
                is_known: true,
                is_failed: false,
                compared: Some(Standing::removed(admission)),
            };
            self.line.replace(oldest, was, Entry::default());
        }
        self.book.end(id, admission);
        let outlived = self
            .member(id)
            .is_some_and(|member| member.standing.life.admission > admission);
        if outlived {
            return Transition::Stale;
        }
        let removed = self.change(id, |roster| roster.shelf.take(id));
        Transition::Removed(removed.map(Box::new))
    }

    /// Marks a present member as suspected or not. False where nothing changed.
    pub(crate) fn set_suspected(&mut self, now: Instant, id: NodeId, suspected: bool) -> bool {
        self.shelf.set_suspected(now, id, suspected)
    }

    /// An absent member is not forgotten for now, and compared however long it is gone; or it is not
    /// held any more.
    pub(crate) fn hold(&mut self, id: NodeId, held: bool) {
        self.change(id, |roster| {
            if let Some(member) = roster.shelf.get_mut(id) {
                member.held = held;
            }
        });
    }

    /// Forgets an absent member; its life stays in the address book as a floor.
    pub(crate) fn forget(&mut self, id: NodeId) -> Option<Member> {
        let member = self.change(id, |roster| roster.shelf.take(id))?;
        self.book.put(Acquaintance {
            forgotten: true,
            ..acquaintance(&member)
        });
        Some(member)
    }

    /// Puts somebody into the address book.
    pub(crate) fn remember(&mut self, entry: Acquaintance) {
        self.book.put(entry);
    }

    /// Somebody of the address book is in another cluster. It is not called any more, and its life
    /// stays as a floor: a stale copy does not bring it back.
    pub(crate) fn strike(&mut self, id: NodeId) {
        self.book.strike(id);
    }

    /// Whom to forget: absent members whose time is over, in the order of their ids.
    pub(crate) fn forgettable(&mut self, now: Instant) -> Vec<NodeId> {
        let over = |autoclean: &Duration| now.since(self.eldest) >= *autoclean;
        let Some(autoclean) = self.autoclean.filter(over) else {
            return Vec::new();
        };
        let absent = self.members().filter(|(_, member)| !member.is_present());
        let eldest = absent.clone().map(|(_, member)| member.since).min();
        let over = absent.filter(|(_, member)| now.since(member.since) >= autoclean);
        let mut over: Vec<_> = over.map(|(id, _)| id).collect();
        over.sort_unstable();
        self.eldest = eldest.unwrap_or(NEVER);
        over
    }

    /// Starts afresh in another cluster. Nothing of the old one may be taken for a fact there.
    pub(crate) fn clear(&mut self) {
        self.shelf = Shelf::default();
        self.tombstones.clear();
        self.book.clear();
        self.line = Line::new();
        (self.eldest, self.eldest_compared) = (NEVER, NEVER);
        self.absent_digest = 0;
    }
}

fn acquaintance(member: &Member) -> Acquaintance {
    Acquaintance {
        name: member.profile.name.clone(),
        address: member.profile.address,
        standing: member.standing,
        forgotten: false,
        crashed: false,
    }
}
