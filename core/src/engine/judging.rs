//! Judging: accusations, suspicions, trials, verdicts, and this node's own defence.

use std::time::Duration;

use super::Engine;
use crate::jury::{Silence, Stage, Trial};
use crate::member::{Life, Member, Profile};
use crate::message::{Contact, Failed, Message, Ping, Rumor, SeqNo, Suspect};
use crate::name::NodeId;
use crate::output::{Class, Event};
use crate::probe::Purpose;
use crate::ring;
use crate::suspicion::Suspicion;
use crate::time::Instant;
use crate::timers::Timer;

/// How often a silent node looks again whether it may judge.
const JUDGE_AGAIN: Duration = Duration::from_millis(500);
/// After so many times the shortest suspicion the accused is asked once more before a verdict.
const LAST_WORD: u32 = 2;
/// How many times the longest suspicion a node waits whom few confirm.
const ALONE_PATIENCE: u32 = 2;
/// How many of a bench a member calls that is not on it.
pub(super) const CALLED: usize = 2;
/// After this part of the shortest suspicion more observers than the bench are asked to confirm.
const WIDEN_DIVISOR: u32 = 3;

impl Engine {
    // ---- accusing ----

    /// This node found a member silent: it says so to the accused and to its observers.
    pub(super) fn accuse(&mut self, now: Instant, id: NodeId, life: Life) {
        let later = |held: Life| held > life;
        if self.present_life(id).is_none_or(later) || !self.add_accuser(now, id, life, self.me) {
            return;
        }
        let bench = self.bench(id);
        let accusers = self.suspicions[&id].accusers().to_vec();
        for to in bench.into_iter().chain(accusers).chain([id]) {
            self.tell_accused(to, id, life);
        }
        let soon = now + self.config.suspicion_min / WIDEN_DIVISOR;
        self.timers.set(Timer::Widen(id), soon);
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

    fn healthy_observers(&self, id: NodeId) -> Vec<NodeId> {
        let members = self.roster.members();
        let healthy = members.filter(|(_, member)| member.is_healthy());
        ring::observers(id, healthy.map(|(other, _)| other))
    }

    /// Tells a member, once, that this node accuses another one.
    fn tell_accused(&mut self, to: NodeId, id: NodeId, life: Life) {
        let suspicion = self.suspicions.get_mut(&id);
        if to != self.me && suspicion.is_some_and(|suspicion| suspicion.tell(to)) {
            let accusation = Message::Suspect(Suspect { id, life });
            self.send(to, Class::Reliable, vec![accusation]);
        }
    }

    /// The bench has not confirmed this node's accusation: half of it may be dead as well.
    pub(super) fn on_few_confirmed(&mut self, _now: Instant, id: NodeId) {
        let Some(suspicion) = self.suspicions.get(&id) else {
            return;
        };
        let (life, accusers) = (suspicion.life, suspicion.accusers().len());
        if !self.accuses(id) || accusers >= usize::from(self.verdict_quorum()) {
            return;
        }
        for to in self.healthy_observers(id) {
            self.tell_accused(to, id, life);
        }
    }

    /// Somebody accuses a member, by an accusation or by a verdict of too few.
    pub(super) fn on_accusation(&mut self, now: Instant, id: NodeId, life: Life, by: NodeId) {
        if id == self.me {
            if life >= self.profile.life && !self.is_departing() {
                self.awareness.worsen(1);
                self.refute(now, life);
            }
            return;
        }
        let known = |member: &Member| member.is_present() && life >= member.standing.life;
        if self.is_disbelieved(by) || !self.roster.member(id).is_some_and(known) {
            self.stats.unbelieved += 1;
            return;
        }
        if self.add_accuser(now, id, life, by) && self.accuses(id) {
            self.tell_accused(by, id, life);
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

    fn add_accuser(&mut self, now: Instant, id: NodeId, life: Life, by: NodeId) -> bool {
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
        let new = suspicion.accuse(by);
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
        self.end_trial(id);
    }

    /// A suspected member speaks: it lives, and may never have heard of the suspicion.
    pub(super) fn tell_suspected(&mut self, now: Instant, id: NodeId) {
        if self.suspicions.contains_key(&id) && self.may_tell(now, id) {
            let seq = self.questions.ask(id, Purpose::Contact, now);
            self.send_ping(id, Class::Datagram, seq);
        }
    }

    /// An answer that came too late for its probe is an answer: this node has seen the accused
    /// live, and will be no judge of it, whoever accuses it besides.
    pub(super) fn on_late_answer(&mut self, now: Instant, id: NodeId) {
        if self.suspicions.contains_key(&id) {
            self.drop_suspicion(now, id);
        }
    }

    /// This node could not hear anybody for so long: what it alone holds against others is void,
    /// and the others that are accused get that time again.
    pub(super) fn on_deaf(&mut self, now: Instant, silence: Duration) {
        let mine = self.suspicions.iter();
        let mine = mine.filter(|(_, suspicion)| suspicion.accusers() == [self.me]);
        let mine: Vec<_> = mine.map(|(&id, _)| id).collect();
        for id in mine {
            self.drop_suspicion(now, id);
        }
        self.put_off_judgement(now, silence);
    }

    /// What was held against a member did not hold.
    fn drop_suspicion(&mut self, now: Instant, id: NodeId) {
        self.end_suspicion(id);
        self.roster.set_suspected(now, id, false);
        self.rings.touch(id);
        self.changed.insert(id);
        let event = self.member_event(id).map(Event::MemberRefuted);
        event.into_iter().for_each(|event| self.event(event));
        self.challenge_next(now);
    }

    pub(super) fn on_suspicion_over(&mut self, now: Instant, id: NodeId) {
        let Some(suspicion) = self.suspicions.get(&id) else {
            return;
        };
        let (present, since) = (self.roster.present(), suspicion.since());
        let accusers = u8::try_from(suspicion.accusers().len()).unwrap_or(u8::MAX);
        // Whom few confirm may be the one that is ill; but in a small cluster few can.
        let alone = accusers < self.verdict_quorum() && present > ring::OBSERVERS_MAX * 2;
        let patience = self.config.suspicion_max * ALONE_PATIENCE;
        let hasty = now.since(since) < patience || self.prober.was_mistaken(patience, now);
        let may_judge = self.awareness.may_judge(since, present, &self.config, now);
        if !may_judge || self.is_mistaken(now) || (alone && hasty) {
            self.timers.set(Timer::Suspicion(id), now + JUDGE_AGAIN);
            return;
        }
        // Nobody is found dead who was not asked of late: it may have come back since.
        let recent = self.config.suspicion_min * LAST_WORD;
        if suspicion.silent.is_none_or(|at| now.since(at) > recent) {
            let life = suspicion.life;
            self.timers.set(Timer::Suspicion(id), now + JUDGE_AGAIN);
            self.judge(now, id, life, Silence::Convicts);
            return;
        }
        self.stats.verdicts += 1;
        let failed = Failed {
            id,
            life: suspicion.life,
            by: self.me,
            accusers,
            doubtful: self.prober.is_doubtful(),
        };
        self.accept(now, &Rumor::Failed(failed), None, true);
    }

    // ---- judging ----

    /// Examines a member.
    fn judge(&mut self, now: Instant, id: NodeId, life: Life, silence: Silence) {
        if let Some(suspicion) = self.suspicions.get_mut(&id) {
            suspicion.judged = true;
        }
        if self.jury.trial(id).is_some() || self.is_departing() {
            return;
        }
        self.stats.trials += 1;
        // Who is held as failed elsewhere is probably no neighbour: a datagram would be the first
        // packet on a new connection, and wait for it no less than a stream does.
        let (stage, class) = match silence {
            Silence::Confirms => (Stage::Reliable, Class::Reliable),
            Silence::Accuses | Silence::Convicts => (Stage::Datagram, Class::Datagram),
        };
        let seq = self.questions.ask(id, Purpose::Trial, now);
        self.jury.begin(
            id,
            Trial {
                life,
                started: now,
                seq,
                stage,
                silence,
            },
        );
        self.send_trial_ping(now, id, class);
    }

    fn send_trial_ping(&mut self, now: Instant, id: NodeId, class: Class) {
        let Some(trial) = self.jury.trial(id) else {
            return;
        };
        let ping = Ping {
            seq: trial.seq,
            suspect: Some(trial.life),
        };
        self.send(id, class, vec![Message::Ping(ping)]);
        self.ask_control(now, id);
        let timeout = self
            .awareness
            .stretch(self.prober.timeout(id, &self.config));
        let patience = if class == Class::Reliable {
            timeout * 2
        } else {
            timeout
        };
        self.timers.set(Timer::Trial(id), now + patience);
    }

    /// Asks somebody healthy other than the silent, to hear whether anybody can be heard.
    pub(super) fn ask_control(&mut self, now: Instant, silent: NodeId) {
        if let Some(control) = self.control(silent) {
            let seq = self.questions.ask(control, Purpose::Control, now);
            let ping = Ping { seq, suspect: None };
            self.send(control, Class::Datagram, vec![Message::Ping(ping)]);
        }
    }

    /// A ring neighbour, for those connections are warm.
    fn control(&mut self, accused: NodeId) -> Option<NodeId> {
        let rings = self.refreshed_rings();
        let mut neighbours = rings.successors().to_vec();
        neighbours.extend_from_slice(rings.subjects());
        let healthy = |id: &NodeId| self.roster.member(*id).is_some_and(Member::is_healthy);
        neighbours.retain(|id| *id != accused && healthy(id));
        self.rng.choice(neighbours)
    }

    pub(super) fn on_trial_stage(&mut self, now: Instant, id: NodeId) {
        let Some(trial) = self.jury.trial_mut(id) else {
            return;
        };
        if trial.stage == Stage::Datagram {
            trial.stage = Stage::Reliable;
            self.send_trial_ping(now, id, Class::Reliable);
            return;
        }
        let (started, silence, life) = (trial.started, trial.silence, trial.life);
        if !self.may_accuse(started, now) {
            self.end_trial(id);
            self.judge(now, id, life, silence);
            return;
        }
        self.end_trial(id);
        match silence {
            Silence::Accuses => self.accuse(now, id, life),
            Silence::Convicts => {
                if let Some(suspicion) = self.suspicions.get_mut(&id) {
                    suspicion.silent = Some(now);
                    self.on_suspicion_over(now, id);
                }
            }
            Silence::Confirms => {
                let failed = Failed {
                    id,
                    life,
                    by: self.me,
                    accusers: self.config.verdict_quorum,
                    doubtful: self.prober.is_doubtful(),
                };
                self.accept(now, &Rumor::Failed(failed), None, true);
            }
        }
        self.challenge_next(now);
    }

    pub(super) fn on_trial_answered(&mut self, now: Instant, id: NodeId, seq: SeqNo) {
        if self.jury.trial(id).is_some_and(|trial| trial.seq == seq) {
            self.end_trial(id);
            self.challenge_next(now);
        }
    }

    fn end_trial(&mut self, id: NodeId) {
        if let Some(trial) = self.jury.end(id) {
            self.questions.close(trial.seq);
            self.timers.stop(Timer::Trial(id));
        }
    }

    /// Others hold a present member as failed: it is asked before that is believed.
    pub(super) fn challenge(&mut self, id: NodeId, life: Life) {
        if !self.jury.enqueue(id, life, self.config.members_max) {
            self.stats.over_limit += 1;
        }
    }

    pub(super) fn challenge_next(&mut self, now: Instant) {
        while let Some((id, life)) = self.jury.next_waiting(self.config.challenges_max) {
            if self.is_present(id) {
                self.judge(now, id, life, Silence::Confirms);
            }
        }
    }

    // ---- being accused ----

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
        if self.may_tell(now, to.id()) {
            let accusers = self.config.verdict_quorum;
            let failed = Failed {
                id: to.id(),
                life,
                by: self.me,
                accusers,
                doubtful: false,
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

    pub(super) fn is_present(&self, id: NodeId) -> bool {
        self.roster.member(id).is_some_and(Member::is_present)
    }
}
