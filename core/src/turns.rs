//! Turns: who probes whom when, so that no member goes unwatched for long.
//!
//! Eight observers that probe a member every eight seconds, each at its own pace, sometimes all
//! come together and then leave it alone for seconds. So the member itself hands out the turns:
//! its answer tells each observer when to come again, one probe interval after the last turn that
//! it gave away. One answer each puts the observers in an even row; one that died leaves a single
//! gap; and a member is probed once per interval, however many watch it.
//!
//! An observer takes an answer's word within bounds only: nobody can put off being probed.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::name::NodeId;
use crate::ring::OBSERVERS_MAX;
use crate::time::Instant;

/// The unit in which an answer says when to come again.
pub(crate) const TURN_UNIT: Duration = Duration::from_millis(100);
/// The longest a turn may be away, in probe intervals: twice the number of observers.
const TURNS_AHEAD_MAX: u32 = 2 * OBSERVERS_MAX as u32;

/// The turns that were handed out, and those that were given to this node.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// When to probe whom.
    due: BTreeMap<NodeId, Instant>,
    /// The last turn that was handed out.
    last: Instant,
}

impl Turns {
    /// For an observer that just probed this node: when to come again, in [`TURN_UNIT`]s.
    pub(crate) fn hand_out(&mut self, interval: Duration, now: Instant) -> u8 {
        let latest = now + interval * TURNS_AHEAD_MAX;
        self.last = (self.last.max(now) + interval).min(latest);
        let units = self.last.since(now).as_micros() / TURN_UNIT.as_micros();
        u8::try_from(units).unwrap_or(u8::MAX)
    }

    /// A subject said when to come again; 0 is no word about it.
    pub(crate) fn take(&mut self, subject: NodeId, units: u8, interval: Duration, now: Instant) {
        let pause = TURN_UNIT * u32::from(units);
        if let Some(due) = self.due.get_mut(&subject).filter(|_| units > 0) {
            *due = now + pause.clamp(interval / 2, interval * TURNS_AHEAD_MAX);
        }
    }

    /// Watches these and nobody else. Who is new gets a turn within `interval`.
    pub(crate) fn watch(
        &mut self,
        subjects: &[NodeId],
        interval: Duration,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) {
        self.due.retain(|id, _| subjects.contains(id));
        for &id in subjects {
            self.due
                .entry(id)
                .or_insert_with(|| now + interval.mul_f64(rng.f64()));
        }
    }

    /// Takes those whose turn has come. Until they answer, they are due again after as many
    /// intervals as this node watches members.
    pub(crate) fn take_due(&mut self, interval: Duration, now: Instant) -> Vec<NodeId> {
        let again = now + interval * u32::try_from(self.due.len()).unwrap_or(TURNS_AHEAD_MAX);
        let due = self.due.iter_mut().filter(|(_, due)| **due <= now);
        due.map(|(&id, due)| {
            *due = again;
            id
        })
        .collect()
    }

    /// The next turn.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.due.values().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(1);
    const SUBJECT: NodeId = NodeId(99);

    fn at(millis: u64) -> Instant {
        Instant::ORIGIN + Duration::from_millis(millis)
    }

    /// Lets `observers` probe one member for `rounds` turns; `silent` stops after 20 s. Returns
    /// when it was probed.
    fn probes(observers: usize, rounds: usize, silent: Option<usize>) -> Vec<Instant> {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut watched = Turns::default();
        let mut watchers: Vec<_> = (0..observers).map(|_| Turns::default()).collect();
        for watcher in &mut watchers {
            watcher.watch(&[SUBJECT], INTERVAL, at(0), &mut rng);
        }
        let mut probes = Vec::new();
        while probes.len() < rounds {
            let alive =
                |&(i, _): &(usize, Instant)| silent != Some(i) || probes.last() < Some(&at(20_000));
            let turns = watchers
                .iter()
                .enumerate()
                .map(|(i, w)| (i, w.next().unwrap()));
            let (i, now) = turns.filter(alive).min_by_key(|&(_, due)| due).unwrap();
            assert_eq!(watchers[i].take_due(INTERVAL, now), [SUBJECT]);
            let units = watched.hand_out(INTERVAL, now);
            watchers[i].take(SUBJECT, units, INTERVAL, now);
            probes.push(now);
        }
        probes
    }

    fn gaps(probes: &[Instant]) -> impl Iterator<Item = Duration> {
        probes.windows(2).map(|pair| pair[1] - pair[0])
    }

    #[test]
    fn after_one_answer_each_the_observers_come_in_an_even_row() {
        for observers in [1, 2, 5, 8] {
            let probes = probes(observers, 60, None);
            for gap in gaps(&probes[observers..]) {
                let off = gap.abs_diff(INTERVAL);
                assert!(off <= TURN_UNIT, "{observers} observers: {gap:?}");
            }
        }
    }

    #[test]
    fn an_observer_that_died_leaves_one_gap() {
        let probes = probes(8, 80, Some(3));
        let long = gaps(&probes[8..])
            .filter(|gap| *gap > INTERVAL + TURN_UNIT)
            .count();
        assert_eq!(long, 1);
        assert!(gaps(&probes[8..]).all(|gap| gap <= 2 * INTERVAL + TURN_UNIT));
    }

    #[test]
    fn nobody_can_put_off_being_probed() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut turns = Turns::default();
        turns.watch(&[SUBJECT], Duration::from_millis(100), at(0), &mut rng);
        turns.take(SUBJECT, u8::MAX, Duration::from_millis(100), at(0));
        assert!(turns.next().unwrap() <= at(1600));
        turns.take(SUBJECT, 1, INTERVAL, at(0));
        assert!(turns.next().unwrap() >= at(500));
    }

    #[test]
    fn who_is_watched_no_more_has_no_turn() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut turns = Turns::default();
        turns.watch(&[NodeId(1), NodeId(2)], INTERVAL, at(0), &mut rng);
        turns.watch(&[NodeId(2)], INTERVAL, at(0), &mut rng);
        assert_eq!(turns.take_due(INTERVAL, at(1000)), [NodeId(2)]);
        turns.take(NodeId(1), 3, INTERVAL, at(1000));
        assert_eq!(turns.next(), Some(at(2000)));
    }
}
