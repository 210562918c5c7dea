//! Detecting: probes, and answers to those of others. What follows from silence is [`super::accusing`].

use std::time::Duration;

use super::Engine;
use super::accusing::CALLED;
use super::judging::ALONE_PATIENCE;
use crate::case::Way;
use crate::config::ProbeTargets;
use crate::member::{Fingerprint, Member};
use crate::message::{Ack, Contact, Message, Messages, Nack, Ping, PingRequest, Rumor, SeqNo};
use crate::name::NodeId;
use crate::output::Class;
use crate::probe::{Burst, PROBE_DURATION_MIN, Probe, Purpose, Stage};
use crate::ring;
use crate::time::Instant;
use crate::timers::Timer;

/// The part of the direct timeout after which a helper says that it has heard nothing: early
/// enough for its word to come before the probe ends.
const NACK_AFTER: f64 = 0.5;
/// After this part of the direct timeout the target's host is asked whether anything listens.
const KNOCK_DIVISOR: u32 = 8;
/// So many newcomers at once get to know those whom they watch within one interval.
const CROWD: usize = 64;
/// How much longer a newcomer leaves it to others to watch.
const NEWCOMER_REST: Duration = Duration::from_secs(1);
/// A small side looks around at this many members per [`BURST_INTERVAL`]: 50 a second.
const BURST_SIZE: usize = 5;
const BURST_INTERVAL: Duration = Duration::from_millis(100);
/// How many others a node calls that hears nobody, for each probe that nobody answers.
const COMPANY_SIZE: usize = 3;
/// After so many times the silence that is usual it does so at each of its turns: half
/// of its neighbours may be gone, and the turns of the others far away.
const COMPANY_SILENCES: u32 = 2;

impl Engine {
    // ---- probing ----

