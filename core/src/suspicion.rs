//! Suspicion: the time between the first accusation of a member and the verdict.
//!
//! One accuser may be wrong, so the accused gets long to refute; each further accuser shortens
//! that (Lifeguard §IV.B, LHA-Suspicion). A member whose host refuses (see [`crate::knock`]) will
//! not refute: a quorum of accusers that were refused waits no longer. Who refuted often of late
//! gets longer again (flap damping): a slow node must not swing between failed and alive.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::Config;
#[cfg(feature = "sim")]
use crate::engine::limits::Limit;
use crate::member::Life;
use crate::name::NodeId;
#[cfg(feature = "sim")]
use crate::ring::OBSERVERS_MAX;
use crate::time::Instant;

/// The most accusers that are told apart; more change nothing.
pub(crate) const ACCUSERS_MAX: usize = 16;
/// The most tellings of one accusation: to all accusers, observers old and new, and the accused,
/// that it is silent, and that it was refused.
const TOLD_MAX: usize = 4 * ACCUSERS_MAX;
/// The most confirmations, the first accuser apart, that shorten a suspicion.
const CONFIRMATIONS_MAX: usize = 3;
/// How far flaps may stretch a suspicion, as a power of two.
const FLAP_STRETCH_MAX: u32 = 3;
/// What an accused member says so long after the accusation, it does not say on the way out. A
/// refutation takes a round trip.
const SPOKE_AFTER: Duration = Duration::from_secs(1);
/// The most members of which flaps are remembered.
const FLAPS_MEMBERS_MAX: usize = 4096;

/// Evidence against one life of a member.
#[derive(Debug)]
pub(crate) struct Suspicion {
    /// The life that is accused.
    pub(crate) life: Life,
    /// When the first accusation was heard.
    started: Instant,
    /// Whether this node has examined the accused itself.
    pub(crate) judged: bool,
    /// When this node last found it silent.
    pub(crate) silent: Option<Instant>,
    /// Whether this node had members ask it who are none of its observers.
    pub(crate) around: bool,
    /// When it last spoke to this node.
    spoke: Option<Instant>,
    accusers: Vec<NodeId>,
    /// Those of them that were refused.
    refused: Vec<NodeId>,
    /// Whom this node has told that it accuses, and whether it said that it was refused.
    told: Vec<(NodeId, bool)>,
    /// The accused's observers, those found silent since apart: more will hardly accuse it.
    observers: Vec<NodeId>,
}

impl Suspicion {
    pub(crate) fn new(life: Life, observers: Vec<NodeId>, now: Instant) -> Self {
        Self {
            life,
            started: now,
            judged: false,
            silent: None,
            around: false,
            spoke: None,
            accusers: Vec::new(),
            refused: Vec::new(),
            told: Vec::new(),
            observers,
        }
    }

    /// Adds an accuser, and whether it was refused; false where that was known, or there are
    /// enough.
    pub(crate) fn accuse(&mut self, by: NodeId, refused: bool) -> bool {
        let known = self.accusers.contains(&by);
        if !known && self.accusers.len() >= ACCUSERS_MAX {
            return false;
        }
        if !known {
            self.accusers.push(by);
        }
        let refused = refused && !self.refused.contains(&by);
        if refused {
            self.refused.push(by);
        }
        !known || refused
    }

    /// Somebody is to be told that this node accuses; false where it was already, or enough were.
    pub(crate) fn tell(&mut self, to: NodeId, refused: bool) -> bool {
        let new = !self.told.contains(&(to, refused)) && self.told.len() < TOLD_MAX;
        if new {
            self.told.push((to, refused));
        }
        new
    }

    /// Whether a member was told that this node accuses, and whether it was refused.
    pub(crate) fn was_told(&self, to: NodeId, refused: bool) -> bool {
        self.told.contains(&(to, refused))
    }

    /// Whether so many were refused that the accused cannot be expected to refute: a quorum, or
    /// all observers where those are fewer.
    pub(crate) fn is_refused(&self, config: &Config) -> bool {
        let enough = usize::from(config.verdict_quorum).min(self.observers.len());
        self.refused.len() >= enough.max(1)
    }

