//! Dissemination: fresh news to fixed neighbours at once, repetitions to random ones, and an end
//! as soon as enough of them are seen to agree.
//!
//! News wait for company a few milliseconds, then go in one packet to the first ring successors,
//! who do the same. A slow tick repeats them to random neighbours. Every packet carries a
//! fingerprint, so a node sees who holds what it holds: three that agree end the repetitions, and
//! nobody is told what it already shows to know; a rumor that comes again needs one repetition
//! less. There is no count that grows with log N: what is missed all the same, reconciliation
//! brings.

mod queue;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::config::Config;
use crate::member::{Fingerprint, State};
use crate::message::Rumor;
use crate::name::NodeId;
use crate::time::Instant;
use queue::Queue;

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

/// The rumors of a node, at most one about each member.
#[derive(Debug)]
pub(crate) struct Dissemination {
    me: NodeId,
    queue: Queue,
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
    pub(crate) fn new(config: &Config, me: NodeId, now: Instant) -> Self {
        Self {
            me,
            queue: Queue::new(config.retransmits_max),
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
    ) -> u64 {
        let urgency = urgency(&rumor, self.me);
        self.queue.push(rumor, from, urgency, covered);
        let mut dropped = 0;
        while self.queue.len() > rumors_max {
            self.queue.drop_least();
            dropped += 1;
        }
        dropped
    }

    /// A rumor came again: one repetition less is needed.
    pub(crate) fn on_heard_again(&mut self, rumor: &Rumor) {
        self.queue.count_heard(rumor);
    }

    /// What is passed on is in this node's own view by now, and so in its fingerprint.
    pub(crate) fn cover(&mut self, rumor: &Rumor) {
        self.queue.cover(rumor);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.len() == 0
    }

    /// How many rumors wait.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether something was not sent at all so far.
    pub(crate) fn has_fresh(&self) -> bool {
        self.queue.has_fresh()
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
    ) -> Vec<(Rumor, Option<NodeId>)> {
        self.news.note_flush(COALESCE_BUSY, config, now);
        let fresh = self.queue.take_fresh(rumors_max);
        let is_verdict = |(rumor, _): &(Rumor, _)| matches!(rumor, Rumor::Failed(_));
        if fresh.iter().any(is_verdict) {
            self.verdicts.note_flush(VERDICTS_BUSY, config, now);
        }
        fresh
    }

    /// What to repeat to a peer: nothing that its fingerprint shows it to know, the most urgent
    /// and least sent first, as long as `fits` takes more.
    pub(crate) fn repeat(
        &mut self,
        peer_agrees: bool,
        fits: impl FnMut(&Rumor) -> bool,
    ) -> Vec<Rumor> {
        self.queue.take_due(peer_agrees, fits)
    }

    /// A slow tick is over: what was sent often enough, or stayed long enough, goes.
    pub(crate) fn end_tick(&mut self) {
        self.queue.end_tick();
    }

    /// This node's fingerprint changed: nobody is known to agree any more.
    pub(crate) fn on_changed(&mut self) {
        self.agreeing.clear();
    }

    /// A peer showed a fingerprint. Where enough have shown this node's own, what it covers goes.
    pub(crate) fn on_fingerprint(&mut self, peer: NodeId, theirs: Fingerprint, ours: Fingerprint) {
        if theirs != ours || self.is_empty() || self.agreeing.contains(&peer) {
            return;
        }
        self.agreeing.push(peer);
        if self.agreeing.len() >= AGREEING_MIN {
            self.queue.drop_covered();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.agreeing.clear();
    }
}
