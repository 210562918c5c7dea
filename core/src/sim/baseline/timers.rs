//! A baseline's deadlines, ordered.

use std::collections::{BTreeMap, BTreeSet};

use crate::name::NodeId;
use crate::time::Instant;

/// What is to be done when a deadline passes. Each exists at most once at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The next probe is due.
    Probe,
    /// The probe under way goes to its next stage.
    ProbeStage,
    /// A probe for somebody else was not answered.
    Relay(u32),
    /// The time to refute is over.
    Suspicion(NodeId),
    /// A round of gossip.
    Gossip,
    /// The random wait at the start is over: full exchanges begin to be counted.
    Stagger,
    /// A full exchange with somebody.
    PushPull,
    /// An attempt to reach somebody who failed.
    Reconnect,
    /// Whoever was to let this node join did not answer in time.
    Join,
    /// The goodbye has had enough time.
    Leave,
}

/// Deadlines by timer and by time.
#[derive(Debug, Default)]
pub(super) struct Timers {
    at: BTreeMap<Timer, Instant>,
    order: BTreeSet<(Instant, Timer)>,
}

impl Timers {
    /// Sets a timer, in place of its former deadline.
    pub(super) fn set(&mut self, timer: Timer, at: Instant) {
        self.stop(timer);
        self.at.insert(timer, at);
        self.order.insert((at, timer));
    }

    /// Forgets a timer.
    pub(super) fn stop(&mut self, timer: Timer) {
        if let Some(at) = self.at.remove(&timer) {
            self.order.remove(&(at, timer));
        }
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        self.at.clear();
        self.order.clear();
    }

    /// Whether a timer is set.
    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.at.contains_key(&timer)
    }

    /// How many are set.
    pub(super) fn len(&self) -> usize {
        self.at.len()
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.order.first().map(|&(at, _)| at)
    }

    /// When a timer expires.
    #[cfg(test)]
    pub(super) fn expiry_of(&self, timer: Timer) -> Option<Instant> {
        self.at.get(&timer).copied()
    }

    /// Takes the earliest timer that has expired, with its deadline.
    pub(super) fn expire(&mut self, now: Instant) -> Option<(Instant, Timer)> {
        let &(at, timer) = self.order.first()?;
        if at > now {
            return None;
        }
        self.stop(timer);
        Some((at, timer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_expire_in_order_and_once() {
        let at = Instant::from_micros;
        let mut timers = Timers::default();
        timers.set(Timer::Probe, at(20));
        timers.set(Timer::Gossip, at(5));
        timers.set(Timer::Gossip, at(30));
        timers.set(Timer::Relay(7), at(10));
        assert_eq!(timers.next(), Some(at(10)));
        assert_eq!(timers.expire(at(25)), Some((at(10), Timer::Relay(7))));
        assert_eq!(timers.expire(at(25)), Some((at(20), Timer::Probe)));
        assert_eq!(timers.expire(at(25)), None);
        assert!(timers.is_set(Timer::Gossip) && timers.len() == 1);
    }
}
