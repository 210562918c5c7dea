//! Probing: whom to ask next, for how long to wait, and what is being asked.
//!
//! ```text
//!   0 ───── T/8 ── T ───────────────────── end (sooner where the host refuses)
//!   direct  knock  helpers ask, and a      nobody answered: accuse
//!   ping           reliable ping goes out
//! ```
//!
//! T follows the target's own round trips (RFC 6298's estimator) within bounds, stretched by this
//! node's ill health. Source: SWIM §4.1 and §4.3 (round robin), Lifeguard §IV.A.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::config::Config;
#[cfg(feature = "sim")]
use crate::engine::limits::Limit;
use crate::member::Life;
use crate::message::SeqNo;
use crate::name::NodeId;
use crate::time::Instant;
use crate::turns::Turns;

/// The least time that a whole probe takes, at full health.
pub(crate) const PROBE_DURATION_MIN: Duration = Duration::from_millis(300);
/// So many questions in a row that nobody answers say something about this node.
const IN_VAIN_MIN: u32 = 6;
/// The most questions that wait for an answer at a time.
const QUESTIONS_MAX: usize = 8192;
/// A question that waited for this long will not be answered.
const QUESTION_AGE_MAX: Duration = Duration::from_secs(30);
/// The most peers of which round trips are remembered.
const ROUND_TRIPS_MAX: usize = 1024;
/// Of so many members the outcome of the last probe is remembered.
const OUTCOMES_MAX: usize = 32;
/// So many of them must be silent before a node doubts itself.
const DOUBTFUL_MIN: usize = 3;
/// The most refutations that are told apart; more change nothing.
const MISTAKES_MAX: usize = 64;
/// So many must refute before a node does not trust its accusations.
const MISTAKES_MIN: usize = 3;
/// The weight of one probe in the estimate of loss, as a divisor.
const LOSS_WEIGHT: f64 = 32.0;
/// The estimate of loss above which news go to one more successor.
const LOSS_HIGH: f64 = 0.1;

/// Why a ping was sent, and so what its answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A probe of this node's own.
    Probe,
    /// A probe carried out for somebody else.
    Relay {
        /// Who asked.
        requester: NodeId,
        /// The number under which it asked.
        seq: SeqNo,
    },
    /// A juror examines.
    Trial,
    /// To hear somebody while a juror examines somebody else.
    Control,
    /// A goodbye that is to be heard.
    Farewell,
    /// Whether the member whose name a joiner wants is still there.
    Doubted,
    /// A call to somebody who is lost, or whose view is awaited.
    Contact,
    /// A probe that others carry out who do not observe the accused: they may reach it all the same.
    Around,
}

impl Purpose {
    /// Whether it goes to members that are present: some of them answer, wherever this node is
    /// heard.
    fn expects_answer(self) -> bool {
        matches!(self, Self::Probe | Self::Trial | Self::Control)
    }
}

/// A ping that was not answered yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    /// Whom it went to.
    pub(crate) to: NodeId,
    /// What it was for.
    pub(crate) purpose: Purpose,
    /// When it was sent.
    pub(crate) sent: Instant,
}

/// All pings under way. A full table forgets the oldest: their answers will be ignored.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    open: BTreeMap<SeqNo, Question>,
    last: SeqNo,
    /// When the first one was put to a member since the last answer to any, and how many were.
    in_vain: Option<(Instant, u32)>,
    /// When this node itself was first accused since.
    accused: Option<Instant>,
}

impl Questions {
    /// The number for a new ping.
    pub(crate) fn ask(&mut self, to: NodeId, purpose: Purpose, now: Instant) -> SeqNo {
        self.last = SeqNo(self.last.0.wrapping_add(1));
        if purpose.expects_answer() {
            let (since, count) = self.in_vain.unwrap_or((now, 0));
            self.in_vain = Some((since, count.saturating_add(1)));
        }
        if self.open.len() >= QUESTIONS_MAX {
            self.open.pop_first();
        }
        self.open.insert(
            self.last,
            Question {
                to,
                purpose,
                sent: now,
            },
        );
        self.last
    }