    /// Whether this accuser was refused.
    pub(crate) fn was_refused(&self, by: NodeId) -> bool {
        self.refused.contains(&by)
    }

    /// An observer of the accused was found silent itself: it is not waited for. False where it
    /// was none, or has accused.
    pub(crate) fn lose_observer(&mut self, id: NodeId) -> bool {
        let before = self.observers.len();
        if !self.accusers.contains(&id) {
            self.observers.retain(|&observer| observer != id);
        }
        self.observers.len() < before
    }

    /// This node itself was not there for so long: the accused gets that time again.
    pub(crate) fn put_off(&mut self, stall: Duration) {
        self.started += stall;
    }

    /// Since when it is held, without the time in which this node itself was not there.
    pub(crate) fn since(&self) -> Instant {
        self.started
    }

    /// The accused speaks. That is no answer, and does not clear it.
    pub(crate) fn on_spoken(&mut self, now: Instant) {
        self.spoke = Some(now);
    }

    /// Whether the accused spoke long after the accusation, and refuted nothing: it is heard, and
    /// does not hear.
    pub(crate) fn is_of_the_heard(&self) -> bool {
        let spoke = self.spoke.map(|at| at.since(self.started));
        spoke.is_some_and(|after| after >= SPOKE_AFTER)
    }

    #[cfg(feature = "sim")]
    pub(crate) fn limits(&self) -> [Limit; 4] {
        [
            ("accusers", self.accusers.len(), ACCUSERS_MAX),
            ("refused accusers", self.refused.len(), ACCUSERS_MAX),
            ("told of an accusation", self.told.len(), TOLD_MAX),
            ("observers", self.observers.len(), OBSERVERS_MAX),
        ]
    }

    /// Who accuses.
    pub(crate) fn accusers(&self) -> &[NodeId] {
        &self.accusers
    }

    /// When the time to refute is over.
    pub(crate) fn deadline(&self, config: &Config, present: usize, flaps: u32) -> Instant {
        if self.is_refused(config) {
            return self.started;
        }
        let observers = self.observers.len();
        self.started + timeout(config, self.accusers.len(), observers, present, flaps)
    }
}

/// How long a member has to refute: from the maximum with one accuser down to the minimum, which
/// recent flaps double up to three times. The minimum is reached with four accusers, or with all
/// who can be expected to accuse where those are fewer.
pub(crate) fn timeout(
    config: &Config,
    accusers: usize,
    observers: usize,
    present: usize,
    flaps: u32,
) -> Duration {
    let max = config.suspicion_max;
    let min = (config.suspicion_min * (1 << flaps.min(FLAP_STRETCH_MAX))).min(max);
    let others = present.saturating_sub(3).min(observers.saturating_sub(1));
    let expected = CONFIRMATIONS_MAX.min(others);
    if expected == 0 {
        return min;
    }
    let confirmations = accusers.saturating_sub(1) as f64;
    let weight = (confirmations + 1.0).ln() / (expected as f64 + 1.0).ln();
    max.saturating_sub((max - min).mul_f64(weight.min(1.0)))
        .max(min)
}

/// How often members refuted of late, halved once per half-life.
#[derive(Debug, Default)]
pub(crate) struct Flaps(BTreeMap<NodeId, (u32, Instant)>);

impl Flaps {
    /// The member refuted a suspicion.
    pub(crate) fn add(&mut self, id: NodeId, half_life: Duration, now: Instant) {
        if self.0.len() >= FLAPS_MEMBERS_MAX {
            self.sweep(half_life, now);
        }
        let count = self.count(id, half_life, now).saturating_add(1);
        if self.0.len() < FLAPS_MEMBERS_MAX || self.0.contains_key(&id) {
            self.0.insert(id, (count, now));
        }
    }

    /// How often, of late.
    pub(crate) fn count(&self, id: NodeId, half_life: Duration, now: Instant) -> u32 {
        self.0
            .get(&id)
            .map_or(0, |&(count, at)| decayed(count, at, half_life, now))
    }

    #[cfg(feature = "sim")]
    pub(crate) fn limit(&self) -> Limit {
        ("flaps", self.0.len(), FLAPS_MEMBERS_MAX)
    }

