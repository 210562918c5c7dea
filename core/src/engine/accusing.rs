//! Accusing: who is told that a member is silent, what is held against it, and this node's own
//! defence. What comes of it is [`super::judging`].

use std::time::Duration;

use super::Engine;
use crate::case::{Way, What};
use crate::jury::Silence;
use crate::member::{Life, Member, Profile};
use crate::message::{Contact, Failed, Message, PingRequest, Rumor, Suspect};
use crate::name::NodeId;
use crate::output::{Class, Event};
use crate::probe::Purpose;
use crate::ring;
use crate::suspicion::Suspicion;
use crate::time::Instant;
use crate::timers::Timer;

/// How many of a bench a member calls that is not on it.
pub(super) const CALLED: usize = 2;
/// So many members in all that are not its observers are asked to probe an accused. Where two
/// parts of a network do not meet and a third meets both, one member in thirty has no observer that
/// all others reach.
const AROUND: usize = 6;
/// After this part of the shortest suspicion more observers than the bench are asked to confirm, and
/// again after it.
const WIDEN_DIVISOR: u32 = 3;
/// How many more each time: they may be dead as well, and the connections to them are cold.
const WIDEN_BY: usize = 2;

impl Engine {
    // ---- accusing ----

    /// This node found a member silent: it says so to the accused and to its observers. Where it
    /// was refused, they can come to a verdict as soon as they have looked: all of the bench is
    /// called, and the others sooner.
    pub(super) fn accuse(&mut self, now: Instant, id: NodeId, life: Life, way: Way, refused: bool) {
        let accusation = Suspect { id, life, refused };
        let later = |held: Life| held > life;
        if self.present_life(id).is_none_or(later) || !self.add_accuser(now, &accusation, self.me) {
            return;
        }
        self.note(now, id, life, What::Silent { way, refused });
        let (bench, soon) = if refused {
            // A verdict takes an answer to what was asked since the suspicion began.
            self.ask_control(now, id);
            (self.whole_bench(id), self.config.probe_timeout_max)
        } else {
            (self.bench(id), self.config.suspicion_min / WIDEN_DIVISOR)
        };
        let accusers = self.suspicions[&id].accusers().to_vec();
        for to in bench.into_iter().chain(accusers).chain([id]) {
            self.tell_accused(to, id);
        }
        self.timers.set(Timer::Widen(id), now + soon);
    }

    /// The observers of a member that this node turns to: all those who know each other if it is one
    /// of them; if not some, for it holds no connections to them.
    pub(super) fn bench(&self, id: NodeId) -> Vec<NodeId> {
        let mut bench = self.healthy_observers(id);
        bench.truncate(ring::BENCH);
        if !bench.contains(&self.me) {
            bench.truncate(CALLED);
        }
        bench.retain(|&other| other != self.me);
        bench
    }

    fn whole_bench(&self, id: NodeId) -> Vec<NodeId> {
        let mut bench = self.healthy_observers(id);
        bench.truncate(ring::BENCH);
        bench
    }

    fn healthy_observers(&self, id: NodeId) -> Vec<NodeId> {
        let members = self.roster.members();
        let healthy = members.filter(|(_, member)| member.is_healthy());
        ring::observers(id, healthy.map(|(other, _)| other))
    }

    /// Tells a member, once, that this node accuses another one.
    fn tell_accused(&mut self, to: NodeId, id: NodeId) {
        let me = self.me;
        let Some(suspicion) = self.suspicions.get_mut(&id).filter(|_| to != me) else {
            return;
        };
        let (life, refused) = (suspicion.life, suspicion.was_refused(me));
        if suspicion.tell(to, refused) {
            let accusation = Message::Suspect(Suspect { id, life, refused });
            self.send(to, Class::Reliable, vec![accusation]);
        }
    }

    /// Time has passed since this node's accusation. Where the bench has not confirmed it, half of
    /// that may be dead as well; where it has, it may be that only the bench does not reach it.
    pub(super) fn on_accused_for_long(&mut self, now: Instant, id: NodeId) {
        let suspicion = self.suspicions.get_mut(&id);
        let first = suspicion.is_some_and(|held| !std::mem::replace(&mut held.around, true));
        if first && self.accuses(id) {
            self.ask_around(now, id);
        }
        let Some(suspicion) = self.suspicions.get(&id) else {
            return;
        };
        let refused = suspicion.was_refused(self.me);
        let (enough, more) = if refused {
            (suspicion.is_refused(&self.config), ring::OBSERVERS_MAX)
        } else {
            let quorum = usize::from(self.verdict_quorum());
            (suspicion.accusers().len() >= quorum, WIDEN_BY)
        };
        if !self.accuses(id) || enough {
            return;
        }
        let mut others = self.healthy_observers(id);
        others.retain(|&to| to != self.me && !self.suspicions[&id].was_told(to, refused));
        if others.is_empty() {
            return;
        }
        for to in others.into_iter().take(more) {
            self.tell_accused(to, id);
        }
        let again = now + self.config.suspicion_min / WIDEN_DIVISOR;
        self.timers.set(Timer::Widen(id), again);
    }