    pub(crate) fn get(&self, seq: SeqNo) -> Option<Question> {
        self.open.get(&seq).copied()
    }

    pub(crate) fn close(&mut self, seq: SeqNo) -> Option<Question> {
        self.open.remove(&seq)
    }

    /// Somebody answered one.
    pub(crate) fn on_answered(&mut self) {
        (self.in_vain, self.accused) = (None, None);
    }

    /// Somebody does not hear this node, or holds it dead.
    pub(crate) fn on_accused(&mut self, now: Instant) {
        self.accused.get_or_insert(now);
    }

    /// For how long this node has been accused, and nobody answered it.
    pub(crate) fn accused(&self, now: Instant) -> Duration {
        let held = self.accused.map(|at| now.since(at));
        held.unwrap_or_default().min(self.unanswered(now))
    }

    /// For how long this node asked several times, and nobody answered.
    pub(crate) fn unanswered(&self, now: Instant) -> Duration {
        let several = self.in_vain.filter(|(_, count)| *count >= IN_VAIN_MIN);
        several.map_or(Duration::ZERO, |(since, _)| now.since(since))
    }

    /// This node itself was not there for so long.
    pub(crate) fn forgive(&mut self, stall: Duration, now: Instant) {
        if let Some((since, _)) = &mut self.in_vain {
            *since = (*since + stall).min(now);
        }
    }

    pub(crate) fn relays(&self) -> usize {
        self.open
            .values()
            .filter(|question| matches!(question.purpose, Purpose::Relay { .. }))
            .count()
    }

    #[cfg(feature = "sim")]
    pub(crate) fn limit(&self) -> Limit {
        ("questions", self.open.len(), QUESTIONS_MAX)
    }

    pub(crate) fn sweep(&mut self, now: Instant) {
        self.open
            .retain(|_, question| now.since(question.sent) < QUESTION_AGE_MAX);
    }

    pub(crate) fn clear(&mut self) {
        self.open.clear();
        self.on_answered();
    }
}

/// A probe of this node's own, under way.
#[derive(Debug)]
pub(crate) struct Probe {
    /// Whom.
    pub(crate) target: NodeId,
    /// The life that is asked: silence says nothing about a later one.
    pub(crate) life: Life,
    /// When it began.
    pub(crate) started: Instant,
    /// How far it is.
    pub(crate) stage: Stage,
}

/// How far a probe is.
#[derive(Debug)]
pub(crate) enum Stage {
    /// A ping is on its way. Its target's host is asked whether anything listens there, and then it
    /// has this time left; `None`: that was done.
    Direct {
        /// The time that is left then.
        rest: Option<Duration>,
    },
    /// Helpers ask, and a reliable ping is on its way.
    Indirect {
        /// The helpers.
        asked: Vec<NodeId>,
        /// Those of them that have said nothing so far.
        silent: Vec<NodeId>,
        /// When it is over at the latest. Where the target's host refuses, it is earlier.
        end: Instant,
    },
}

/// A member's round trip, smoothed (RFC 6298).
#[derive(Clone, Copy, Debug)]
struct RoundTrip {
    smoothed: Duration,
    variation: Duration,
}

/// The schedule of probes and what they have taught.
#[derive(Debug, Default)]
pub(crate) struct Prober {
    /// Probes under way.
    pub(crate) probes: BTreeMap<SeqNo, Probe>,
    /// Whom to probe when, of those that this node observes.
    pub(crate) turns: Turns,
    round: Vec<NodeId>,
    begun: u32,
    round_trips: BTreeMap<NodeId, RoundTrip>,
    /// Who reached a member for this node when it did not reach it itself.
    ways: BTreeMap<NodeId, NodeId>,
    loss: f64,
    silent: Vec<(NodeId, Instant)>,
    mistakes: Vec<(NodeId, Instant)>,
    mistaken: Option<Instant>,
    /// Whether each of the last members that were probed answered, and when that was known; the
    /// latest last.
    outcomes: VecDeque<(NodeId, bool, Instant)>,
    /// When this node was last one of a few that hear each other and nobody else.
    pub(crate) lonely: Option<Instant>,
    /// Probes beyond the round robin, while most members stay silent.
    pub(crate) burst: Option<Burst>,
}

