//! Dissemination: fresh news to fixed neighbours at once, repetitions to random ones, and an end
//! as soon as enough of them are seen to agree.
//!
//! News wait for company a few milliseconds, then go in one packet to the first ring successors,
//! who do the same. A slow tick repeats them to random neighbours. Every packet carries a
//! fingerprint, so a node sees who holds what it holds: three that agree end the repetitions, and
//! nobody is told what it already shows to know; a rumor that comes again needs one repetition
//! less. There is no count that grows with log N: what is missed all the same, reconciliation
//! brings.

use std::time::Duration;

use indexmap::IndexMap;

use crate::config::Config;
use crate::member::{Fingerprint, State};
use crate::message::Rumor;
use crate::name::NodeId;
use crate::time::Instant;

/// How many distinct peers must show this node's fingerprint before it stops repeating.
const AGREEING_MIN: usize = 3;
/// How much longer news wait for company after each flush under load.
const COALESCE_GROWTH: f64 = 1.5;
/// A quiet time of this length halves that wait.
const COALESCE_CALM: Duration = Duration::from_millis(100);
/// So many waits between two flushes, or fewer, are load.
const COALESCE_BUSY: u32 = 2;
/// The same of flushes with verdicts.
const VERDICTS_BUSY: u32 = 5;
/// After so long without a verdict there is no unrest.
const UNREST: Duration = Duration::from_secs(1);
/// Verdicts wait so often on their way to everyone, about.
const UNREST_HOPS: u32 = 6;
/// How long verdicts wait for company, at the least.
const VERDICT_COALESCE: Duration = Duration::from_millis(20);
/// The most ticks that a rumor stays, even if every peer was skipped.
const TICKS_MAX: u8 = 15;

/// A rumor that waits to be sent (again).
#[derive(Debug)]
struct Queued {
    rumor: Rumor,
    from: Option<NodeId>,
    fresh: bool,
    /// Whether the fingerprint tells that a peer knows it.
    covered: bool,
    /// How often it was repeated, here or by others to this node.
    sent: u8,
    ticks: u8,
}

/// The rumors of a node, at most one about each member.
#[derive(Debug)]
pub(crate) struct Dissemination {
    queue: IndexMap<NodeId, Queued>,
    news: Pace,
    /// Verdicts took seconds, and seldom come alone: they wait longer for each other.
    verdicts: Pace,
    agreeing: Vec<NodeId>,
}

/// How long news wait for company: longer under load.
#[derive(Debug)]
struct Pace {
    least: Duration,
    wait: Duration,
    flushed: Instant,
}

impl Pace {
    fn new(least: Duration, now: Instant) -> Self {
        Self {
            least,
            wait: least,
            flushed: now,
        }
    }

    /// A flush: `busy` times the present wait since the last one is load.
    fn note_flush(&mut self, busy: u32, config: &Config, now: Instant) {
        let calm = now.since(self.flushed);
        if calm < self.wait * busy {
            let most = config.gossip_interval.max(self.least);
            self.wait = self.wait.mul_f64(COALESCE_GROWTH).min(most);
        } else {
            let halvings = calm.as_micros() / COALESCE_CALM.as_micros();
            let halvings = i32::try_from(halvings.min(16)).expect("at most 16");
            self.wait = self.wait.mul_f64(0.5_f64.powi(halvings)).max(self.least);
        }
        self.flushed = now;
    }
}

/// How urgent a rumor is: smaller first.
fn urgency(rumor: &Rumor, me: NodeId) -> u8 {
    match rumor.standing().state {
        State::Alive if rumor.id() == me => 0,
        State::Removed | State::Left => 1,
        State::Failed => 2,
        State::Alive => 3,
    }
}

impl Dissemination {
    pub(crate) fn new(config: &Config, now: Instant) -> Self {
        Self {
            queue: IndexMap::new(),
            news: Pace::new(config.coalesce_min, now),
            verdicts: Pace::new(config.coalesce_min.max(VERDICT_COALESCE), now),
            agreeing: Vec::new(),
        }
    }

    /// Queues a rumor in place of an older one about the same member. Returns how many others
    /// had to go because too many wait: of the least urgent, the oldest.
    pub(crate) fn push(
        &mut self,
        rumor: Rumor,
        from: Option<NodeId>,
        covered: bool,
        rumors_max: usize,
        me: NodeId,
    ) -> u64 {
        let id = rumor.id();
        self.queue.shift_remove(&id);
        self.queue.insert(
            id,
            Queued {
                rumor,
                from,
                fresh: true,
                covered,
                sent: 0,
                ticks: 0,
            },
        );
        let mut dropped = 0;
        while self.queue.len() > rumors_max {
            let least = self
                .queue
                .values()
                .map(|queued| urgency(&queued.rumor, me))
                .max()
                .unwrap_or(0);
            let index = self
                .queue
                .values()
                .position(|queued| urgency(&queued.rumor, me) == least)
                .unwrap_or(0);
            self.queue.shift_remove_index(index);
            dropped += 1;
        }
        dropped
    }