    pub(super) fn on_probe_turn(&mut self, now: Instant) {
        let mut next = now + self.config.probe_interval;
        let rest = self.newcomer.until().map(|until| until + NEWCOMER_REST);
        if let Some(end) = rest.filter(|&end| end > now) {
            next = end.min(next);
        } else if !self.is_departing() {
            for target in self.probe_targets(now) {
                self.probe_unless_probing(now, target);
            }
            let usual = self.config.silence_min.max(self.config.probe_interval);
            if self.awareness.silence(now) >= usual * COMPANY_SILENCES {
                self.seek_company(now);
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
                let first = if self.newcomer.begins_to_watch() {
                    interval * self.first_round()
                } else {
                    interval
                };
                let turns = &mut self.prober.turns;
                turns.watch(self.rings.subjects(), first, now, &mut self.rng);
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

    /// How many intervals the first round of a newcomer takes: the larger the crowd that it may have
    /// come with, the longer.
    fn first_round(&self) -> u32 {
        let intervals = self.roster.present() / CROWD;
        let most = self.rings.subjects().len().max(1);
        u32::try_from(intervals.clamp(1, most)).unwrap_or(1)
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
        let timeout = self
            .awareness
            .stretch(self.prober.timeout(target, &self.config));
        let late = (timeout / KNOCK_DIVISOR).max(self.prober.round_trip(target) * 2);
        let late = late.min(timeout);
        let rest = Some(timeout - late);
        let probe = Probe {
            target,
            life,
            started: now,
            stage: Stage::Direct { rest },
        };
        self.prober.probes.insert(seq, probe);
        self.timers.set(Timer::ProbeStage(seq), now + late);
    }

    pub(super) fn send_ping(&mut self, target: NodeId, class: Class, seq: SeqNo) {
        let suspect = self.suspicions.get(&target).map(|suspicion| suspicion.life);
        self.send(target, class, [Message::Ping(Ping { seq, suspect })]);
    }

    pub(super) fn on_probe_stage(&mut self, now: Instant, seq: SeqNo) {
        let Some(probe) = self.prober.probes.get_mut(&seq) else {
            return;
        };
        let (target, started) = (probe.target, probe.started);
        match probe.stage {
            Stage::Direct { rest: Some(rest) } => {
                probe.stage = Stage::Direct { rest: None };
                self.timers.set(Timer::ProbeStage(seq), now + rest);
                self.knock(now, target);
            }
            Stage::Direct { rest: None } => self.ask_helpers(now, seq, target, started),
            // Refused, but whether this node hears anybody is not known yet.
            Stage::Indirect { end, .. }
                if now < end && !self.awareness.is_answered_since(started) =>
            {
                self.timers.set(Timer::ProbeStage(seq), end);
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
        self.ask_control(now, target);
        // An answer by way of a helper takes two round trips.
        let there_and_back = self.prober.round_trip(target) * 2;
        let least = (timeout * 2).max(timeout + there_and_back);
        let end = started + self.awareness.stretch(least.max(PROBE_DURATION_MIN));
        let end = end.max(now + timeout);
        let probe = self
            .prober
            .probes
            .get_mut(&seq)
            .expect("probe is under way: found by the caller");
        probe.stage = Stage::Indirect {
            asked: helpers.clone(),
            silent: helpers,
            end,
        };
        self.timers.set(Timer::ProbeStage(seq), end);
        if self.knocks.is_refused(target, started) {
            self.shorten_probe(now, target);
        } else {
            self.knock(now, target);
        }
    }

    /// Whom to ask: others on the target's bench. Their connections to it are warm, and those
    /// to them are the ones that an accusation would take next. Where there are too few, anybody.
    fn helpers(&mut self, target: NodeId) -> Vec<NodeId> {
        let (me, count) = (self.me, self.config.indirect_probes);
        let mut helpers = self.bench(target);
        self.rng.shuffle(&mut helpers);
        // Whoever reached it last comes first, wherever on the rings.
        let way = self.prober.way(target).filter(|&way| self.is_healthy(way));
        if let Some(way) = way {
            helpers.retain(|&helper| helper != way);
            helpers.insert(0, way);
        }
        helpers.truncate(count);
        let least = if count < ring::BENCH {
            count.min(CALLED)
        } else {
            count
        };
        while helpers.len() < least {
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
        self.prober.probes.remove(&seq)
    }

    fn on_probe_answered(&mut self, now: Instant, seq: SeqNo, directly: bool) {
        self.questions.close(seq);
        let Some(probe) = self.end_probe(seq) else {
            return;
        };
        self.note_outcome(probe.target, true, now);
        self.knocks.forget(probe.target);
        self.awareness.improve();
        if directly && matches!(probe.stage, Stage::Direct { .. }) {
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
        self.note_outcome(target, false, now);
        let (asked, silent) = match stage {
            Stage::Indirect { asked, silent, .. } => (asked, silent),
            Stage::Direct { .. } => (Vec::new(), Vec::new()),
        };
        self.awareness.worsen_unless_answered(started, silent.len());
        if let Some(burst) = &mut self.prober.burst {
            burst.unanswered += 1;
        }
        if self.present_life(target) != Some(life) {
            return;
        }
        if !self.may_accuse(started, now) {
            self.stats.probes_gated += 1;
            self.seek_company(now);
            return;
        }
        let deaf = asked.into_iter().filter(|helper| !silent.contains(helper));
        let way = Way::Probe {
            heard_nothing: self.names(deaf),
            said_nothing: self.names(silent.iter().copied()),
        };
        let refused = self.knocks.is_refused(target, started);
        self.accuse(now, target, life, way, refused);
        if self
            .prober
            .note_silent(target, self.config.probe_interval * 3, now)
        {
            self.look_around(now);
        }
    }

    /// Nobody was heard, and the neighbours may all be on another side: calls some others.
    fn seek_company(&mut self, now: Instant) {
        let mut asked = vec![self.me];
        for n in 0..COMPANY_SIZE {
            // One who is not suspected first: on a small side there are few of those.
            let healthy = |member: &Member| n > 0 || member.is_healthy();
            let fits = |id, member: &Member| !asked.contains(&id) && healthy(member);
            let random = self.roster.random_present(&mut self.rng, fits);
            let Some(id) = random else { continue };
            asked.push(id);
            let seq = self.questions.ask(id, Purpose::Contact, now);
            self.send_ping(id, Class::Datagram, seq);
        }
    }

    pub(super) fn may_accuse(&self, since: Instant, now: Instant) -> bool {
        self.awareness
            .may_accuse(since, self.roster.present(), self.config.silence_max, now)
    }

    /// Several members are silent at once: probe all subjects now, and others after them. Who was
    /// wrong of late is on no small side, but loses packets: it would accuse everybody in turn.
    fn look_around(&mut self, now: Instant) {
        if self.prober.burst.is_some() || self.is_mistaken(now) {
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
            self.probe_besides(now, target);
        }
        self.timers.set(Timer::Burst, now + BURST_INTERVAL);
    }

    /// Whether nearly everybody was silent, for as long as a lone judge waits.
    pub(super) fn is_doubtful(&self, now: Instant) -> bool {
        let window = self.config.suspicion_max * ALONE_PATIENCE;
        self.prober.is_doubtful(window, now)
    }

    /// Whether nearly everybody was silent, and those who were not are too few for a verdict.
    pub(super) fn is_lonely(&self, now: Instant) -> bool {
        let window = self.config.suspicion_max * ALONE_PATIENCE;
        let few = usize::from(self.verdict_quorum());
        self.prober.is_lonely(few, window, now)
    }

    fn note_outcome(&mut self, id: NodeId, answered: bool, now: Instant) {
        if self.is_lonely(now) {
            self.prober.lonely = Some(now);
        }
        self.prober.note_outcome(id, answered, now);
    }

    /// Whether several have refuted of late what this node accused them of.
    pub(super) fn is_mistaken(&self, now: Instant) -> bool {
        self.prober.is_mistaken(self.config.cut_window, now)
    }

    fn probe_unless_probing(&mut self, now: Instant, target: NodeId) {
        if self.is_present(target) && !self.prober.is_probing(target) {
            self.begin_probe(now, target);
        }
    }

    /// Probes a member out of its turn, unless it was found silent a moment ago.
    pub(super) fn probe_besides(&mut self, now: Instant, target: NodeId) {
        if !self.was_silent_within(self.config.suspicion_min, target, now) {
            self.probe_unless_probing(now, target);
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
            self.probe_besides(now, target);
        }
        self.timers.set(Timer::Burst, now + BURST_INTERVAL);
    }

    /// Calls all ring neighbours at once, to learn how this node stands with them.
    pub(super) fn call_neighbours(&mut self, now: Instant) {
        let mut known = self.neighbours();
        // A connection to somebody whom this node has never asked would be a new one.
        known.retain(|&id| !self.prober.round_trip(id).is_zero());
        for id in known {
            let seq = self.questions.ask(id, Purpose::Contact, now);
            self.send_ping(id, Class::Datagram, seq);
        }
    }

    /// Those next to this node on the rings, both ways: the connections to them are warm.
    pub(super) fn neighbours(&mut self) -> Vec<NodeId> {
        let rings = self.refreshed_rings();
        let mut neighbours = rings.successors().to_vec();
        neighbours.extend_from_slice(rings.subjects());
        neighbours.sort_unstable();
        neighbours.dedup();
        neighbours
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
        let mut answer = Messages::from([Message::Ack(Ack {
            seq: ping.seq,
            absent,
            turn,
        })]);
        if let Some(life) = ping.suspect.filter(|_| !self.is_departing()) {
            if life >= self.profile.life {
                self.note_denial(now, from.id());
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
        self.awareness.hear_answer(question.sent);
        self.on_any_answer(now);
        let id = from.id();
        let directly = question.to == id;
        if directly && self.watch.is_waking() {
            self.watch.on_answered(id);
            self.assess_partition(now);
        }
        match question.purpose {
            Purpose::Probe => {
                let helped = |probe: &Probe| matches!(&probe.stage, Stage::Indirect { .. });
                if directly {
                    self.prober
                        .turns
                        .take(id, ack.turn, self.config.probe_interval, now);
                }
                if !directly {
                    self.prober.note_way(question.to, id);
                }
                let under_way = self.prober.probes.get(&ack.seq);
                if under_way.is_some_and(|probe| directly || helped(probe)) {
                    self.on_probe_answered(now, ack.seq, directly);
                } else if directly {
                    self.questions.close(ack.seq);
                    self.note_outcome(id, true, now);
                    self.on_late_answer(now, id);
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
            Purpose::Around if !directly => self.prober.note_way(question.to, id),
            Purpose::Trial if directly => self.on_trial_answered(now, id, ack.seq),
            Purpose::Farewell if directly => self.on_farewell_heard(now, id),
            // Its connection was made to that address, whoever else has the name.
            Purpose::Doubted if self.is_doubted_at(id, from.address) => {
                self.on_doubt_dispelled(now, id);
            }
            _ => {}
        }
        if directly && shown == self.fingerprint() && ack.absent != self.roster.absent_digest() {
            let steady = self.roster.absent_steady(now);
            let (config, rng) = (&self.config, &mut self.rng);
            let at = self.divergence.on_absent(id, steady, config, now, rng);
            self.set_compare(now, at);
        }
    }

    pub(super) fn on_nack(&mut self, now: Instant, from: &Contact, nack: &Nack) {
        if let Some(Probe {
            stage: Stage::Indirect { silent, .. },
            started,
            ..
        }) = self.prober.probes.get_mut(&nack.seq)
        {
            self.awareness.hear_answer(*started);
            silent.retain(|&helper| helper != from.id());
            self.on_any_answer(now);
        }
    }

    /// What this node sends reaches somebody, and answers come in.
    fn on_any_answer(&mut self, now: Instant) {
        self.questions.on_answered();
        if self.watch.is_alone() {
            self.assess_partition(now);
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
        // What comes of it serves this node's own trial, which may be next.
        self.knock(now, request.target);
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
}