    /// Forgets those that have faded.
    pub(crate) fn sweep(&mut self, half_life: Duration, now: Instant) {
        self.0
            .retain(|_, &mut (count, at)| decayed(count, at, half_life, now) > 0);
    }
}

fn decayed(count: u32, at: Instant, half_life: Duration, now: Instant) -> u32 {
    let halvings = now.since(at).as_micros() / half_life.as_micros().max(1);
    u32::try_from(halvings)
        .ok()
        .and_then(|halvings| count.checked_shr(halvings))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(accusers: usize, present: usize, flaps: u32) -> f64 {
        timeout(&Config::lan(), accusers, 8, present, flaps).as_secs_f64()
    }

    #[test]
    fn more_accusers_leave_less_time() {
        assert_eq!(secs(1, 100, 0), 12.0);
        assert!(secs(2, 100, 0) < 12.0 && secs(2, 100, 0) > secs(3, 100, 0));
        assert_eq!(secs(4, 100, 0), 3.0);
        assert_eq!(secs(16, 100, 0), 3.0);
    }

    #[test]
    fn where_nobody_can_confirm_the_minimum_holds_at_once() {
        for present in 0..=3 {
            assert_eq!(secs(1, present, 0), 3.0, "{present}");
        }
        assert_eq!(secs(1, 4, 0), 12.0);
        assert_eq!(secs(2, 4, 0), 3.0);
    }

    #[test]
    fn all_observers_together_reach_the_minimum_however_few_they_are() {
        let secs = |accusers| timeout(&Config::lan(), accusers, 3, 8, 0).as_secs_f64();
        assert_eq!([1, 3].map(secs), [12.0, 3.0]);
        assert!(secs(2) > 3.0);
    }

    #[test]
    fn flaps_stretch_the_minimum_up_to_the_maximum() {
        assert_eq!(
            [0, 1, 2, 3, 9].map(|flaps| secs(6, 100, flaps)),
            [3.0, 6.0, 12.0, 12.0, 12.0]
        );
    }

    #[test]
    fn an_accuser_counts_once() {
        let mut suspicion =
            Suspicion::new(Life::ZERO, (1..=8).map(NodeId).collect(), Instant::ORIGIN);
        assert!(suspicion.accuse(NodeId(1), false));
        assert!(!suspicion.accuse(NodeId(1), false));
        assert!(suspicion.accuse(NodeId(2), false));
        assert_eq!(suspicion.accusers().len(), 2);
        for id in 3..100 {
            suspicion.accuse(NodeId(id), false);
        }
        assert_eq!(suspicion.accusers().len(), ACCUSERS_MAX);
    }

    #[test]
    fn a_quorum_that_was_refused_or_all_observers_wait_for_nothing() {
        for observers in [1, 2, 3, 8] {
            let ids = (1..=observers).map(NodeId).collect();
            let mut suspicion = Suspicion::new(Life::ZERO, ids, Instant::ORIGIN);
            let at_once = |s: &Suspicion| s.deadline(&Config::lan(), 100, 0) == Instant::ORIGIN;
            let enough = observers.min(3);
            for id in 1..enough {
                assert!(suspicion.accuse(NodeId(id), true) && !at_once(&suspicion));
            }
            assert!(suspicion.accuse(NodeId(enough), false) && !at_once(&suspicion));
            assert!(suspicion.accuse(NodeId(enough), true), "it is news");
            assert!(!suspicion.accuse(NodeId(enough), true));
            assert!(at_once(&suspicion), "{observers}");
        }
    }

    #[test]
    fn flaps_fade_by_halves() {
        let half_life = Duration::from_secs(60);
        let at = |secs| Instant::ORIGIN + Duration::from_secs(secs);
        let mut flaps = Flaps::default();
        for _ in 0..5 {
            flaps.add(NodeId(1), half_life, at(0));
        }
        assert_eq!(
            [0, 59, 60, 120, 180, 100_000].map(|s| flaps.count(NodeId(1), half_life, at(s))),
            [5, 5, 2, 1, 0, 0]
        );
        flaps.sweep(half_life, at(200));
        assert!(flaps.0.is_empty());
    }
}
