//! Detecting: probes, accusations, trials and verdicts.

use std::time::Duration;

use super::Engine;
use crate::config::ProbeTargets;
use crate::jury::{self, Silence, Trial};
use crate::member::{Fingerprint, Life, Member, Profile};
use crate::message::{
    Ack, Contact, Failed, Message, Nack, Ping, PingRequest, Rumor, SeqNo, Suspect,
};
use crate::name::NodeId;
use crate::output::{Class, Event};
use crate::probe::{Burst, Probe, Purpose, Stage};
use crate::ring;
use crate::suspicion::Suspicion;
use crate::time::Instant;
use crate::timers::Timer;

/// The least time that a whole probe takes, at full health.
const PROBE_DURATION_MIN: Duration = Duration::from_millis(300);
/// The part of the direct timeout after which a helper says that it has heard nothing.
const NACK_AFTER: f64 = 0.8;
/// A small side looks around at this many members per [`BURST_INTERVAL`]: 50 a second.
const BURST_SIZE: usize = 5;
const BURST_INTERVAL: Duration = Duration::from_millis(100);
/// How often a silent node looks again whether it may judge.
const JUDGE_AGAIN: Duration = Duration::from_millis(500);

impl Engine {
    // ---- probing ----

    pub(super) fn on_probe_turn(&mut self, now: Instant) {
        let mut next = now + self.config.probe_interval;
        if !self.is_departing() {
            for target in self.probe_targets(now) {
                self.probe_unless_probing(now, target);
            }
            next = self.prober.turns.next().map_or(next, |turn| turn.min(next));
        }
        self.timers.set(Timer::Probe, next);
    }

    fn probe_targets(&mut self, now: Instant) -> Vec<NodeId> {
        let interval = self.config.probe_interval;
        let mut targets = match self.config.probe_targets {
            ProbeTargets::Observed => {
                self.refreshed_rings();
                let turns = &mut self.prober.turns;
                turns.watch(self.rings.subjects(), interval, now, &mut self.rng);
                turns.take_due(interval, now)
            }
            ProbeTargets::All => self.next_of_all().into_iter().collect(),
        };
        for target in &mut targets {
            if self.prober.is_random_turn(self.config.random_probe_every) {
                let me = self.me;
                let random = self.roster.random_present(&mut self.rng, |id, _| id != me);
                *target = random.unwrap_or(*target);
            }
        }
        targets
    }

    fn next_of_all(&mut self) -> Option<NodeId> {
        let (me, rng, roster) = (self.me, &mut self.rng, &self.roster);
        let mut next = || {
            self.prober.next_target(|| {
                let others = roster
                    .members()
                    .filter(|&(id, member)| id != me && member.is_present());
                let mut round: Vec<_> = others.map(|(id, _)| id).collect();
                rng.shuffle(&mut round);
                round
            })
        };
        (0..=roster.len())
            .find_map(|_| next().filter(|&id| roster.member(id).is_some_and(Member::is_present)))
    }

    fn begin_probe(&mut self, now: Instant, target: NodeId) {
        let Some(life) = self.present_life(target) else {
            return;
        };
        self.stats.probes += 1;
        let seq = self.questions.ask(target, Purpose::Probe, now);
        self.send_ping(target, Class::Datagram, seq);
        let probe = Probe {
            target,
            life,
            started: now,
            stage: Stage::Direct,
        };
        self.prober.probes.insert(seq, probe);
        let timeout = self
            .awareness
            .stretch(self.prober.timeout(target, &self.config));
        self.timers.set(Timer::ProbeStage(seq), now + timeout);
    }

    fn send_ping(&mut self, target: NodeId, class: Class, seq: SeqNo) {
        let suspect = self.suspicions.get(&target).map(|suspicion| suspicion.life);
        self.send(target, class, vec![Message::Ping(Ping { seq, suspect })]);
    }

    pub(super) fn on_probe_stage(&mut self, now: Instant, seq: SeqNo) {
        let Some(probe) = self.prober.probes.get(&seq) else {
            return;
        };
        match &probe.stage {
            Stage::Direct => {
                let (target, started) = (probe.target, probe.started);
                self.ask_helpers(now, seq, target, started);
            }
            Stage::Indirect { .. } => self.fail_probe(now, seq),
        }
    }

