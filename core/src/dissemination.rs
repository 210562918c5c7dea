//! Dissemination: fresh news to fixed neighbours at once, repetitions to random ones, and an end
//! as soon as enough of them are seen to agree.
//!
//! News wait for company a few milliseconds, then go in one packet to the first ring successors,
//! who do the same. A slow tick repeats them to random neighbours. Every packet carries a
//! fingerprint, so a node sees who holds what it holds: three that agree end the repetitions, and
//! nobody is told what it already shows to know; a rumor that comes again needs one repetition
//! less. There is no count that grows with log N: what is missed all the same, reconciliation
//! brings.
//!
//! When a rack dies, verdicts are nearly all that is sent. Then they wait the longer for each other the
//! more there are, so that a packet is full of them, and who hears one several times before its turn
//! comes passes it on to fewer.

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
/// In clusters of up to so many members verdicts are too few to matter: there they do not wait.
const CROWDLESS_MAX: usize = 256;
/// So many verdicts in a row are a crowd; for each so many, they may wait a gossip interval for company.
const CROWD: usize = 45;
/// The most gossip intervals that they wait.
const CROWD_WAIT_MAX: usize = 3;
/// After so long without a verdict the next one begins another row: longer than crowds wait.
const CROWD_OVER: Duration = Duration::from_secs(2);
/// To so many successors every verdict of a crowd goes, however often it was heard.
const CROWD_REACH_MIN: usize = 2;
/// It needs so many repetitions less.
const CROWD_REPEATS_LESS: usize = 2;

/// The rumors of a node, at most one about each member.
#[derive(Debug)]
pub(crate) struct Dissemination {
    me: NodeId,
    queue: Queue,
    news: Pace,
    /// Verdicts took seconds, and seldom come alone: they wait longer for each other.
    verdicts: Pace,
    /// How many of them there were in a row.
    crowd: usize,
    agreeing: Vec<NodeId>,
    /// How long news may wait under load, where that is more than a gossip interval.
    pace: Duration,
}

/// A rumor whose turn has come to be sent for the first time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fresh {
    pub(crate) rumor: Rumor,
    /// Whom it came from.
    pub(crate) from: Option<NodeId>,
    /// To how many successors it goes.
    pub(crate) reach: usize,
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

    /// A flush: `busy` times the present wait since the last one is load, up to a wait of `most`.
    fn note_flush(&mut self, busy: u32, most: Duration, now: Instant) {
        let calm = now.since(self.flushed);
        if calm < self.wait * busy {
            let most = most.max(self.least);
            self.wait = self.wait.mul_f64(COALESCE_GROWTH).min(most);
        } else {
            let halvings = calm.as_micros() / COALESCE_CALM.as_micros();
            let halvings = i32::try_from(halvings.min(16)).expect("at most 16");
            self.wait = self.wait.mul_f64(0.5_f64.powi(halvings)).max(self.least);
        }
        self.flushed = now;
    }
}

/// News that nobody is harmed by waiting for, as a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leisure {
    /// Only that this node itself is there.
    Own,
    /// That others are, too.
    Joins,
}

const OWN: u8 = 0;
const JOIN: u8 = 3;

/// How urgent a rumor is: smaller first.
fn urgency(rumor: &Rumor, me: NodeId) -> u8 {
    match rumor.standing().state {
        State::Alive if rumor.id() == me => OWN,
        State::Removed | State::Left => 1,
        State::Failed => 2,
        State::Alive => JOIN,
    }
}

impl Dissemination {
    pub(crate) fn new(config: &Config, me: NodeId, now: Instant) -> Self {
        Self {
            me,
            queue: Queue::new(config.retransmits_max),
            news: Pace::new(config.coalesce_min, now),
            verdicts: Pace::new(config.coalesce_min.max(VERDICT_COALESCE), now),
            crowd: 0,
            agreeing: Vec::new(),
            pace: Duration::ZERO,
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

    /// News may wait for so long under load, or for a gossip interval.
    pub(crate) fn set_pace(&mut self, pace: Duration) {
        self.pace = pace;
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

    /// What is fresh, where nothing of it is urgent.
    pub(crate) fn leisure(&self) -> Option<Leisure> {
        let mut urgencies = self.queue.fresh_urgencies().skip_while(|&u| u == OWN);
        match urgencies.next() {
            None => Some(Leisure::Own),
            Some(JOIN) => Some(Leisure::Joins),
            Some(_) => None,
        }
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

    /// Takes what is fresh, the most urgent first, at most `rumors_max` of it. Adapts the coalescing
    /// delay to the load. `fanout`: to how many successors news go; `members`: how many are known.
    pub(crate) fn flush(
        &mut self,
        config: &Config,
        fanout: usize,
        members: usize,
        now: Instant,
        rumors_max: usize,
    ) -> Vec<Fresh> {
        let usual = config.gossip_interval;
        self.news
            .note_flush(COALESCE_BUSY, usual.max(self.pace), now);
        let fresh = self.queue.take_fresh(rumors_max);
        // That a lost member is heard all the same is in no fingerprint: it goes as other news do.
        let is_verdict = |rumor: &Rumor| matches!(rumor, Rumor::Failed(failed) if !failed.heard);
        let verdicts = fresh.iter().filter(|(rumor, ..)| is_verdict(rumor)).count();
        if verdicts > 0 {
            if now.since(self.verdicts.flushed) > CROWD_OVER {
                self.crowd = 0;
            }
            self.crowd += if members > CROWDLESS_MAX { verdicts } else { 0 };
            let waits = (self.crowd / CROWD).clamp(1, CROWD_WAIT_MAX);
            let most = usual.mul_f64(waits as f64);
            self.verdicts.note_flush(VERDICTS_BUSY, most, now);
        }
        let crowded = self.is_crowded(now);
        let fresh = fresh.into_iter().map(|(rumor, from, heard)| {
            let mut reach = fanout;
            if crowded && is_verdict(&rumor) {
                let fewer = 1 + usize::from(heard);
                reach = fanout.saturating_sub(fewer).max(CROWD_REACH_MIN);
                (0..CROWD_REPEATS_LESS).for_each(|_| self.queue.count_heard(&rumor));
            }
            Fresh { rumor, from, reach }
        });
        fresh.collect()
    }

    /// Whether many members die.
    pub(crate) fn is_crowded(&self, now: Instant) -> bool {
        self.crowd >= CROWD && now.since(self.verdicts.flushed) <= CROWD_OVER
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
