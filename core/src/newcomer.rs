//! A newcomer has companions before it has ring neighbours.
//!
//! Intuition: who has just been let in may be one of a whole fleet that comes at once. While its
//! list grows, its ring neighbours are others with every entry, and a connection to each of them is
//! a handshake in vain, on machines that have their hands full with those that are not. So it passes
//! news of joins on to a few members whom it picks once, and to those who tell it such news: random
//! links reach everybody in as few steps as rings do. That it is there itself, its host tells. When
//! its list has been the same for a while it is a member like others, and takes its time with the
//! first round of probes: in that, too, each is a handshake.

use std::time::Duration;

use crate::name::NodeId;
use crate::time::Instant;

/// A list that is the same for so long, and for as long as it took to be let in, is taken to be
/// complete: where that took long, so does everything.
const CALM: Duration = Duration::from_secs(1);
/// Constant change makes nobody a newcomer for longer.
const NEW_MAX: Duration = Duration::from_secs(10);
/// News of joins wait this part of the time for company that it took to be let in, and so do questions.
const PACE_DIVISOR: u32 = 4;
/// … up to this.
const PACE_MAX: Duration = Duration::from_secs(1);
/// Who was told nothing for so long asks, and again when it has been there for twice as long, about.
const TOLD_WITHIN: Duration = Duration::from_millis(100);
/// How many companions it picks.
const PICKED_MAX: usize = 2;
/// How many it has with those who tell it news.
const COMPANIONS_MAX: usize = 8;

/// Whether a node is new, and whom it talks to while it is.
#[derive(Debug)]
pub(crate) struct Newcomer {
    /// Who let it in, when, and how long that took.
    came: Option<(NodeId, Instant, Duration)>,
    /// When a member last joined its list.
    learned: Instant,
    companions: Vec<NodeId>,
    /// How many of them it picked.
    picked: usize,
    /// Whether anybody but its host told it anything.
    told: bool,
    /// Whether it has yet to begin its first round of probes.
    idle: bool,
}

impl Newcomer {
    /// One that did not come, but has always been there.
    pub(crate) fn none() -> Self {
        Self {
            came: None,
            learned: Instant::ORIGIN,
            companions: Vec::new(),
            picked: 0,
            told: false,
            idle: false,
        }
    }

    /// One that its host lets in, and that has waited so long for it.
    pub(crate) fn of(host: NodeId, waited: Duration, now: Instant) -> Self {
        Self {
            came: Some((host, now, waited)),
            learned: now,
            idle: true,
            ..Self::none()
        }
    }

    /// A member joined its list.
    pub(crate) fn learn(&mut self, now: Instant) {
        self.learned = now;
    }

    /// Until when it is new, if it came.
    pub(crate) fn until(&self) -> Option<Instant> {
        let (_, at, waited) = self.came?;
        Some((self.learned + CALM.max(waited)).min(at + NEW_MAX))
    }

    /// How long news are worth waiting for, and answers, while it is new: where hosts are so busy that
    /// it took long to be let in, each packet more makes them busier.
    pub(crate) fn pace(&self, now: Instant) -> Duration {
        let waited = self.came.map(|(.., waited)| waited);
        let waited = waited.filter(|_| self.is_new(now)).unwrap_or_default();
        (waited / PACE_DIVISOR).min(PACE_MAX)
    }

    pub(crate) fn is_new(&self, now: Instant) -> bool {
        self.until().is_some_and(|until| now < until)
    }

    /// A member told it news.
    pub(crate) fn hear(&mut self, from: NodeId, now: Instant) {
        if !self.is_new(now) || self.is_host(from) {
            return;
        }
        self.told = true;
        if self.companions.len() < COMPANIONS_MAX && self.fits(from) {
            self.companions.push(from);
        }
    }

    /// For how long it has been there.
    pub(crate) fn age(&self, now: Instant) -> Duration {
        let came = self.came.map(|(_, at, _)| at);
        came.map_or(Duration::MAX, |at| now.since(at))
    }

    /// Whom to ask, of its companions or else its host, where nobody has told it anything so far.
    pub(crate) fn asks(&self, now: Instant) -> Option<NodeId> {
        let host = self.came.map(|(host, ..)| host);
        let asked = self.companions.first().copied().or(host);
        asked.filter(|_| !self.told && self.age(now) >= TOLD_WITHIN)
    }

