//! The line of ids: all that is known, in the order of ids, with sums of its parts.
//!
//! Two rosters that compare ask each other for the sums of ranges, over and over while many facts
//! travel. So the sums of the 256 parts of the line are kept up with every change, and the ids in
//! each part are in order: a range costs its parts, or the few ids in it, and never a pass over all
//! members. It costs some ten bytes a member.

use crate::member::Standing;
use crate::message::Range;
use crate::name::NodeId;

/// A part is the ids that share so many bits, from the top.
const PART_BITS: u8 = 8;
/// A part that is full makes room for this share of its ids, one in so many, and for this many.
const ROOM_DIVISOR: usize = 8;
const ROOM_MIN: usize = 4;

/// The ids of all that is known, and the sums of what is compared.
#[derive(Clone, Debug)]
pub(super) struct Line {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, Default)]
struct Part {
    ids: Vec<NodeId>,
    failed: u32,
    count: u32,
    sum: u64,
}

/// What the line shows of one id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// Whether there is something.
    pub(super) is_known: bool,
    /// Whether it is a failed member.
    pub(super) is_failed: bool,
    /// The fact that takes part in comparisons.
    pub(super) compared: Option<Standing>,
}

impl Line {
    pub(super) fn new() -> Self {
        let parts = vec![Part::default(); 1 << PART_BITS];
        Self { parts }
    }

    /// What is known of an id has changed.
    pub(super) fn replace(&mut self, id: NodeId, was: Entry, is: Entry) {
        if was == is {
            return;
        }
        let part = &mut self.parts[part_of(id)];
        part.failed -= u32::from(was.is_failed);
        part.failed += u32::from(is.is_failed);
        if let Some(fact) = was.compared {
            part.count -= 1;
            part.sum = part.sum.wrapping_sub(fact.digest(id));
        }
        if let Some(fact) = is.compared {
            part.count += 1;
            part.sum = part.sum.wrapping_add(fact.digest(id));
        }
        match (was.is_known, is.is_known) {
            (false, true) => part.insert(id),
            (true, false) => part.remove(id),
            _ => {}
        }
    }

    /// How many ids are known.
    #[cfg(feature = "sim")]
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.ids.len()).sum()
    }

    /// How much is compared in a range, and its sum, where the range is made of whole parts.
    pub(super) fn sums(&self, range: Range) -> Option<(u32, u64)> {
        let is_whole =
            range.bits <= PART_BITS && range.first().0 == first_of(part_of(range.first()));
        let parts = &self.parts[part_of(range.first())..=part_of(range.last())];
        let add = |(count, sum): (u32, u64), part: &Part| {
            (count + part.count, sum.wrapping_add(part.sum))
        };
        is_whole.then(|| parts.iter().fold((0, 0), add))
    }

    /// The known ids of a range, in order.
    pub(super) fn ids(&self, range: Range) -> impl Iterator<Item = NodeId> {
        let (first, last) = (range.first(), range.last());
        let parts = &self.parts[part_of(first)..=part_of(last)];
        let held = parts.iter().flat_map(move |part| part.between(first, last));
        held.copied()
    }

    /// The part, by its ids, in which the failed member of this number is, counted in the order of
    /// ids, and its number among those of the part.
    pub(super) fn part_of_failed(&self, number: usize) -> Option<(&[NodeId], usize)> {
        let mut before = 0;
        for part in &self.parts {
            let failed = part.failed as usize;
            if number < before + failed {
                return Some((&part.ids, number - before));
            }
            before += failed;
        }
        None
    }
}

impl Part {
    fn insert(&mut self, id: NodeId) {
        if self.ids.len() == self.ids.capacity() {
            let room = ROOM_MIN.max(self.ids.len() / ROOM_DIVISOR);
            self.ids.reserve_exact(room);
        }
        let at = self.ids.partition_point(|held| *held < id);
        self.ids.insert(at, id);
    }

    fn remove(&mut self, id: NodeId) {
        let at = self.ids.binary_search(&id);
        self.ids
            .remove(at.expect("id is on the line: it was known"));
    }

    fn between(&self, first: NodeId, last: NodeId) -> &[NodeId] {
        let start = self.ids.partition_point(|id| *id < first);
        let end = self.ids.partition_point(|id| *id <= last);
        &self.ids[start..end]
    }
}

fn part_of(id: NodeId) -> usize {
    (id.0 >> (64 - PART_BITS)) as usize
}

fn first_of(part: usize) -> u64 {
    (part as u64) << (64 - PART_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::tests::life;

    fn shown(incarnation: u64) -> Entry {
        Entry {
            is_known: true,
            is_failed: false,
            compared: Some(Standing::alive(life(1, incarnation))),
        }
    }

    fn failed() -> Entry {
        Entry {
            is_failed: true,
            compared: None,
            ..shown(1)
        }
    }

    const ALL: Range = Range { prefix: 0, bits: 0 };

    #[test]
    fn ids_come_in_order_and_sums_follow_every_change() {
        let mut line = Line::new();
        let ids: Vec<_> = (0..1000_u64)
            .map(|n| NodeId(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
            .collect();
        for &id in &ids {
            line.replace(id, Entry::default(), shown(1));
        }
        assert!(line.ids(ALL).is_sorted());
        assert_eq!(line.ids(ALL).count(), 1000);
        let sum = |at| {
            let facts = ids
                .iter()
                .map(|id| Standing::alive(life(1, at)).digest(*id));
            facts.fold(0, u64::wrapping_add)
        };
        assert_eq!(line.sums(ALL), Some((1000, sum(1))));
        for &id in &ids {
            line.replace(id, shown(1), shown(2));
        }
        assert_eq!(line.sums(ALL), Some((1000, sum(2))));
        for &id in &ids {
            line.replace(id, shown(2), Entry::default());
        }
        assert_eq!((line.sums(ALL), line.ids(ALL).count()), (Some((0, 0)), 0));
    }

    #[test]
    fn a_range_that_is_not_made_of_whole_parts_has_no_sum_kept() {
        let line = Line::new();
        let range = |prefix, bits| Range { prefix, bits };
        assert_eq!(line.sums(range(0x1200 << 48, 8)), Some((0, 0)));
        assert_eq!(line.sums(range(0x1230 << 48, 12)), None);
        assert_eq!(line.sums(range(1, 4)), None);
    }

    #[test]
    fn the_failed_are_found_by_their_number() {
        let mut line = Line::new();
        let ids = [1, 5, 0x1234 << 48, u64::MAX].map(NodeId);
        for id in ids {
            line.replace(id, Entry::default(), failed());
        }
        line.replace(NodeId(3), Entry::default(), shown(1));
        let number = |n| line.part_of_failed(n).map(|(part, n)| (part.len(), n));
        assert_eq!(number(0), Some((3, 0)));
        assert_eq!(number(1), Some((3, 1)));
        assert_eq!(number(2), Some((1, 0)));
        assert_eq!(number(3), Some((1, 0)));
        assert_eq!(number(4), None);
    }
}