    /// Has some members probe an accused who are none of its observers: own ring neighbours, to whom
    /// the connections are warm; where those are few, anybody, as many as all accusers together
    /// need. The accused hears of the accusation by that, and refutes.
    fn ask_around(&mut self, now: Instant, id: NodeId) {
        let suspicion = &self.suspicions[&id];
        let (life, accusers) = (suspicion.life, suspicion.accusers().len().max(1));
        let mut passed_over = self.healthy_observers(id);
        passed_over.extend([self.me, id]);
        let mut helpers = self.neighbours();
        helpers.retain(|&helper| self.is_healthy(helper) && !passed_over.contains(&helper));
        self.rng.shuffle(&mut helpers);
        let share = AROUND.div_ceil(accusers);
        helpers.truncate(if self.gossip.is_crowded(now) {
            share
        } else {
            AROUND
        });
        passed_over.extend(&helpers);
        while helpers.len() < share {
            let fits = |id, member: &Member| member.is_healthy() && !passed_over.contains(&id);
            let Some(helper) = self.roster.random_present(&mut self.rng, fits) else {
                break;
            };
            passed_over.push(helper);
            helpers.push(helper);
        }
        let patience = self.config.probe_timeout_max.as_millis();
        let nack_after_ms = u16::try_from(patience).unwrap_or(u16::MAX);
        for helper in helpers {
            let seq = self.questions.ask(id, Purpose::Around, now);
            let request = PingRequest {
                seq,
                target: id,
                suspect: Some(life),
                nack_after_ms,
            };
            self.send(helper, Class::Datagram, vec![Message::PingRequest(request)]);
        }
    }

    /// Somebody accuses a member, by an accusation, or by a verdict of too few that came by way of
    /// `via`.
    pub(super) fn on_accusation(
        &mut self,
        now: Instant,
        accusation: &Suspect,
        by: NodeId,
        via: Option<NodeId>,
    ) {
        let &Suspect { id, life, refused } = accusation;
        if id == self.me {
            if life >= self.profile.life && !self.is_departing() {
                self.awareness.worsen(1);
                self.note_denial(now, by);
                self.refute(now, life);
            }
            return;
        }
        let known = |member: &Member| member.is_present() && life >= member.standing.life;
        if self.is_disbelieved(by) || !self.roster.member(id).is_some_and(known) {
            self.stats.unbelieved += 1;
            return;
        }
        if self.add_accuser(now, accusation, by) {
            let accused = What::Accused {
                by: self.name_of(by),
                via: via.and_then(|via| self.name_of(via)),
                refused,
            };
            self.note(now, id, life, accused);
            if self.accuses(id) {
                self.tell_accused(by, id);
            }
        }
        let judged = self
            .suspicions
            .get(&id)
            .is_none_or(|suspicion| suspicion.judged);
        if !judged && self.refreshed_rings().subjects().contains(&id) {
            self.judge(now, id, life, Silence::Accuses);
        }
    }

    /// Whether this node itself found a suspect silent so short a time ago.
    pub(super) fn was_silent_within(&self, time: Duration, id: NodeId, now: Instant) -> bool {
        let held = self.suspicions.get(&id);
        let silent = held.and_then(|suspicion| suspicion.silent);
        silent.is_some_and(|at| now.since(at) < time)
    }

    /// Whether this node itself accuses a member.
    pub(super) fn accuses(&self, id: NodeId) -> bool {
        let held = self.suspicions.get(&id);
        held.is_some_and(|suspicion| suspicion.accusers().contains(&self.me))
    }

    /// Whether a member's word about others does not count: its own stay is in doubt or over.
    pub(super) fn is_disbelieved(&self, by: NodeId) -> bool {
        by != self.me
            && self
                .roster
                .member(by)
                .is_some_and(|member| !member.is_present())
    }

    fn add_accuser(&mut self, now: Instant, accusation: &Suspect, by: NodeId) -> bool {
        let &Suspect { id, life, refused } = accusation;
        let held = self.suspicions.get(&id).map(|suspicion| suspicion.life);
        if held.is_some_and(|held| held > life) {
            return false;
        }
        if held.is_none_or(|held| held < life) {
            // What was heard and begun about an earlier life says nothing about this one.
            self.end_suspicion(id);
            let present = self
                .roster
                .members()
                .filter(|(_, member)| member.is_present());
            let observers = ring::observers(id, present.map(|(other, _)| other));
            self.suspicions
                .insert(id, Suspicion::new(life, observers, now));
        }
        if self.roster.set_suspected(now, id, true) {
            self.stats.suspicions += 1;
            self.rings.touch(id);
            self.changed.insert(id);
            let event = self.member_event(id).map(Event::MemberSuspected);
            event.into_iter().for_each(|event| self.event(event));
            self.expect_less_of(now, id);
        }
        let flaps = self.flaps.count(id, self.config.flap_half_life, now);
        let suspicion = self
            .suspicions
            .get_mut(&id)
            .expect("suspicion is held: inserted above");
        if by == self.me {
            suspicion.silent = Some(now);
        }
        let new = suspicion.accuse(by, refused);
        let deadline = suspicion.deadline(&self.config, self.roster.present(), flaps);
        self.timers.set_by(Timer::Suspicion(id), deadline.max(now));
        new
    }