    /// When to look again whether it was told anything.
    pub(crate) fn asks_at(&self, now: Instant, rng: &mut fastrand::Rng) -> Instant {
        now + self.age(now).max(TOLD_WITHIN).mul_f64(0.5 + rng.f64())
    }

    /// Its companions. `pick` finds members that fit.
    pub(crate) fn companions(
        &mut self,
        mut pick: impl FnMut(&dyn Fn(NodeId) -> bool) -> Option<NodeId>,
    ) -> &[NodeId] {
        while self.picked < PICKED_MAX {
            let Some(id) = pick(&|id| self.fits(id)) else {
                break;
            };
            self.companions.push(id);
            self.picked += 1;
        }
        &self.companions
    }

    /// Its host knows before it does.
    fn fits(&self, id: NodeId) -> bool {
        !self.is_host(id) && !self.companions.contains(&id)
    }

    /// Whether it is the member that let it in.
    pub(crate) fn is_host(&self, id: NodeId) -> bool {
        self.came.is_some_and(|(host, ..)| host == id)
    }

    /// Whether it begins its first round of probes now.
    pub(crate) fn begins_to_watch(&mut self) -> bool {
        std::mem::take(&mut self.idle)
    }

    #[cfg(feature = "sim")]
    pub(crate) fn limit(&self) -> crate::engine::limits::Limit {
        let max = COMPANIONS_MAX + PICKED_MAX;
        ("companions", self.companions.len(), max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: NodeId = NodeId(1);

    fn at(millis: u64) -> Instant {
        Instant::ORIGIN + Duration::from_millis(millis)
    }

    fn newcomer(waited: u64) -> Newcomer {
        Newcomer::of(HOST, Duration::from_millis(waited), at(100))
    }

    #[test]
    fn it_is_new_until_its_list_is_calm_and_not_for_ever() {
        let mut newcomer = newcomer(10);
        assert_eq!(newcomer.until(), Some(at(1100)));
        newcomer.learn(at(600));
        assert!(newcomer.is_new(at(1599)) && !newcomer.is_new(at(1600)));
        newcomer.learn(at(9900));
        assert_eq!(newcomer.until(), Some(at(10_100)));
        assert!(!Newcomer::none().is_new(at(0)));
    }

    #[test]
    fn it_asks_where_nobody_but_its_host_tells_it_anything() {
        let mut newcomer = newcomer(10);
        newcomer.hear(HOST, at(150));
        assert_eq!(newcomer.asks(at(199)), None);
        assert_eq!(newcomer.asks(at(200)), Some(HOST));
        newcomer.companions(|fits| Some(NodeId(7)).filter(|&id| fits(id)));
        assert_eq!(newcomer.asks(at(400)), Some(NodeId(7)));
        let again = newcomer.asks_at(at(400), &mut fastrand::Rng::with_seed(1));
        assert!(again >= at(550) && again <= at(850));
        newcomer.hear(NodeId(8), at(500));
        assert_eq!(newcomer.asks(at(900)), None);
    }

    #[test]
    fn where_it_waited_long_it_is_new_for_longer() {
        assert_eq!(newcomer(3000).until(), Some(at(3100)));
    }

    #[test]
    fn it_picks_two_and_answers_those_who_tell_it_news_but_not_its_host() {
        let mut newcomer = newcomer(10);
        for from in [HOST, NodeId(5), NodeId(5)] {
            newcomer.hear(from, at(200));
        }
        let mut others = (1..).map(NodeId);
        let pick = |fits: &dyn Fn(NodeId) -> bool| others.find(|&id| fits(id));
        assert_eq!(newcomer.companions(pick), [5, 2, 3].map(NodeId));
        (10..30).for_each(|n| newcomer.hear(NodeId(n), at(300)));
        assert_eq!(newcomer.companions(|_| None).len(), COMPANIONS_MAX);
        newcomer.hear(NodeId(40), at(60_000));
        assert!(newcomer.begins_to_watch() && !newcomer.begins_to_watch());
    }
}
