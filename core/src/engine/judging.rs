//! Judging: trials and verdicts. How it comes to them is [`super::accusing`].

use std::time::Duration;

use super::Engine;
use crate::case::{Way, What};
use crate::jury::{Silence, Stage, Trial};
use crate::member::{Life, Member};
use crate::message::{Failed, Message, Ping, Rumor, SeqNo};
use crate::name::NodeId;
use crate::output::Class;
use crate::probe::Purpose;
use crate::ring;
use crate::time::Instant;
use crate::timers::Timer;

/// How often a silent node looks again whether it may judge.
const JUDGE_AGAIN: Duration = Duration::from_millis(500);
/// After so many times the shortest suspicion the accused is asked once more before a verdict.
const LAST_WORD: u32 = 2;
/// How many times the longest suspicion a node waits whom few confirm.
pub(super) const ALONE_PATIENCE: u32 = 2;

impl Engine {
    // ---- trials ----

    /// Examines a member.
    pub(super) fn judge(&mut self, now: Instant, id: NodeId, life: Life, silence: Silence) {
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
        self.knock(now, id);
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

    /// A ring neighbour, for those connections are warm; where all of them are silent, one that is
    /// not, wherever it is.
    fn control(&mut self, accused: NodeId) -> Option<NodeId> {
        let rings = self.refreshed_rings();
        let mut neighbours = rings.successors().to_vec();
        neighbours.extend_from_slice(rings.subjects());
        let healthy = |id: &NodeId| self.roster.member(*id).is_some_and(Member::is_healthy);
        neighbours.retain(|id| *id != accused && healthy(id));
        self.rng.choice(neighbours).or_else(|| {
            let fits =
                |id, member: &Member| ![self.me, accused].contains(&id) && member.is_healthy();
            self.roster.random_present(&mut self.rng, fits)
        })
    }

    pub(super) fn on_trial_stage(&mut self, now: Instant, id: NodeId) {
        let Some(trial) = self.jury.trial_mut(id) else {
            return;
        };
        let (started, silence, life) = (trial.started, trial.silence, trial.life);
        let refused = self.knocks.is_refused(id, started);
        let over = refused && self.awareness.is_answered_since(started);
        if trial.stage == Stage::Datagram && !over {
            trial.stage = Stage::Reliable;
            self.send_trial_ping(now, id, Class::Reliable);
            return;
        }
        if !self.may_accuse(started, now) {
            self.end_trial(id);
            self.judge(now, id, life, silence);
            return;
        }
        self.end_trial(id);
        match silence {
            Silence::Accuses => self.accuse(now, id, life, Way::Trial, refused),
            Silence::Convicts => {
                if let Some(suspicion) = self.suspicions.get_mut(&id) {
                    suspicion.silent = Some(now);
                    self.on_suspicion_over(now, id);
                }
            }
            Silence::Confirms => {
                self.note(now, id, life, What::Confirmed);
                let failed = Failed {
                    id,
                    life,
                    by: self.me,
                    accusers: self.config.verdict_quorum,
                    doubtful: self.is_doubtful(now),
                    refused,
                    heard: false,
                };
                self.accept(now, &Rumor::Failed(failed), None, true);
            }
        }
        self.challenge_next(now);
    }

    pub(super) fn on_trial_answered(&mut self, now: Instant, id: NodeId, seq: SeqNo) {
        let trial = self.jury.trial(id).filter(|trial| trial.seq == seq);
        if let Some(life) = trial.map(|trial| trial.life) {
            self.note(now, id, life, What::Answered);
            self.knocks.forget(id);
            self.end_trial(id);
            self.challenge_next(now);
        }
    }

    pub(super) fn end_trial(&mut self, id: NodeId) {
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

    // ---- verdicts ----

    pub(super) fn on_suspicion_over(&mut self, now: Instant, id: NodeId) {
        let Some(suspicion) = self.suspicions.get(&id) else {
            return;
        };
        let (present, since) = (self.roster.present(), suspicion.since());
        let accusers = u8::try_from(suspicion.accusers().len()).unwrap_or(u8::MAX);
        // Whom few confirm may be the one that is ill, and so may a few that hear each other and
        // nobody else; but in a small cluster few can, and who is refused hears a host.
        let at_once = suspicion.is_refused(&self.config);
        let lonely = !at_once && self.is_lonely(now);
        let few = accusers < self.verdict_quorum() || lonely;
        let alone = few && present > ring::OBSERVERS_MAX * 2;
        let patience = self.config.suspicion_max * ALONE_PATIENCE;
        let hasty = now.since(since) < patience || self.prober.was_mistaken(patience, now);
        let may_judge = self
            .awareness
            .may_judge(since, at_once, present, &self.config, now);
        if !may_judge || self.is_mistaken(now) || (alone && hasty) {
            self.timers.set(Timer::Suspicion(id), now + JUDGE_AGAIN);
            return;
        }
        // Nobody is found dead who was not asked of late: it may have come back since, or this node
        // may hear again since.
        let recent = self.config.suspicion_min * LAST_WORD;
        let recovered = self.prober.lonely.filter(|_| !at_once && !lonely);
        let recovered = recovered.map(|then| then + recent);
        let is_old = |at| now.since(at) > recent || recovered.is_some_and(|then| at <= then);
        if suspicion.silent.is_none_or(is_old) {
            let life = suspicion.life;
            self.timers.set(Timer::Suspicion(id), now + JUDGE_AGAIN);
            self.judge(now, id, life, Silence::Convicts);
            return;
        }
        self.stats.verdicts += 1;
        let convicted = What::Convicted {
            accusers: self.names(suspicion.accusers().iter().copied()),
            refused: at_once,
        };
        let life = suspicion.life;
        self.note(now, id, life, convicted);
        let failed = Failed {
            id,
            life,
            by: self.me,
            accusers,
            doubtful: self.is_doubtful(now),
            refused: at_once,
            heard: false,
        };
        self.accept(now, &Rumor::Failed(failed), None, true);
    }
}