    fn ask_helpers(&mut self, now: Instant, seq: SeqNo, target: NodeId, started: Instant) {
        self.prober.observe_loss(true);
        let timeout = self.prober.timeout(target, &self.config);
        let suspect = self.suspicions.get(&target).map(|suspicion| suspicion.life);
        let nack_after_ms =
            u16::try_from(timeout.mul_f64(NACK_AFTER).as_millis()).unwrap_or(u16::MAX);
        let helpers = self.helpers(target);
        for &helper in &helpers {
            let request = PingRequest {
                seq,
                target,
                suspect,
                nack_after_ms,
            };
            self.send(helper, Class::Datagram, vec![Message::PingRequest(request)]);
        }
        self.send_ping(target, Class::Reliable, seq);
        let probe = self
            .prober
            .probes
            .get_mut(&seq)
            .expect("probe is under way: found by the caller");
        probe.stage = Stage::Indirect { silent: helpers };
        let end = started
            + self
                .awareness
                .stretch((timeout * 2).max(PROBE_DURATION_MIN));
        self.timers
            .set(Timer::ProbeStage(seq), end.max(now + timeout));
    }

    fn helpers(&mut self, target: NodeId) -> Vec<NodeId> {
        let mut helpers = Vec::new();
        for _ in 0..self.config.indirect_probes {
            let me = self.me;
            let fits = |id, member: &Member| {
                id != me && id != target && member.is_healthy() && !helpers.contains(&id)
            };
            let Some(helper) = self.roster.random_present(&mut self.rng, fits) else {
                break;
            };
            helpers.push(helper);
        }
        helpers
    }

    fn end_probe(&mut self, seq: SeqNo) -> Option<Probe> {
        self.timers.stop(Timer::ProbeStage(seq));
        self.questions.close(seq);
        self.prober.probes.remove(&seq)
    }

    fn on_probe_answered(&mut self, now: Instant, seq: SeqNo, directly: bool) {
        let Some(probe) = self.end_probe(seq) else {
            return;
        };
        self.awareness.improve();
        if directly && matches!(probe.stage, Stage::Direct) {
            self.prober.observe(probe.target, now.since(probe.started));
            self.prober.observe_loss(false);
        }
        if let Some(burst) = &mut self.prober.burst {
            burst.answered += 1;
        }
    }

    fn fail_probe(&mut self, now: Instant, seq: SeqNo) {
        let Some(Probe {
            target,
            life,
            started,
            stage,
        }) = self.end_probe(seq)
        else {
            return;
        };
        self.stats.probes_failed += 1;
        if let Stage::Indirect { silent } = stage {
            self.awareness
                .worsen(u32::try_from(silent.len()).unwrap_or(u32::MAX));
        }
        if let Some(burst) = &mut self.prober.burst {
            burst.unanswered += 1;
        }
        if self.present_life(target) != Some(life) {
            return;
        }
        if !self.may_accuse(started, now) {
            self.stats.probes_gated += 1;
            return;
        }
        self.accuse(now, target, life);
        if self
            .prober
            .note_silent(target, self.config.probe_interval * 3, now)
        {
            self.look_around(now);
        }
    }

    fn may_accuse(&self, since: Instant, now: Instant) -> bool {
        self.awareness
            .may_accuse(since, self.roster.present(), self.config.silence_max, now)
    }

    /// Several members are silent at once: probe all subjects now, and others after them.
    fn look_around(&mut self, now: Instant) {
        if self.prober.burst.is_some() {
            return;
        }
        let me = self.me;
        let subjects = self.refreshed_rings().subjects().to_vec();
        let mut queue: Vec<_> = self
            .roster
            .members()
            .filter(|(_, member)| member.is_present())
            .map(|(id, _)| id)
            .collect();
        queue.retain(|id| *id != me && !subjects.contains(id));
        self.rng.shuffle(&mut queue);
        self.prober.burst = Some(Burst {
            queue,
            ..Burst::default()
        });
        for target in subjects {
            self.probe_unless_probing(now, target);
        }
        self.timers.set(Timer::Burst, now + BURST_INTERVAL);
    }

    fn probe_unless_probing(&mut self, now: Instant, target: NodeId) {
        if self.is_present(target) && !self.prober.is_probing(target) {
            self.begin_probe(now, target);
        }
    }

    pub(super) fn on_burst(&mut self, now: Instant) {
        let Some(burst) = &mut self.prober.burst else {
            return;
        };
        if !burst.goes_on() || matches!(self.phase, super::Phase::Departing { .. }) {
            self.prober.burst = None;
            return;
        }
        let keep = burst.queue.len().saturating_sub(BURST_SIZE);
        for target in burst.queue.split_off(keep) {
            self.probe_unless_probing(now, target);
        }
        self.timers.set(Timer::Burst, now + BURST_INTERVAL);
    }

