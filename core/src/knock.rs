//! Knocking: whether a silent member's host says that nothing listens at its port.
//!
//! A process that was killed and one behind a cut are silent alike. But the host of the first one
//! lives, and refuses what comes to the port that nobody holds any more (ICMP port unreachable).
//! That is other evidence than silence: it needs no time to see whether an answer still comes, and
//! it shows that the network carries. Anybody who sees the knock can forge the refusal, so it never
//! stands alone: it counts for a member that has left a probe or a trial unanswered.
//!
//! Hosts refuse in bounds: Linux answers six packets of one sender at once, and then one a second.
//! QUIC repeats what is not answered, and uses that up within a tenth of a second. So the knock
//! comes early, with the first packets to a member that does not answer, or before them; and whoever
//! carries it out repeats it for a second. Where several die at once, news of one that were sent to
//! another have used up what it refuses before the first knock.
//!
//! Source: Falcon (Leners et al., SOSP 2011) asks the layer below a process in the same spirit.

use std::collections::BTreeMap;
use std::time::Duration;

#[cfg(feature = "sim")]
use crate::engine::limits::Limit;
use crate::name::NodeId;
use crate::time::Instant;

/// The most knocks in [`WINDOW`]: what a small side asks that looks around at 50 members a second,
/// and as many trials. Members beyond are judged by their silence.
const KNOCKS_MAX: u32 = 100;
const WINDOW: Duration = Duration::from_secs(1);
/// The least time between two knocks at one port: what asks in between shares the answer.
const PAUSE: Duration = Duration::from_millis(200);
/// How long an answer is remembered. A probe or a trial takes less.
const AGE_MAX: Duration = Duration::from_secs(30);

/// How many knocks come together in that time, and until the next sweep.
#[cfg(feature = "sim")]
const REMEMBERED_MAX: usize = KNOCKS_MAX as usize * (AGE_MAX.as_secs() as usize + 3);

/// The knocks of late, and what came of them.
#[derive(Debug, Default)]
pub(crate) struct Knocks {
    at: BTreeMap<NodeId, Knock>,
    window: Instant,
    in_window: u32,
    /// When a refusal last made this node look at the others that it observes.
    looked: Option<Instant>,
}

#[derive(Debug)]
struct Knock {
    asked: Instant,
    refused: bool,
}

/// What asking for a knock comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Knock.
    Now,
    /// It was done a moment ago.
    Already,
    /// There were too many of late.
    TooMany,
}

impl Knocks {
    /// Somebody is silent.
    pub(crate) fn ask(&mut self, id: NodeId, now: Instant) -> Asked {
        let held = self.at.get(&id);
        if held.is_some_and(|knock| now.since(knock.asked) < PAUSE) {
            return Asked::Already;
        }
        if now.since(self.window) >= WINDOW {
            (self.window, self.in_window) = (now, 0);
        }
        if self.in_window >= KNOCKS_MAX {
            return Asked::TooMany;
        }
        self.in_window += 1;
        let asked = Knock {
            asked: now,
            refused: false,
        };
        self.at.insert(id, asked);
        Asked::Now
    }

    /// The host refused. False where nobody asked it.
    pub(crate) fn refuse(&mut self, id: NodeId) -> bool {
        let knock = self.at.get_mut(&id);
        knock.is_some_and(|knock| !std::mem::replace(&mut knock.refused, true))
    }

    /// Whether the latest knock was refused, asked since a moment, or so shortly before that none
    /// was asked then.
    pub(crate) fn is_refused(&self, id: NodeId, since: Instant) -> bool {
        let knock = self.at.get(&id);
        knock.is_some_and(|knock| knock.refused && knock.asked + PAUSE > since)
    }

    /// Whether a refusal is reason to look at others: once in `interval`, whoever forges refusals.
    pub(crate) fn may_look_beside(&mut self, interval: Duration, now: Instant) -> bool {
        let may = self.looked.is_none_or(|at| now.since(at) >= interval);
        if may {
            self.looked = Some(now);
        }
        may
    }

    /// The member lives, or is gone: what was refused says nothing about it any more.
    pub(crate) fn forget(&mut self, id: NodeId) {
        self.at.remove(&id);
    }

    pub(crate) fn sweep(&mut self, now: Instant) {
        self.at.retain(|_, knock| now.since(knock.asked) < AGE_MAX);
    }

    #[cfg(feature = "sim")]
    pub(crate) fn limit(&self) -> Limit {
        ("knocks", self.at.len(), REMEMBERED_MAX)
    }

    pub(crate) fn clear(&mut self) {
        self.at.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId(1);

    fn at(millis: u64) -> Instant {
        Instant::from_micros(10_000_000 + millis * 1000)
    }

    #[test]
    fn whoever_forges_refusals_makes_it_look_at_others_once_in_an_interval() {
        let mut knocks = Knocks::default();
        let interval = Duration::from_secs(1);
        let looks = (0..30).filter(|tenth| knocks.may_look_beside(interval, at(tenth * 100)));
        assert_eq!(looks.collect::<Vec<_>>(), [0, 10, 20]);
    }

    #[test]
    fn one_knock_answers_all_who_ask_within_a_moment() {
        let mut knocks = Knocks::default();
        assert_eq!(knocks.ask(A, at(0)), Asked::Now);
        assert_eq!(knocks.ask(A, at(100)), Asked::Already);
        assert!(!knocks.is_refused(A, at(100)));
        assert!(knocks.refuse(A));
        assert!(knocks.is_refused(A, at(0)) && knocks.is_refused(A, at(100)));
        assert!(!knocks.is_refused(A, at(300)), "that was before");
        assert_eq!(knocks.ask(A, at(300)), Asked::Now);
        assert!(!knocks.is_refused(A, at(300)), "the port may be held again");
    }

    #[test]
    fn what_nobody_asked_for_is_no_refusal() {
        let mut knocks = Knocks::default();
        assert!(!knocks.refuse(A));
        assert!(!knocks.is_refused(A, at(0)));
        knocks.ask(A, at(0));
        knocks.forget(A);
        assert!(!knocks.refuse(A));
    }

    #[test]
    fn knocks_are_bounded_in_a_second_and_in_all() {
        let mut knocks = Knocks::default();
        let now = |ids: std::ops::Range<u64>, knocks: &mut Knocks, at| {
            let asked = ids.filter(|&id| knocks.ask(NodeId(id), at) == Asked::Now);
            u32::try_from(asked.count()).unwrap()
        };
        assert_eq!(now(0..300, &mut knocks, at(0)), KNOCKS_MAX);
        assert_eq!(now(300..600, &mut knocks, at(999)), 0);
        assert_eq!(now(300..600, &mut knocks, at(1000)), KNOCKS_MAX);
        knocks.sweep(at(40_000));
        assert!(knocks.at.is_empty());
    }
}
