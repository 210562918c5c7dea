//! Returning after a restart: to the cluster of the past, and to what it has become.

use std::time::Duration;

use super::{Acquaintance, Engine};
use crate::case::What;
use crate::config::SplitBrain;
use crate::mates::{ASKED_AT_ONCE, Step};
use crate::member::{Member, Profile, Standing, State};
use crate::message::{Contact, Intent, Rumor};
use crate::name::NodeId;
use crate::output::{Downed, Event, Target};
use crate::time::Instant;
use crate::timers::Timer;

/// How many members of the past a returning node asks at once.
const RETURN_CONTACTS: usize = 3;
/// The pauses between its attempts grow from this …
const RETURN_PAUSE_MIN: Duration = Duration::from_millis(500);
/// … to this.
const RETURN_PAUSE_MAX: Duration = Duration::from_secs(5);

impl Engine {
    // ---- looking for the cluster ----

    pub(super) fn on_return_turn(&mut self, now: Instant) {
        let met = self.roster.present() > 1;
        // Without autoheal nobody else brings two groups together that a fleet starts in.
        let searches =
            !met || (!self.config.autoheal && self.mates.iter().any(|id| self.is_awaited(id)));
        if !searches || self.is_departing() {
            self.returning = Duration::ZERO;
            return;
        }
        let mut contacts: Vec<Contact> = Vec::new();
        for _ in 0..RETURN_CONTACTS {
            let Some(entry) = self.random_mate(met) else {
                break;
            };
            let contact = Contact {
                name: entry.name.clone(),
                address: entry.address,
            };
            if !contacts.contains(&contact) {
                contacts.push(contact);
            }
        }
        if contacts.is_empty() {
            return;
        }
        // First by name; then whoever listens there by now, for addresses change hands.
        let by_name = self.returning.is_zero();
        contacts.retain(|contact| contact.address != self.profile.address);
        for contact in contacts {
            let target = if by_name {
                Target::Node(contact)
            } else {
                Target::Address(contact.address)
            };
            self.request_join(now, target, Intent::Return);
        }
        self.returning = (self.returning * 2).clamp(RETURN_PAUSE_MIN, RETURN_PAUSE_MAX);
        self.timers.set(
            Timer::Return,
            now + self.returning.mul_f64(0.5 + self.rng.f64()),
        );
    }

    /// Somebody of the past. Where an operator is to heal, a node that had lost others stays on its
    /// side, as long as there is anybody else in its memory.
    fn random_mate(&mut self, met: bool) -> Option<&Acquaintance> {
        let (healed, mates) = (self.config.autoheal, &self.mates);
        let fits = |entry: &Acquaintance| {
            let was_there = entry.standing.state == State::Alive;
            healed || (was_there && (!met || mates.contains(entry.name.id())))
        };
        let (roster, rng) = (&self.roster, &mut self.rng);
        let found = roster.random_acquaintance(rng, fits);
        let any = |_: &Acquaintance| !met;
        found.or_else(|| roster.random_acquaintance(rng, any))
    }

    // ---- those who do not come ----

    /// Whether a member of the past was there when this node was ended, and has not been met since:
    /// no partition lies between the two, as far as is known.
    pub(super) fn is_awaited(&self, id: NodeId) -> bool {
        let entry = self.roster.acquaintance(id);
        let was_there = entry.is_some_and(|entry| entry.standing.state == State::Alive);
        was_there && self.mates.contains(id)
    }

    /// Waits for the members of the past, and finds failed who has not come: see [`crate::mates`].
    pub(super) fn look_for_mates(&mut self, now: Instant) {
        if self.mates.is_empty() || self.is_departing() {
            return;
        }
        let alone = self.roster.present() == 1;
        match self.mates.step(self.config.suspicion_max, alone, now) {
            Step::Wait(until) => self.timers.set(Timer::Mates, until),
            Step::Ask { from } => {
                let hosts = self.mates.iter().skip(from).take(ASKED_AT_ONCE);
                let hosts: Vec<_> = hosts.collect();
                hosts.into_iter().for_each(|id| self.knock(now, id));
                self.look_for_mates(now);
            }
            Step::Over { since, asked } => {
                let mut unmet: Vec<_> = self.mates.iter().collect();
                // Nobody is lost together with one that had crashed before.
                unmet.sort_by_key(|&id| !self.is_crashed(id));
                unmet
                    .into_iter()
                    .for_each(|id| self.miss(now, id, since, asked));
                self.mates.clear();
                self.assess_soon(now);
            }
        }
    }

    /// Whether a member of the past had failed by itself when this node was ended.
    fn is_crashed(&self, id: NodeId) -> bool {
        let entry = self.roster.acquaintance(id);
        entry.is_some_and(|entry| entry.standing.state == State::Failed && entry.crashed)
    }

    /// A member of the past has not come since then.
    fn miss(&mut self, now: Instant, id: NodeId, since: Instant, asked: Instant) {
        let Some(entry) = self.roster.acquaintance(id) else {
            return;
        };
        let life = entry.standing.life;
        let profile = Profile::remembered(entry.name.clone(), entry.address, life);
        let crashed = self.is_crashed(id);
        let refused = self.knocks.is_refused(id, asked);
        self.note(now, id, life, What::Missed { refused });
        let absent = Rumor::Absent {
            profile: profile.into(),
            standing: Standing::failed(life),
            age: u32::try_from(now.since(since).as_secs()).unwrap_or(u32::MAX),
            refused,
            heard: false,
        };
        self.accept(now, &absent, None, false);
        if crashed {
            // That it fell silent was no partition's doing.
            self.watch.on_gone(id);
        }
        let failed = self.roster.member(id).is_some_and(Member::is_failed);
        let event = self.member_event(id).filter(|_| failed);
        if let Some(member) = event {
            self.event(Event::MemberFailed { member, refused });
        }
    }

    /// Where somebody listens who is a member, or was one and was not met since.
    pub(super) fn contact_of_old(&self, id: NodeId) -> Option<Contact> {
        let remembered = || {
            let entry = self
                .roster
                .acquaintance(id)
                .filter(|_| self.mates.contains(id))?;
            Some(Contact {
                name: entry.name.clone(),
                address: entry.address,
            })
        };
        self.contact(id).or_else(remembered)
    }

    // ---- down since before ----

    /// This node was down when it was ended: what it was cut off from may be as it was, and nothing
    /// is known of it yet.
    pub(super) fn stay_down(&mut self, now: Instant) {
        let policy = self.config.split_brain;
        if policy == SplitBrain::Off || self.mates.is_empty() {
            return;
        }
        self.go_down(Downed {
            policy,
            present: self.roster.present(),
            all: self.everybody(),
            since: now,
            resumed: true,
        });
    }

    /// Whether a node that was down before it was started does not know yet what became of the
    /// partition: it could not have seen it by now.
    pub(super) fn is_down_since_before(&self, now: Instant) -> bool {
        let patience = self.config.suspicion_max;
        let resumed = self.down.as_ref().filter(|down| down.resumed);
        resumed.is_some_and(|down| !self.mates.is_empty() || now < down.since + patience)
    }
}