    /// Calls all ring neighbours at once, to learn how this node stands with them.
    pub(super) fn call_neighbours(&mut self, now: Instant) {
        let rings = self.refreshed_rings();
        let mut neighbours = rings.successors().to_vec();
        neighbours.extend_from_slice(rings.subjects());
        neighbours.sort_unstable();
        neighbours.dedup();
        for id in neighbours {
            let seq = self.questions.ask(id, Purpose::Contact, now);
            self.send_ping(id, Class::Datagram, seq);
        }
    }

    // ---- answering ----

    pub(super) fn on_ping(&mut self, now: Instant, from: &Contact, class: Class, ping: &Ping) {
        let observes = self.refreshed_rings().successors().contains(&from.id());
        let turn = if observes {
            self.prober.turns.hand_out(self.config.probe_interval, now)
        } else {
            0
        };
        let absent = self.roster.absent_digest();
        let mut answer = vec![Message::Ack(Ack {
            seq: ping.seq,
            absent,
            turn,
        })];
        if let Some(life) = ping.suspect.filter(|_| !self.is_departing()) {
            if life >= self.profile.life {
                self.refute(now, life);
            }
            answer.push(Message::Rumor(Rumor::Alive(self.profile.clone())));
        }
        self.transmit(from.clone(), class, answer);
    }

    pub(super) fn on_ack(&mut self, now: Instant, from: &Contact, shown: Fingerprint, ack: &Ack) {
        let Some(question) = self.questions.get(ack.seq) else {
            return;
        };
        let id = from.id();
        let directly = question.to == id;
        match question.purpose {
            Purpose::Probe => {
                let helped = |probe: &Probe| matches!(&probe.stage, Stage::Indirect { .. });
                if directly {
                    self.prober
                        .turns
                        .take(id, ack.turn, self.config.probe_interval, now);
                }
                if directly || self.prober.probes.get(&ack.seq).is_some_and(helped) {
                    self.on_probe_answered(now, ack.seq, directly);
                }
            }
            Purpose::Relay { requester, seq } if directly => {
                self.questions.close(ack.seq);
                self.timers.stop(Timer::RelayNack(ack.seq));
                let absent = self.roster.absent_digest();
                self.send(
                    requester,
                    Class::Datagram,
                    vec![Message::Ack(Ack {
                        seq,
                        absent,
                        turn: 0,
                    })],
                );
            }
            Purpose::Trial if directly => self.on_trial_answered(now, id, ack.seq),
            Purpose::Farewell if directly => self.on_farewell_heard(now, id),
            Purpose::Doubted
                if from.address
                    == self
                        .doubts
                        .get(&id)
                        .map_or(from.address, |doubt| doubt.address) =>
            {
                self.on_doubt_dispelled(now, id);
            }
            _ => {}
        }
        if directly && shown == self.fingerprint() && ack.absent != self.roster.absent_digest() {
            let steady = self.roster.absent_steady(now);
            let (config, rng) = (&self.config, &mut self.rng);
            let at = self.divergence.on_absent(id, steady, config, now, rng);
            self.set_compare(at);
        }
    }

    pub(super) fn on_nack(&mut self, from: &Contact, nack: &Nack) {
        if let Some(Probe {
            stage: Stage::Indirect { silent },
            ..
        }) = self.prober.probes.get_mut(&nack.seq)
        {
            silent.retain(|&helper| helper != from.id());
        }
    }

    // ---- helping ----

    pub(super) fn on_ping_request(&mut self, now: Instant, from: &Contact, request: &PingRequest) {
        if self.questions.relays() >= self.config.relays_max || self.is_departing() {
            self.stats.over_limit += 1;
            return;
        }
        let purpose = Purpose::Relay {
            requester: from.id(),
            seq: request.seq,
        };
        let seq = self.questions.ask(request.target, purpose, now);
        let ping = Ping {
            seq,
            suspect: request.suspect,
        };
        self.send(request.target, Class::Datagram, vec![Message::Ping(ping)]);
        let nack_after = Duration::from_millis(request.nack_after_ms.into());
        self.timers.set(Timer::RelayNack(seq), now + nack_after);
    }

    /// The target of a relayed probe is silent so far. An answer may still come, and is passed on.
    pub(super) fn on_relay_silent(&mut self, seq: SeqNo) {
        let Some(question) = self.questions.get(seq) else {
            return;
        };
        if let Purpose::Relay { requester, seq } = question.purpose {
            self.send(
                requester,
                Class::Datagram,
                vec![Message::Nack(Nack { seq })],
            );
        }
    }

    // ---- accusing ----

