//! Whether a connection still leads to a living peer, and which of two is to be used.
//!
//! A connection proves itself: it is *proven* once a packet came over it. (The dialing side is
//! "connected" before the other has judged its certificate: a refusal arrives later, as a close.)
//! It goes *stale* when something was sent and nothing at all came back, not even QUIC's own
//! acknowledgements. Between two connections to one peer, both ends settle on the same one without
//! a word: see [`Liveness::outranks`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use convoke_core::{Instant, NodeId};

/// Sent something and heard nothing for so long: the connection may be dead.
const STALE_AFTER: Duration = Duration::from_millis(1500);

/// What is known about one connection. Noted by the tasks that send and read, with atomics.
#[derive(Debug)]
pub(crate) struct Liveness {
    initiator: NodeId,
    opened: Instant,
    proven: AtomicInstant,
    heard: AtomicInstant,
    /// The first packet sent since one was heard.
    unanswered: AtomicInstant,
    /// When acknowledgements or anything else were last seen to have come.
    stirred: AtomicInstant,
}

impl Liveness {
    /// A connection that was opened just now, by this end or the other.
    pub(crate) fn new(initiator: NodeId, now: Instant) -> Self {
        Self {
            initiator,
            opened: now,
            proven: AtomicInstant::default(),
            heard: AtomicInstant::default(),
            unanswered: AtomicInstant::default(),
            stirred: AtomicInstant::default(),
        }
    }

    /// A packet is being sent. True where it is the first since one was heard.
    pub(crate) fn sends(&self, now: Instant) -> bool {
        self.unanswered.store_first(now)
    }

    /// A packet came.
    pub(crate) fn hears(&self, now: Instant) {
        self.heard.store(now);
        self.unanswered.clear();
        self.proven.store_first(now);
    }

    /// Something came, be it only an acknowledgement.
    pub(crate) fn stirs(&self, now: Instant) {
        self.stirred.store(now);
    }

    pub(crate) fn is_initiated_by(&self, node: NodeId) -> bool {
        self.initiator == node
    }

    pub(crate) fn is_proven(&self) -> bool {
        self.proven.load().is_some()
    }

    pub(crate) fn opened(&self) -> Instant {
        self.opened
    }

    /// When a packet last came, or was last sent in vain; else when it was opened.
    pub(crate) fn used(&self) -> Instant {
        let used = self.heard.load().max(self.unanswered.load());
        used.map_or(self.opened, |used| used.max(self.opened))
    }

    /// Whether something was sent and nothing at all has come since, for longer than is normal.
    pub(crate) fn is_stale(&self, now: Instant) -> bool {
        let sent = self.unanswered.load();
        sent.is_some_and(|sent| now - sent > STALE_AFTER) && self.may_be_stale()
    }

    /// Whether something was sent and nothing at all was seen to come since.
    pub(crate) fn may_be_stale(&self) -> bool {
        let sent = self.unanswered.load();
        sent.is_some_and(|sent| self.stirred.load().is_none_or(|stirred| stirred < sent))
    }

    /// Whether this connection is to be used rather than the other one, to the same peer.
    ///
    /// A connection that goes unanswered loses; one that is proven wins over one that is not. Of
    /// two that are both known to live, both ends prefer the one whose initiator has the smaller
    /// id, then the newer one. A peer that was restarted is told by this: its new connection is
    /// proven after the old one was last heard.
    pub(crate) fn outranks(&self, other: &Self, now: Instant) -> bool {
        let stale = (self.is_stale(now), other.is_stale(now));
        if stale.0 != stale.1 {
            return stale.1;
        }
        let preferred = (self.initiator, other.opened) < (other.initiator, self.opened);
        match (self.proven.load(), other.proven.load()) {
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => preferred,
            (Some(_), Some(proven)) if preferred => self.heard.load() >= Some(proven),
            (Some(proven), Some(_)) => other.heard.load() < Some(proven),
        }
    }

