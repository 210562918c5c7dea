//! Mates: the members of the past whom a node has not met since its start.
//!
//! A process that starts anew knows from its disk who was there. Nearly all of them it meets within a
//! moment. Those whom it does not are missing, and count as that from the start: one of a fleet that
//! is restarted alone is no majority. When nobody of the past has come for as long as a suspicion
//! may take, the rest are failed, as they would be for a process that had been there all the time:
//! a side of a partition that is restarted sees the partition, and what follows from it.
//!
//! Who is alone does not get so far. It is on no side; it looks for its cluster.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::name::NodeId;
use crate::time::Instant;

/// So many hosts are asked at a time: as many as may be knocked at within [`ANSWER`].
pub(crate) const ASKED_AT_ONCE: usize = 100;
/// So often, at the most: what was answered first is forgotten by then. Who is left has fallen silent.
const ROUNDS_MAX: usize = 25;
/// How long a host has to say that nothing listens there: it was no cut that took the member then.
const ANSWER: Duration = Duration::from_secs(1);

/// Who is remembered and was not met.
#[derive(Debug)]
pub(crate) struct Mates {
    ids: BTreeSet<NodeId>,
    /// When one of them was last met, or the search for them began.
    met: Instant,
    /// Since when their hosts are asked.
    asked: Option<Asking>,
}

#[derive(Clone, Copy, Debug)]
struct Asking {
    began: Instant,
    last: Instant,
    rounds: usize,
}

/// What is to be done about those who have not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing until then.
    Wait(Instant),
    /// The hosts of these are asked: [`ASKED_AT_ONCE`] of them, from this place in their order on.
    Ask {
        /// The place.
        from: usize,
    },
    /// They are failed; since when, and since when their hosts were asked.
    Over {
        /// When the last one came who came.
        since: Instant,
        /// When their hosts were asked.
        asked: Instant,
    },
}

impl Mates {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            ids: BTreeSet::new(),
            met: now,
            asked: None,
        }
    }

    pub(crate) fn remember(&mut self, id: NodeId) {
        self.ids.insert(id);
    }

    /// One of them is known to be there.
    pub(crate) fn meet(&mut self, id: NodeId, now: Instant) {
        if self.ids.remove(&id) {
            (self.met, self.asked) = (now, None);
        }
    }

    /// One of them is known to be gone, or elsewhere: nobody waits for it.
    pub(crate) fn strike(&mut self, id: NodeId) {
        self.ids.remove(&id);
    }

    pub(crate) fn clear(&mut self) {
        self.ids.clear();
    }

    /// For so long this node could not have met anybody.
    pub(crate) fn forgive(&mut self, time: Duration, now: Instant) {
        self.met = (self.met + time).min(now);
        self.asked = None;
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub(crate) fn contains(&self, id: NodeId) -> bool {
        self.ids.contains(&id)
    }

    /// In order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = NodeId> {
        self.ids.iter().copied()
    }

    /// What is to be done now. `patience`: how long they are waited for. `alone`: whether this node
    /// has met nobody at all.
    pub(crate) fn step(&mut self, patience: Duration, alone: bool, now: Instant) -> Step {
        if alone {
            (self.met, self.asked) = (now, None);
        }
        let due = self.met + patience;
        match self.asked {
            _ if now < due => Step::Wait(due),
            None => {
                self.asked = Some(Asking {
                    began: now,
                    last: now,
                    rounds: 1,
                });
                Step::Ask { from: 0 }
            }
            Some(asked) if now < asked.last + ANSWER => Step::Wait(asked.last + ANSWER),
            Some(Asking { began, rounds, .. })
                if rounds < ROUNDS_MAX && rounds * ASKED_AT_ONCE < self.ids.len() =>
            {
                self.asked = Some(Asking {
                    began,
                    last: now,
                    rounds: rounds + 1,
                });
                Step::Ask {
                    from: rounds * ASKED_AT_ONCE,
                }
            }
            Some(asked) => Step::Over {
                since: self.met,
                asked: asked.began,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(12);

    fn at(seconds: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(seconds)
    }

    fn three() -> Mates {
        let mut mates = Mates::new(at(0));
        (1..=3).for_each(|id| mates.remember(NodeId(id)));
        mates
    }

    #[test]
    fn they_are_waited_for_as_long_as_others_come_and_their_hosts_are_asked_first() {
        let mut mates = three();
        let step = |mates: &mut Mates, now| mates.step(PATIENCE, false, at(now));
        assert_eq!(step(&mut mates, 0), Step::Wait(at(12)));
        mates.meet(NodeId(1), at(5));
        // Who is met again, or was no mate, puts nothing off.
        mates.meet(NodeId(1), at(9));
        mates.strike(NodeId(2));
        assert_eq!(step(&mut mates, 12), Step::Wait(at(17)));
        assert_eq!(step(&mut mates, 17), Step::Ask { from: 0 });
        assert_eq!(step(&mut mates, 17), Step::Wait(at(18)));
        let over = Step::Over {
            since: at(5),
            asked: at(17),
        };
        assert_eq!(step(&mut mates, 18), over);
        assert_eq!(mates.iter().collect::<Vec<_>>(), [NodeId(3)]);
    }

    #[test]
    fn many_hosts_are_asked_in_turn() {
        let mut mates = Mates::new(at(0));
        (0..250).for_each(|id| mates.remember(NodeId(id)));
        for (round, from) in [0, 100, 200].into_iter().enumerate() {
            let now = 12 + round as u64;
            assert_eq!(mates.step(PATIENCE, false, at(now)), Step::Ask { from });
            assert_eq!(
                mates.step(PATIENCE, false, at(now)),
                Step::Wait(at(now + 1))
            );
        }
        let over = Step::Over {
            since: at(0),
            asked: at(12),
        };
        assert_eq!(mates.step(PATIENCE, false, at(15)), over);
    }

    #[test]
    fn one_that_comes_while_hosts_are_asked_begins_the_wait_anew() {
        let mut mates = three();
        assert_eq!(mates.step(PATIENCE, false, at(12)), Step::Ask { from: 0 });
        mates.meet(NodeId(2), at(12));
        assert_eq!(mates.step(PATIENCE, false, at(13)), Step::Wait(at(24)));
        assert_eq!(mates.step(PATIENCE, false, at(24)), Step::Ask { from: 0 });
    }

    #[test]
    fn who_is_alone_or_was_not_there_waits_on() {
        let mut mates = three();
        assert_eq!(mates.step(PATIENCE, true, at(60)), Step::Wait(at(72)));
        mates.forgive(Duration::from_secs(10), at(72));
        assert_eq!(mates.step(PATIENCE, false, at(72)), Step::Wait(at(82)));
        mates.forgive(Duration::from_secs(600), at(73));
        assert_eq!(mates.step(PATIENCE, false, at(73)), Step::Wait(at(85)));
    }
}