    /// This node found a member silent: it says so to the accused and to its observers.
    fn accuse(&mut self, now: Instant, id: NodeId, life: Life) {
        let later = |held: Life| held > life;
        if self.present_life(id).is_none_or(later) || !self.add_accuser(now, id, life, self.me) {
            return;
        }
        let observers = ring::observers(id, self.roster.members());
        let me = self.me;
        for to in observers.into_iter().filter(|&to| to != me).chain([id]) {
            self.send(
                to,
                Class::Reliable,
                vec![Message::Suspect(Suspect { id, life })],
            );
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
        self.add_accuser(now, id, life, by);
        let judged = self
            .suspicions
            .get(&id)
            .is_none_or(|suspicion| suspicion.judged);
        if !judged && self.refreshed_rings().subjects().contains(&id) {
            self.judge(now, id, life, Silence::Accuses);
        }
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
            let observers = ring::observers(id, self.roster.members()).len();
            self.suspicions
                .insert(id, Suspicion::new(life, observers, now));
        }
        if self.roster.set_suspected(now, id, true) {
            self.stats.suspicions += 1;
            self.rings.touch(id);
            self.changed.insert(id);
            let event = self.member_event(id).map(Event::MemberSuspected);
            event.into_iter().for_each(|event| self.event(event));
        }
        let flaps = self.flaps.count(id, self.config.flap_half_life, now);
        let suspicion = self
            .suspicions
            .get_mut(&id)
            .expect("suspicion is held: inserted above");
        let new = suspicion.accuse(by);
        let deadline = suspicion.deadline(&self.config, self.roster.present(), flaps);
        self.timers.set_by(Timer::Suspicion(id), deadline.max(now));
        new
    }

    /// A member refuted, is gone, or is found dead: there is nothing to suspect any more.
    pub(super) fn end_suspicion(&mut self, id: NodeId) {
        self.suspicions.remove(&id);
        self.timers.stop(Timer::Suspicion(id));
        self.end_trial(id);
    }

    /// A suspected member speaks: it lives, and may never have heard of the suspicion.
    pub(super) fn tell_suspected(&mut self, now: Instant, id: NodeId) {
        if self.suspicions.contains_key(&id) && self.may_tell(now, id) {
            let seq = self.questions.ask(id, Purpose::Contact, now);
            self.send_ping(id, Class::Datagram, seq);
        }
    }

    pub(super) fn on_suspicion_over(&mut self, now: Instant, id: NodeId) {
        let Some(suspicion) = self.suspicions.get(&id) else {
            return;
        };
        if !self
            .awareness
            .may_judge(self.roster.present(), &self.config, now)
        {
            self.timers.set(Timer::Suspicion(id), now + JUDGE_AGAIN);
            return;
        }
        self.stats.verdicts += 1;
        let accusers = u8::try_from(suspicion.accusers().len()).unwrap_or(u8::MAX);
        let failed = Failed {
            id,
            life: suspicion.life,
            by: self.me,
            accusers,
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
        let seq = self.questions.ask(id, Purpose::Trial, now);
        self.jury.begin(
            id,
            Trial {
                life,
                started: now,
                seq,
                stage: jury::Stage::Datagram,
                silence,
            },
        );
        self.send_trial_ping(now, id, Class::Datagram);
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
        let me = self.me;
        let control = self.roster.random_present(&mut self.rng, |other, member| {
            other != me && other != id && member.is_healthy()
        });
        if let Some(control) = control {
            let seq = self.questions.ask(control, Purpose::Control, now);
            self.send(
                control,
                Class::Datagram,
                vec![Message::Ping(Ping { seq, suspect: None })],
            );
        }
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

    pub(super) fn on_trial_stage(&mut self, now: Instant, id: NodeId) {
        let Some(trial) = self.jury.trial_mut(id) else {
            return;
        };
        if trial.stage == jury::Stage::Datagram {
            trial.stage = jury::Stage::Reliable;
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
            Silence::Confirms => {
                let failed = Failed {
                    id,
                    life,
                    by: self.me,
                    accusers: self.config.verdict_quorum,
                };
                self.accept(now, &Rumor::Failed(failed), None, true);
            }
        }
        self.challenge_next(now);
    }

    fn on_trial_answered(&mut self, now: Instant, id: NodeId, seq: SeqNo) {
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
            };
            self.transmit(
                to.clone(),
                Class::Datagram,
                vec![Message::Rumor(Rumor::Failed(failed))],
            );
        }
    }

    /// The life of a present member.
    fn present_life(&self, id: NodeId) -> Option<Life> {
        self.roster
            .member(id)
            .filter(|member| member.is_present())
            .map(|member| member.standing.life)
    }

    pub(super) fn is_present(&self, id: NodeId) -> bool {
        self.roster.member(id).is_some_and(Member::is_present)
    }
}
