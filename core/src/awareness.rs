//! How much this node trusts itself.
//!
//! A detector that runs on an ill node accuses healthy ones. Two measures keep it honest: a score
//! that stretches its timeouts while its own probes go wrong (Lifeguard §IV.A, LHA-Probe), and the
//! hear-gate: whoever heard nobody at all since a probe began, learned nothing about its target.

use std::time::Duration;

use crate::config::Config;
use crate::time::Instant;

/// Below this many present members silence says nothing: there may be nobody left to hear.
const GATE_PRESENT_MIN: usize = 5;

/// An answer to what was asked so many silences ago tells nothing about the present.
const ANSWER_AGE: u32 = 3;

/// The local health and the last sign of life from anyone.
#[derive(Debug)]
pub(crate) struct Awareness {
    score: u32,
    score_max: u32,
    heard: Instant,
    /// When the latest question was asked that somebody answered.
    answered: Instant,
}

impl Awareness {
    pub(crate) fn new(config: &Config, now: Instant) -> Self {
        Self {
            score: 0,
            score_max: config.awareness_max,
            heard: now,
            answered: now,
        }
    }

    /// 0 is well.
    pub(crate) fn score(&self) -> u32 {
        self.score
    }

    /// A sign of health.
    pub(crate) fn improve(&mut self) {
        self.score = self.score.saturating_sub(1);
    }

    /// So many signs of illness.
    pub(crate) fn worsen(&mut self, by: u32) {
        self.score = self.score.saturating_add(by).min(self.score_max);
    }

    /// So many helpers said nothing since a moment. Where somebody else answered meanwhile, that is
    /// no sign of illness: they may be dead.
    pub(crate) fn worsen_unless_answered(&mut self, since: Instant, silent: usize) {
        if !self.is_answered_since(since) {
            self.worsen(u32::try_from(silent).unwrap_or(u32::MAX));
        }
    }

    /// A timeout, stretched by ill health.
    pub(crate) fn stretch(&self, timeout: Duration) -> Duration {
        timeout * (1 + self.score)
    }

    /// Somebody was heard.
    pub(crate) fn hear(&mut self, now: Instant) {
        self.heard = self.heard.max(now);
    }

    /// Whether somebody answered what was asked at this moment or since.
    pub(crate) fn is_answered_since(&self, since: Instant) -> bool {
        self.answered >= since
    }

    /// Somebody answered what was asked then: what this node sends gets out, and answers come in.
    pub(crate) fn hear_answer(&mut self, asked: Instant) {
        self.answered = self.answered.max(asked);
    }

    /// This node itself was not there for so long: that silence was its own.
    pub(crate) fn forgive(&mut self, stall: Duration, now: Instant) {
        self.heard = (self.heard + stall).min(now);
    }

    /// For how long nobody was heard.
    pub(crate) fn silence(&self, now: Instant) -> Duration {
        now.since(self.heard)
    }

    /// Whether there are enough others for silence to say something.
    pub(crate) fn is_gated(&self, present: usize) -> bool {
        present >= GATE_PRESENT_MIN
    }

    /// The hear-gate: whether something that began at `since` and was not answered says anything
    /// about the other side.
    pub(crate) fn may_accuse(
        &self,
        since: Instant,
        present: usize,
        silence_max: Duration,
        now: Instant,
    ) -> bool {
        !self.is_gated(present) || self.heard > since || self.silence(now) >= silence_max
    }

    /// The hear-gate before a verdict: whether this node has heard enough to be its judge. It must
    /// have heard somebody of late, and an answer to what it asked a short while ago, since the
    /// suspicion began: what waited in its socket while it stood still proves nothing. A verdict that
    /// comes `at_once` has no later answer than to what was asked as the suspicion began.
    pub(crate) fn may_judge(
        &self,
        suspected: Instant,
        at_once: bool,
        present: usize,
        config: &Config,
        now: Instant,
    ) -> bool {
        let silence = self.silence(now);
        let answered = self.is_answered_since(suspected)
            && (at_once || self.answered > suspected)
            && now.since(self.answered) <= config.silence_min * ANSWER_AGE;
        let hears = silence <= config.silence_min && answered;
        let waited = silence.max(now.since(suspected));
        !self.is_gated(present) || hears || waited >= config.silence_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::ORIGIN + Duration::from_millis(millis)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn ill_health_stretches_timeouts_up_to_its_limit() {
        let mut awareness = Awareness::new(&Config::lan(), at(0));
        awareness.worsen(10);
        assert_eq!(awareness.score(), 3);
        assert_eq!(
            awareness.stretch(Duration::from_millis(200)),
            Duration::from_millis(800)
        );
        awareness.improve();
        assert_eq!(
            awareness.stretch(Duration::from_millis(200)),
            Duration::from_millis(600)
        );
    }

    #[test]
    fn who_heard_nobody_since_the_probe_began_accuses_nobody() {
        let mut awareness = Awareness::new(&Config::lan(), at(0));
        awareness.hear(at(100));
        assert!(!awareness.may_accuse(at(200), 8, LONG, at(900)));
        awareness.hear(at(300));
        assert!(awareness.may_accuse(at(200), 8, LONG, at(900)));
    }

    #[test]
    fn the_gate_opens_after_long_silence_and_in_small_clusters() {
        let awareness = Awareness::new(&Config::lan(), at(100));
        assert!(awareness.may_accuse(at(101), 8, LONG, at(60_100)));
        assert!(awareness.may_accuse(at(101), 4, LONG, at(900)));
        assert!(!awareness.may_judge(at(0), false, 8, &Config::lan(), at(1700)));
        assert!(awareness.may_judge(at(0), false, 8, &Config::lan(), at(1500)));
        assert!(awareness.may_judge(at(0), false, 8, &Config::lan(), at(181_000)));
    }

    #[test]
    fn what_waited_in_the_socket_is_no_answer() {
        let mut awareness = Awareness::new(&Config::lan(), at(0));
        awareness.hear(at(9000));
        assert!(!awareness.may_judge(at(500), false, 8, &Config::lan(), at(9100)));
        awareness.hear_answer(at(400));
        assert!(!awareness.may_judge(at(500), false, 8, &Config::lan(), at(9100)));
        awareness.hear_answer(at(600));
        assert!(!awareness.may_judge(at(500), false, 8, &Config::lan(), at(9100)));
        awareness.hear_answer(at(8000));
        assert!(awareness.may_judge(at(500), false, 8, &Config::lan(), at(9100)));
    }

    #[test]
    fn a_pause_of_ones_own_is_no_silence_of_others() {
        let mut awareness = Awareness::new(&Config::lan(), at(0));
        awareness.hear(at(1000));
        awareness.forgive(Duration::from_secs(20), at(21_100));
        assert_eq!(awareness.silence(at(21_100)), Duration::from_millis(100));
    }
}