/// A small side looks around at once, instead of one member a second.
#[derive(Debug, Default)]
pub(crate) struct Burst {
    /// Who is to be probed still.
    pub(crate) queue: Vec<NodeId>,
    /// How many answered.
    pub(crate) answered: u32,
    /// How many did not.
    pub(crate) unanswered: u32,
}

impl Burst {
    /// Whether nearly all of those asked were silent, so that looking further is worth it: where
    /// more than a quarter answers, the observers of the others will tell.
    pub(crate) fn goes_on(&self) -> bool {
        !self.queue.is_empty() && self.unanswered >= self.answered * 3
    }
}

impl Prober {
    /// At any place in its round: the random probes of nodes that start together are spread.
    pub(crate) fn new(rng: &mut fastrand::Rng) -> Self {
        Self {
            begun: rng.u32(..),
            ..Self::default()
        }
    }

    #[cfg(feature = "sim")]
    pub(crate) fn limits(&self, members_max: usize) -> [Limit; 7] {
        let queue = self.burst.as_ref().map_or(0, |burst| burst.queue.len());
        [
            ("probes", self.probes.len(), members_max),
            ("round trips", self.round_trips.len(), ROUND_TRIPS_MAX),
            ("ways", self.ways.len(), ROUND_TRIPS_MAX),
            ("silent of late", self.silent.len(), members_max),
            ("mistakes", self.mistakes.len(), MISTAKES_MAX),
            ("outcomes", self.outcomes.len(), OUTCOMES_MAX),
            ("looked at besides", queue, members_max),
        ]
    }

    /// Whether the next probe goes to a random member.
    pub(crate) fn is_random_turn(&mut self, every: u32) -> bool {
        self.begun = self.begun.wrapping_add(1);
        every > 0 && self.begun.is_multiple_of(every)
    }

    /// SWIM's round robin over everyone: the next target. `round` gives those of a new round.
    pub(crate) fn next_target(&mut self, round: impl FnOnce() -> Vec<NodeId>) -> Option<NodeId> {
        if self.round.is_empty() {
            self.round = round();
        }
        self.round.pop()
    }

    pub(crate) fn is_probing(&self, id: NodeId) -> bool {
        self.probes.values().any(|probe| probe.target == id)
    }

    /// How long to wait for a direct answer.
    pub(crate) fn timeout(&self, target: NodeId, config: &Config) -> Duration {
        let (min, max) = (config.probe_timeout_min, config.probe_timeout_max);
        self.round_trips
            .get(&target)
            .map_or(max, |rt| (rt.smoothed + rt.variation * 4).clamp(min, max))
    }

    /// A direct answer came after `sample`.
    pub(crate) fn observe(&mut self, from: NodeId, sample: Duration) {
        if self.round_trips.len() >= ROUND_TRIPS_MAX && !self.round_trips.contains_key(&from) {
            self.round_trips.pop_first();
        }
        let first = RoundTrip {
            smoothed: sample,
            variation: sample / 2,
        };
        self.round_trips
            .entry(from)
            .and_modify(|rt| {
                rt.variation = (rt.variation * 3 + rt.smoothed.abs_diff(sample)) / 4;
                rt.smoothed = (rt.smoothed * 7 + sample) / 8;
            })
            .or_insert(first);
    }

    /// A member was reached by way of another one.
    pub(crate) fn note_way(&mut self, target: NodeId, helper: NodeId) {
        if self.ways.len() < ROUND_TRIPS_MAX || self.ways.contains_key(&target) {
            self.ways.insert(target, helper);
        }
    }

    /// Who reached a member last that this node does not reach.
    pub(crate) fn way(&self, target: NodeId) -> Option<NodeId> {
        self.ways.get(&target).copied()
    }

    /// Whether a direct ping was answered in time.
    pub(crate) fn observe_loss(&mut self, lost: bool) {
        self.loss += (f64::from(u8::from(lost)) - self.loss) / LOSS_WEIGHT;
    }

    /// Whether many datagrams are lost.
    pub(crate) fn is_lossy(&self) -> bool {
        self.loss > LOSS_HIGH
    }