    /// A rumor came again: one repetition less is needed.
    pub(crate) fn on_heard_again(&mut self, rumor: &Rumor) {
        if let Some(queued) = self.queue.get_mut(&rumor.id())
            && queued.rumor.standing() == rumor.standing()
        {
            queued.sent = queued.sent.saturating_add(1);
        }
    }

    /// What is passed on is in this node's own view by now, and so in its fingerprint.
    pub(crate) fn cover(&mut self, rumor: &Rumor) {
        if let Some(queued) = self.queue.get_mut(&rumor.id())
            && queued.rumor.standing() == rumor.standing()
        {
            queued.covered = true;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// How many rumors wait.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether something was not sent at all so far.
    pub(crate) fn has_fresh(&self) -> bool {
        self.queue.values().any(|queued| queued.fresh)
    }

    /// When to flush a rumor that has just become fresh: after a random half to three halves of
    /// the present coalescing delay.
    pub(crate) fn flush_at(&self, rumor: &Rumor, now: Instant, rng: &mut fastrand::Rng) -> Instant {
        let pace = match rumor {
            Rumor::Failed(_) => &self.verdicts,
            _ => &self.news,
        };
        now + pace.wait.mul_f64(0.5 + rng.f64())
    }

    /// When to flush what the last flush left.
    pub(crate) fn next_flush_at(&self, now: Instant, rng: &mut fastrand::Rng) -> Instant {
        now + self.news.wait.mul_f64(0.5 + rng.f64())
    }

    /// How much longer than usual differences are to be expected: many verdicts are on their way.
    pub(crate) fn unrest(&self, now: Instant) -> Duration {
        let extra = self.verdicts.wait.saturating_sub(self.verdicts.least);
        if now.since(self.verdicts.flushed) > UNREST {
            return Duration::ZERO;
        }
        extra * UNREST_HOPS
    }

    /// Takes what is fresh, the most urgent first, at most `rumors_max` of it, each with the peer
    /// that it came from. Adapts the coalescing delay to the load.
    pub(crate) fn flush(
        &mut self,
        config: &Config,
        now: Instant,
        rumors_max: usize,
        me: NodeId,
    ) -> Vec<(Rumor, Option<NodeId>)> {
        self.news.note_flush(COALESCE_BUSY, config, now);
        let mut fresh: Vec<_> = self
            .queue
            .values_mut()
            .filter(|queued| queued.fresh)
            .collect();
        fresh.sort_by_key(|queued| urgency(&queued.rumor, me));
        fresh.truncate(rumors_max);
        if fresh
            .iter()
            .any(|queued| matches!(queued.rumor, Rumor::Failed(_)))
        {
            self.verdicts.note_flush(VERDICTS_BUSY, config, now);
        }
        let take = |queued: &mut Queued| {
            queued.fresh = false;
            (queued.rumor.clone(), queued.from)
        };
        fresh.into_iter().map(take).collect()
    }

    /// What to repeat to a peer: nothing that its fingerprint shows it to know, the most urgent
    /// and least sent first, as long as `fits` takes more.
    pub(crate) fn repeat(
        &mut self,
        peer_agrees: bool,
        me: NodeId,
        config: &Config,
        mut fits: impl FnMut(&Rumor) -> bool,
    ) -> Vec<Rumor> {
        let due = |queued: &&mut Queued| {
            !queued.fresh
                && queued.sent < config.retransmits_max
                && !(peer_agrees && queued.covered)
        };
        let mut due: Vec<_> = self.queue.values_mut().filter(due).collect();
        due.sort_by_key(|queued| (urgency(&queued.rumor, me), queued.sent));
        let mut taken = Vec::new();
        for queued in due {
            if !fits(&queued.rumor) {
                break;
            }
            queued.sent += 1;
            taken.push(queued.rumor.clone());
        }
        taken
    }

    /// A slow tick is over: what was sent often enough, or stayed long enough, goes.
    pub(crate) fn end_tick(&mut self, config: &Config) {
        self.queue.retain(|_, queued| {
            queued.ticks = queued.ticks.saturating_add(u8::from(!queued.fresh));
            queued.fresh || (queued.sent < config.retransmits_max && queued.ticks < TICKS_MAX)
        });
    }

    /// This node's fingerprint changed: nobody is known to agree any more.
    pub(crate) fn on_changed(&mut self) {
        self.agreeing.clear();
    }

    /// A peer showed a fingerprint. Where enough have shown this node's own, what it covers goes.
    pub(crate) fn on_fingerprint(&mut self, peer: NodeId, theirs: Fingerprint, ours: Fingerprint) {
        if theirs != ours || self.queue.is_empty() || self.agreeing.contains(&peer) {
            return;
        }
        self.agreeing.push(peer);
        if self.agreeing.len() >= AGREEING_MIN {
            self.queue
                .retain(|_, queued| queued.fresh || !queued.covered);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.agreeing.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::tests::{life, profile};

    const ME: NodeId = NodeId(0);

    fn at(millis: u64) -> Instant {
        Instant::ORIGIN + Duration::from_millis(millis)
    }

    fn alive(n: u64) -> Rumor {
        Rumor::Alive(profile(&format!("n{n}@10.0.0.1"), life(1, 1)))
    }

    fn left(n: u64) -> Rumor {
        Rumor::Left {
            id: NodeId(n),
            life: life(1, 1),
        }
    }

    fn gossip() -> Dissemination {
        Dissemination::new(&Config::lan(), at(0))
    }

    fn push(gossip: &mut Dissemination, rumor: Rumor) {
        gossip.push(rumor, None, true, 100, ME);
    }

    #[test]
    fn the_urgent_goes_first_and_the_fresh_goes_once() {
        let mut gossip = gossip();
        push(&mut gossip, alive(1));
        push(&mut gossip, left(2));
        let flushed = gossip.flush(&Config::lan(), at(1000), 10, ME);
        assert_eq!(
            flushed
                .iter()
                .map(|(rumor, _)| rumor.clone())
                .collect::<Vec<_>>(),
            [left(2), alive(1)]
        );
        assert!(!gossip.has_fresh() && gossip.flush(&Config::lan(), at(1001), 10, ME).is_empty());
        assert!(!gossip.is_empty());
    }

    #[test]
    fn three_that_agree_end_the_repetitions() {
        let mut gossip = gossip();
        push(&mut gossip, alive(1));
        gossip.flush(&Config::lan(), at(0), 10, ME);
        let ours = Fingerprint(7);
        for peer in [1, 1, 1, 2] {
            gossip.on_fingerprint(NodeId(peer), ours, ours);
        }
        gossip.on_fingerprint(NodeId(9), Fingerprint(8), ours);
        assert!(!gossip.is_empty());
        gossip.on_fingerprint(NodeId(3), ours, ours);
        assert!(gossip.is_empty());
    }

    #[test]
    fn agreement_stops_only_what_the_fingerprint_covers() {
        let mut gossip = gossip();
        gossip.push(left(1), None, false, 100, ME);
        gossip.flush(&Config::lan(), at(0), 10, ME);
        for peer in 1..=3 {
            gossip.on_fingerprint(NodeId(peer), Fingerprint(7), Fingerprint(7));
        }
        assert_eq!(gossip.repeat(true, ME, &Config::lan(), |_| true), [left(1)]);
    }

    #[test]
    fn a_rumor_is_repeated_three_times_at_most() {
        let (config, mut gossip) = (Config::lan(), gossip());
        push(&mut gossip, alive(1));
        gossip.flush(&config, at(0), 10, ME);
        for _ in 0..3 {
            assert_eq!(gossip.repeat(false, ME, &config, |_| true).len(), 1);
        }
        gossip.end_tick(&config);
        assert!(gossip.is_empty());
    }

    #[test]
    fn what_everybody_shows_to_know_does_not_stay_for_ever() {
        let (config, mut gossip) = (Config::lan(), gossip());
        push(&mut gossip, alive(1));
        gossip.flush(&config, at(0), 10, ME);
        for _ in 0..TICKS_MAX {
            assert!(gossip.repeat(true, ME, &config, |_| true).is_empty());
            gossip.end_tick(&config);
        }
        assert!(gossip.is_empty());
    }

    #[test]
    fn load_makes_news_wait_longer_and_calm_makes_them_quick_again() {
        let (config, mut gossip) = (Config::lan(), gossip());
        let mut now = at(0);
        for _ in 0..40 {
            now += gossip.news.wait;
            gossip.flush(&config, now, 10, ME);
        }
        assert_eq!(gossip.news.wait, config.gossip_interval);
        gossip.flush(&config, now + Duration::from_secs(2), 10, ME);
        assert_eq!(gossip.news.wait, config.coalesce_min);
    }

    #[test]
    fn too_many_rumors_cost_the_least_urgent() {
        let mut gossip = gossip();
        for n in 0..5 {
            gossip.push(alive(n), None, true, 4, ME);
        }
        assert_eq!(gossip.push(left(9), None, true, 4, ME), 1);
        assert_eq!(gossip.len(), 4);
        assert!(gossip.queue.contains_key(&NodeId(9)));
    }
}