    /// Whether this connection has been heard since the other one was opened: then the other one,
    /// where it is outranked, is not needed.
    pub(crate) fn makes_needless(&self, other: &Self) -> bool {
        self.heard.load() >= Some(other.opened)
    }
}

/// A moment that several tasks note, or none yet.
#[derive(Debug, Default)]
struct AtomicInstant(AtomicU64);

impl AtomicInstant {
    fn load(&self) -> Option<Instant> {
        self.0
            .load(Ordering::Relaxed)
            .checked_sub(1)
            .map(Instant::from_micros)
    }

    fn store(&self, at: Instant) {
        self.0.store(at.as_micros() + 1, Ordering::Relaxed);
    }

    /// Stores, unless there is a moment already. True where it stored.
    fn store_first(&self, at: Instant) -> bool {
        let stored = at.as_micros() + 1;
        self.0
            .compare_exchange(0, stored, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: NodeId = NodeId(1);
    const LARGE: NodeId = NodeId(2);

    fn ms(millis: u64) -> Instant {
        Instant::from_micros(millis * 1000)
    }

    fn heard(initiator: NodeId, opened: u64, heard: &[u64]) -> Liveness {
        let liveness = Liveness::new(initiator, ms(opened));
        heard.iter().for_each(|at| liveness.hears(ms(*at)));
        liveness
    }

    /// Whether `winner` is used, whichever way it is asked.
    fn wins(winner: &Liveness, loser: &Liveness, now: u64) -> bool {
        let way = winner.outranks(loser, ms(now));
        assert_ne!(way, loser.outranks(winner, ms(now)), "one of two wins");
        way
    }

    #[test]
    fn of_two_that_live_both_ends_take_the_smaller_initiators() {
        let (a, b) = (heard(SMALL, 0, &[10, 30]), heard(LARGE, 1, &[20]));
        assert!(wins(&a, &b, 40));
        assert!(a.makes_needless(&b));
    }

    #[test]
    fn of_two_by_one_initiator_the_newer_wins() {
        let (old, new) = (heard(SMALL, 0, &[10, 300]), heard(SMALL, 100, &[200]));
        assert!(wins(&new, &old, 400));
        let unproven = (heard(SMALL, 0, &[]), heard(SMALL, 100, &[]));
        assert!(wins(&unproven.1, &unproven.0, 200));
    }

    #[test]
    fn what_is_proven_wins_over_what_is_not() {
        let (proven, unproven) = (heard(LARGE, 0, &[10]), heard(SMALL, 20, &[]));
        assert!(wins(&proven, &unproven, 30));
        assert!(!unproven.makes_needless(&proven));
    }

    #[test]
    fn a_restarted_peers_connection_takes_the_place_of_its_former_one() {
        // The old one would be preferred if it lived, but was last heard before the restart.
        let (old, new) = (heard(SMALL, 0, &[10, 500]), heard(LARGE, 1000, &[1010]));
        assert!(wins(&new, &old, 1020));
        old.hears(ms(1015));
        assert!(wins(&old, &new, 1020), "it lives after all");
    }

    #[test]
    fn what_goes_unanswered_loses_unless_acknowledgements_come() {
        let (preferred, other) = (heard(SMALL, 0, &[10]), heard(LARGE, 0, &[5]));
        assert!(preferred.sends(ms(100)), "the first one");
        assert!(!preferred.sends(ms(1000)) && preferred.may_be_stale());
        assert!(wins(&preferred, &other, 1600));
        assert!(
            wins(&other, &preferred, 1601),
            "silent since the first packet"
        );
        preferred.stirs(ms(900));
        assert!(!preferred.may_be_stale());
        assert!(wins(&preferred, &other, 1700));
        preferred.hears(ms(1800));
        assert_eq!(preferred.used(), ms(1800));
        assert!(!preferred.is_stale(ms(9000)));
    }
}
