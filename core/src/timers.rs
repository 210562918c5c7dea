//! The engine's deadlines, ordered.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::message::SeqNo;
use crate::name::NodeId;
use crate::time::Instant;

/// What is to be done when a deadline passes. Each exists at most once at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// Begin the next probe.
    Probe,
    /// The probe of this number goes to its next stage.
    ProbeStage(SeqNo),
    /// Probe some more members, as long as most of them stay silent.
    Burst,
    /// Tell the requester of this relayed probe that nothing was heard.
    RelayNack(SeqNo),
    /// The time to refute is over.
    Suspicion(NodeId),
    /// Too few have confirmed this node's accusation: the other observers are asked too.
    Widen(NodeId),
    /// The trial of this member goes to its next stage.
    Trial(NodeId),
    /// The time to object to somebody's verdict is over.
    Believe(NodeId),
    /// The member whose name a joiner wants has not answered in time.
    Doubt(NodeId),
    /// Send what is fresh to the ring successors.
    Flush,
    /// Repeat what may be missed to random neighbours.
    Gossip,
    /// Compare with a peer that differs.
    Compare,
    /// Look at who is lost.
    Assess,
    /// Contact somebody who is lost.
    Heal,
    /// Look for the cluster of the past.
    Return,
    /// Look whether its members have come.
    Mates,
    /// The join goes to its next step, or ends.
    Join,
    /// Goodbyes are repeated, or have lingered long enough.
    Leave,
    /// Forget what is old.
    Sweep,
}

impl Timer {
    /// Whether its expiry counts against somebody else, so that a pause of this node's own must
    /// not bring it nearer.
    fn judges(self) -> bool {
        matches!(
            self,
            Self::ProbeStage(_) | Self::Suspicion(_) | Self::Trial(_) | Self::Believe(_)
        )
    }
}

/// Deadlines by timer and by time.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    at: BTreeMap<Timer, Instant>,
    order: BTreeSet<(Instant, Timer)>,
}

impl Timers {
    /// Sets a timer, in place of its former deadline.
    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        self.stop(timer);
        self.at.insert(timer, at);
        self.order.insert((at, timer));
    }

    /// Sets a timer unless it is set for an earlier moment.
    pub(crate) fn set_by(&mut self, timer: Timer, at: Instant) {
        if self.at.get(&timer).is_none_or(|&set| at < set) {
            self.set(timer, at);
        }
    }

    /// Forgets a timer.
    pub(crate) fn stop(&mut self, timer: Timer) {
        if let Some(at) = self.at.remove(&timer) {
            self.order.remove(&(at, timer));
        }
    }

    /// Forgets all of them.
    pub(crate) fn clear(&mut self) {
        self.at.clear();
        self.order.clear();
    }

    /// Whether a timer is set.
    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        self.at.contains_key(&timer)
    }

    /// How many are set.
    pub(crate) fn len(&self) -> usize {
        self.at.len()
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.order.first().map(|&(at, _)| at)
    }

    /// Takes the earliest timer that has expired.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Timer> {
        let &(at, timer) = self.order.first()?;
        if at > now {
            return None;
        }
        self.stop(timer);
        Some(timer)
    }

    /// Puts each timer that judges others off, by its own time.
    pub(crate) fn put_off_judgement(&mut self, by: impl Fn(Timer) -> Duration) {
        let judging: Vec<_> = self
            .at
            .iter()
            .filter(|(timer, _)| timer.judges())
            .map(|(&t, &at)| (t, at))
            .collect();
        for (timer, at) in judging {
            self.set(timer, at + by(timer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::ORIGIN + Duration::from_millis(millis)
    }

    #[test]
    fn timers_expire_in_order_and_once() {
        let mut timers = Timers::default();
        timers.set(Timer::Probe, at(20));
        timers.set(Timer::Heal, at(10));
        timers.set(Timer::Flush, at(5));
        timers.set(Timer::Flush, at(30));
        assert_eq!(timers.next(), Some(at(10)));
        assert_eq!(timers.expire(at(25)), Some(Timer::Heal));
        assert_eq!(timers.expire(at(25)), Some(Timer::Probe));
        assert_eq!(timers.expire(at(25)), None);
        timers.set_by(Timer::Flush, at(40));
        assert_eq!(timers.next(), Some(at(30)));
    }

    #[test]
    fn a_stall_puts_off_judgement_and_nothing_else() {
        let mut timers = Timers::default();
        timers.set(Timer::Suspicion(NodeId(1)), at(10));
        timers.set(Timer::Probe, at(10));
        timers.put_off_judgement(|_| Duration::from_millis(500));
        assert_eq!(timers.expire(at(10)), Some(Timer::Probe));
        assert_eq!(timers.next(), Some(at(510)));
    }
}