    /// A member is silent: the suspicions of those whom it observes do not wait for its word.
    pub(super) fn expect_less_of(&mut self, now: Instant, observer: NodeId) {
        let present = self.roster.present();
        let mut sooner = Vec::new();
        for (&id, suspicion) in &mut self.suspicions {
            if suspicion.lose_observer(observer) {
                let flaps = self.flaps.count(id, self.config.flap_half_life, now);
                sooner.push((id, suspicion.deadline(&self.config, present, flaps)));
            }
        }
        for (id, deadline) in sooner {
            self.timers.set_by(Timer::Suspicion(id), deadline.max(now));
        }
    }

    /// A member refuted, is gone, or is found dead: there is nothing to suspect any more.
    pub(super) fn end_suspicion(&mut self, id: NodeId) {
        self.suspicions.remove(&id);
        self.timers.stop(Timer::Suspicion(id));
        self.timers.stop(Timer::Widen(id));
        self.knocks.forget(id);
        self.end_trial(id);
    }

    /// A suspected member speaks: it lives, and may never have heard of the suspicion.
    pub(super) fn tell_suspected(&mut self, now: Instant, from: &Contact) {
        let id = from.id();
        let Some(suspicion) = self.suspicions.get_mut(&id) else {
            return;
        };
        suspicion.on_spoken(now);
        if self.may_tell(now, from) {
            let seq = self.questions.ask(id, Purpose::Contact, now);
            self.send_ping(id, Class::Datagram, seq);
        }
    }

    /// An answer that came too late for its probe is an answer: this node has seen the accused
    /// live, and will be no judge of it, whoever accuses it besides.
    pub(super) fn on_late_answer(&mut self, now: Instant, id: NodeId) {
        if self.suspicions.contains_key(&id) {
            self.drop_suspicion(now, id, What::AnsweredLate);
        }
    }

    /// This node could not hear anybody for so long: what it alone holds against others is void,
    /// and the others that are accused get that time again.
    pub(super) fn on_deaf(&mut self, now: Instant, silence: Duration) {
        let mine = self.suspicions.iter();
        let mine = mine.filter(|(_, suspicion)| suspicion.accusers() == [self.me]);
        let mine: Vec<_> = mine.map(|(&id, _)| id).collect();
        for id in mine {
            self.drop_suspicion(now, id, What::Withdrawn);
        }
        self.put_off_judgement(now, silence);
    }

    /// What was held against a member did not hold.
    fn drop_suspicion(&mut self, now: Instant, id: NodeId, what: What) {
        if let Some(life) = self.present_life(id) {
            self.note(now, id, life, what);
        }
        self.end_suspicion(id);
        self.roster.set_suspected(now, id, false);
        self.rings.touch(id);
        self.changed.insert(id);
        let event = self.member_event(id).map(Event::MemberRefuted);
        event.into_iter().for_each(|event| self.event(event));
        self.challenge_next(now);
    }

    // ---- being accused ----

    /// Somebody accuses this node of a life that it has: it says that it lives.
    pub(super) fn note_denial(&mut self, now: Instant, by: NodeId) {
        let by = self.name_of(by);
        self.questions.on_accused(now);
        self.note(now, self.me, self.profile.life, What::Denied { by });
    }

    /// Says at a higher incarnation that this node lives. Source: SWIM §4.2.
    pub(super) fn refute(&mut self, now: Instant, accused: Life) {
        self.stats.refutations += 1;
        let mine = Life {
            admission: self.profile.life.admission.max(accused.admission),
            ..self.profile.life
        };
        let life = mine.above(accused.incarnation);
        self.announce(
            now,
            Profile {
                life,
                ..(*self.profile).clone()
            },
        );
    }

    /// A failed member speaks: it is told what is held of it, so that it can refute.
    pub(super) fn tell_failed(&mut self, now: Instant, to: &Contact, life: Life) {
        if self.may_tell(now, to) {
            let accusers = self.config.verdict_quorum;
            let failed = Failed {
                id: to.id(),
                life,
                by: self.me,
                accusers,
                doubtful: false,
                refused: false,
                heard: false,
            };
            self.transmit(
                to.clone(),
                Class::Datagram,
                vec![Message::Rumor(Rumor::Failed(failed))],
            );
        }
    }

    /// The life of a present member.
    pub(super) fn present_life(&self, id: NodeId) -> Option<Life> {
        self.roster
            .member(id)
            .filter(|member| member.is_present())
            .map(|member| member.standing.life)
    }

    pub(super) fn is_healthy(&self, id: NodeId) -> bool {
        self.roster.member(id).is_some_and(Member::is_healthy)
    }

    pub(super) fn is_present(&self, id: NodeId) -> bool {
        self.roster.member(id).is_some_and(Member::is_present)
    }
}