    /// A probe of a member ended.
    pub(crate) fn note_outcome(&mut self, id: NodeId, answered: bool, now: Instant) {
        self.outcomes.retain(|(other, ..)| *other != id);
        if self.outcomes.len() == OUTCOMES_MAX {
            self.outcomes.pop_front();
        }
        self.outcomes.push_back((id, answered, now));
    }

    /// Whether nearly all of the members that were probed within `window` were silent: then the
    /// reason may be this node's own. Those that it has found dead since count as well: a few that
    /// hear each other and nobody else would be sure of themselves as soon as only they are left.
    pub(crate) fn is_doubtful(&self, window: Duration, now: Instant) -> bool {
        let recent = self.outcomes.iter();
        let recent = recent.filter(|(_, _, at)| now.since(*at) < window);
        let silent = recent.clone().filter(|(_, answered, _)| !answered).count();
        silent >= DOUBTFUL_MIN && silent * 4 >= recent.count() * 3
    }

    /// Whether so, and those who did answer are fewer than `few`.
    pub(crate) fn is_lonely(&self, few: usize, window: Duration, now: Instant) -> bool {
        let answered = |(_, answered, at): &&_| *answered && now.since(*at) < window;
        self.is_doubtful(window, now) && self.outcomes.iter().filter(answered).count() < few
    }

    /// A member's smoothed round trip; zero where none is known.
    pub(crate) fn round_trip(&self, id: NodeId) -> Duration {
        self.round_trips
            .get(&id)
            .map_or(Duration::ZERO, |rt| rt.smoothed)
    }

    /// A member did not answer a whole probe. True when another one was silent within `window`.
    pub(crate) fn note_silent(&mut self, id: NodeId, window: Duration, now: Instant) -> bool {
        self.silent
            .retain(|&(other, at)| other != id && now.since(at) < window);
        self.silent.push((id, now));
        self.silent.len() >= 2
    }

    /// A member refuted what this node accused it of.
    pub(crate) fn note_mistake(&mut self, id: NodeId, window: Duration, now: Instant) {
        self.mistakes
            .retain(|&(other, at)| other != id && now.since(at) < window);
        if self.mistakes.len() < MISTAKES_MAX {
            self.mistakes.push((id, now));
        }
        self.mistaken = Some(now);
        if self.is_mistaken(window, now) {
            self.burst = None;
        }
    }

    /// Whether several have refuted within `window`: then the silence is this node's own.
    pub(crate) fn is_mistaken(&self, window: Duration, now: Instant) -> bool {
        let recent = self.mistakes.iter();
        let recent = recent.filter(|&&(_, at)| now.since(at) < window);
        recent.count() >= MISTAKES_MIN
    }

    /// Whether even one has.
    pub(crate) fn was_mistaken(&self, window: Duration, now: Instant) -> bool {
        self.mistaken.is_some_and(|at| now.since(at) < window)
    }

    /// A member is gone, or is another process: what was learned of it is void.
    pub(crate) fn forget(&mut self, id: NodeId) {
        self.round_trips.remove(&id);
        self.ways
            .retain(|target, helper| *target != id && *helper != id);
        self.round.retain(|&other| other != id);
    }

    /// Starts afresh.
    pub(crate) fn clear(&mut self) {
        *self = Self {
            begun: self.begun,
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_timeout_follows_the_round_trips_within_its_bounds() {
        let (config, id) = (Config::lan(), NodeId(1));
        let mut prober = Prober::default();
        assert_eq!(prober.timeout(id, &config), config.probe_timeout_max);
        prober.observe(id, MS);
        assert_eq!(prober.timeout(id, &config), config.probe_timeout_min);
        for _ in 0..50 {
            prober.observe(id, 300 * MS);
        }
        let timeout = prober.timeout(id, &config);
        assert!(timeout > 300 * MS && timeout < 320 * MS, "{timeout:?}");
        prober.observe(id, 2000 * MS);
        assert_eq!(prober.timeout(id, &config), config.probe_timeout_max);
    }

    #[test]
    fn a_round_asks_everybody_once() {
        let mut prober = Prober::default();
        let round = || vec![NodeId(1), NodeId(2), NodeId(3)];
        let mut asked: Vec<_> = (0..3).filter_map(|_| prober.next_target(round)).collect();
        asked.sort_unstable();
        assert_eq!(asked, round());
    }

    #[test]
    fn loss_is_noticed_and_forgotten() {
        let mut prober = Prober::default();
        for i in 0..200 {
            prober.observe_loss(i % 4 == 0);
        }
        assert!(prober.is_lossy());
        for _ in 0..200 {
            prober.observe_loss(false);
        }
        assert!(!prober.is_lossy());
    }

    #[test]
    fn two_silent_members_at_once_raise_the_alarm_one_does_not() {
        let mut prober = Prober::default();
        let at = |s| Instant::ORIGIN + Duration::from_secs(s);
        let window = Duration::from_secs(3);
        assert!(!prober.note_silent(NodeId(1), window, at(0)));
        assert!(!prober.note_silent(NodeId(1), window, at(1)));
        assert!(prober.note_silent(NodeId(2), window, at(2)));
        assert!(!prober.note_silent(NodeId(3), window, at(9)));
    }

    #[test]
    fn three_who_refute_at_once_make_a_node_doubt_itself_for_a_while() {
        let mut prober = Prober::default();
        let at = |s| Instant::ORIGIN + Duration::from_secs(s);
        let window = Duration::from_secs(6);
        for (id, now) in [(1, 0), (1, 1), (2, 2)] {
            prober.note_mistake(NodeId(id), window, at(now));
            assert!(!prober.is_mistaken(window, at(now)), "{now}");
        }
        prober.burst = Some(Burst::default());
        prober.note_mistake(NodeId(3), window, at(3));
        assert!(prober.is_mistaken(window, at(3)) && prober.burst.is_none());
        assert!(!prober.is_mistaken(window, at(7)));
    }

    #[test]
    fn who_hears_two_of_many_is_lonely_and_who_hears_three_is_not() {
        let (mut prober, window) = (Prober::default(), Duration::from_secs(24));
        let at = |s| Instant::ORIGIN + Duration::from_secs(s);
        for id in 1..=20 {
            prober.note_outcome(NodeId(id), id <= 2, at(0));
        }
        assert!(prober.is_lonely(3, window, at(1)));
        prober.note_outcome(NodeId(3), true, at(1));
        assert!(prober.is_doubtful(window, at(1)) && !prober.is_lonely(3, window, at(1)));
        assert!(
            !prober.is_lonely(3, window, at(30)),
            "what is old counts no more"
        );
    }

    #[test]
    fn what_is_asked_in_vain_is_counted_from_the_first_question_on() {
        let mut questions = Questions::default();
        let at = |s| Instant::ORIGIN + Duration::from_secs(s);
        let vain = |questions: &Questions, s| questions.unanswered(at(s)).as_secs();
        questions.ask(NodeId(1), Purpose::Contact, at(50));
        for n in 0..u64::from(IN_VAIN_MIN) {
            assert_eq!(vain(&questions, 70), 0, "a few may be lost");
            questions.ask(NodeId(1), Purpose::Probe, at(60 + n));
        }
        assert_eq!(vain(&questions, 70), 10);
        questions.forgive(Duration::from_secs(4), at(70));
        assert_eq!(vain(&questions, 70), 6);
        questions.on_accused(at(69));
        assert_eq!(questions.accused(at(71)).as_secs(), 2);
        questions.on_answered();
        assert_eq!(vain(&questions, 80), 0);
        questions.on_accused(at(80));
        assert_eq!(questions.accused(at(90)), Duration::ZERO, "it asked nobody");
    }

    #[test]
    fn a_full_table_of_questions_forgets_the_oldest() {
        let mut questions = Questions::default();
        let first = questions.ask(NodeId(1), Purpose::Control, Instant::ORIGIN);
        for _ in 0..QUESTIONS_MAX {
            questions.ask(NodeId(1), Purpose::Control, Instant::ORIGIN);
        }
        assert!(questions.get(first).is_none());
        questions.sweep(Instant::ORIGIN + QUESTION_AGE_MAX);
        assert!(questions.open.is_empty());
    }
}
