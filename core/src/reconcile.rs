//! Finding what two nodes hold differently without naming what they hold alike.
//!
//! Intuition: two people with the same thick book compare the sums of its chapters. Equal sums:
//! skip the chapter. Different ones: compare the sums of its pages; and once a page has a few lines
//! only, read them out. What crosses is proportional to the difference and not to the book.
//!
//! ```text
//!   A ── Compare: my hashes of 16 ranges ──▶ B
//!   A ◀── Compare: my hashes of the parts of those that differ
//!         Summaries: all I hold in those that are small ── B
//!   …each answers so, until nothing large differs; for Summaries:
//!   A ── Records: what I hold later; Want: what you hold later ──▶ B ── Records ──▶ A
//! ```
//!
//! Rules: facts lie on the line of ids, and a range is a prefix of bits. A range that differs is
//! listed when this node holds few facts in it; handed back with this node's own hash when the
//! other holds few (it will list it, and is sent the rest unasked); else cut into 16. So a question
//! has at most 16 cuts (4, 8, … 64 bits), whoever names the ids.
//!
//! Nothing here has a memory: each answer follows from what is held now and from the other's last
//! message, so either side may change, restart or forget in between. Answers are bounded: what does
//! not fit is left out from the end of the line, and as everything before it has come to be equal,
//! the next comparison begins where this one stopped. Ranges that overlap an earlier one of their
//! message, or are out of order, are ignored, so that answering costs one pass over the facts at the most; what keeps the sums of
//! ranges ([`Facts`]) answers at the price of the difference.
//!
//! Source: range-based set reconciliation (Meyer 2023), over hashed ids and with lattice facts
//! instead of opaque items.

use crate::codec::{ITEMS_MAX, RANGES_MAX, RECORDS_MAX, WANT_MAX};
use crate::member::Standing;
use crate::message::{Compare, Range, RangeHash, Summaries};
use crate::name::NodeId;

/// How many facts are listed sooner than cut further: as many as cost about the bytes of the 16
/// hashes that they would be cut into.
pub const LISTED_MAX: usize = 8;
const CUT_BITS: u8 = 4;

/// What [`answer_compare`] has to say. All three may be empty: then nothing differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompareAnswer {
    /// For the next [`Compare`]: this node's hashes of ranges that need a closer look.
    pub compare: Vec<RangeHash>,
    /// For a [`Summaries`]: the small ranges.
    pub ranges: Vec<Range>,
    /// For the same: all that this node holds in them.
    pub items: Vec<(NodeId, Standing)>,
}

/// What [`answer_summaries`] finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SummariesAnswer {
    /// What this node holds later, or alone: to be sent.
    pub send: Vec<NodeId>,
    /// What the other holds later, or alone: to be asked for.
    pub want: Vec<NodeId>,
}

/// The facts that a node compares.
pub trait Facts {
    /// How many there are in a range, and their sum.
    fn hash(&self, range: Range) -> RangeHash;

    /// Those in a range, sorted by id, each id once.
    fn within(&self, range: Range) -> Vec<(NodeId, Standing)>;
}

/// A list that is sorted by id, each id once.
impl Facts for [(NodeId, Standing)] {
    fn hash(&self, range: Range) -> RangeHash {
        hash(within(self, range), range)
    }

    fn within(&self, range: Range) -> Vec<(NodeId, Standing)> {
        within(self, range).to_vec()
    }
}

/// The question that begins a comparison: the hashes of the 16 top ranges.
pub fn opening(facts: &(impl Facts + ?Sized)) -> Vec<RangeHash> {
    cut(Range { prefix: 0, bits: 0 })
        .map(|range| facts.hash(range))
        .collect()
}

/// The answer to a [`Compare`] by a node that holds these facts.
pub fn answer_compare(facts: &(impl Facts + ?Sized), question: &Compare) -> CompareAnswer {
    let mut answer = CompareAnswer::default();
    for theirs in disjoint(&question.ranges, |hash| hash.range) {
        let mine = facts.hash(theirs.range);
        if mine != *theirs && !answer.take(facts, mine, theirs.count) {
            break;
        }
    }
    answer
}

/// The answer to a [`Summaries`] by a node that holds these facts.
pub fn answer_summaries(facts: &(impl Facts + ?Sized), summaries: &Summaries) -> SummariesAnswer {
    let mut listed = summaries.items.clone();
    listed.sort_unstable_by(|a, b| b.cmp(a));
    listed.dedup_by_key(|(id, _)| *id);
    listed.reverse();
    let mut answer = SummariesAnswer::default();
    for &range in disjoint(&summaries.ranges, |range| *range) {
        let (mine, theirs) = (facts.within(range), within(&listed, range));
        answer.send.extend(later(&mine, theirs));
        answer.want.extend(later(theirs, &mine));
    }
    answer.send.truncate(RECORDS_MAX);
    answer.want.truncate(WANT_MAX);
    answer
}

impl CompareAnswer {
    /// Answers for one range that differs; `false` when the answer is full.
    fn take(&mut self, facts: &(impl Facts + ?Sized), mine: RangeHash, theirs: u32) -> bool {
        if mine.count as usize <= LISTED_MAX || mine.range.bits == 64 {
            self.ranges.push(mine.range);
            self.items.extend(facts.within(mine.range));
        } else if theirs as usize <= LISTED_MAX {
            self.compare.push(mine);
        } else {
            self.compare
                .extend(cut(mine.range).map(|part| facts.hash(part)));
        }
        self.has_room()
    }

    /// Whether one more range fits, however it is answered.
    fn has_room(&self) -> bool {
        self.compare.len() + (1 << CUT_BITS) <= RANGES_MAX
            && self.ranges.len() < RANGES_MAX
            && self.items.len() + LISTED_MAX <= ITEMS_MAX
    }
}

impl Range {
    /// The smallest id in it.
    pub(crate) fn first(self) -> NodeId {
        NodeId(self.prefix)
    }

    /// The largest id in it.
    pub(crate) fn last(self) -> NodeId {
        NodeId(self.prefix | u64::MAX.checked_shr(self.bits.into()).unwrap_or(0))
    }
}

/// The parts of a range, in order: 16, fewer where fewer than four bits are left.
fn cut(range: Range) -> impl Iterator<Item = Range> {
    let bits = (range.bits + CUT_BITS).min(64);
    let parts = 1u64 << (bits - range.bits);
    (0..parts).map(move |part| Range {
        prefix: range.prefix | part << (64 - bits),
        bits,
    })
}

/// The facts of a range.
fn within(items: &[(NodeId, Standing)], range: Range) -> &[(NodeId, Standing)] {
    let start = items.partition_point(|(id, _)| *id < range.first());
    let end = items.partition_point(|(id, _)| *id <= range.last());
    &items[start..end]
}

/// The share in a range of one who holds these facts in it.
pub(crate) fn hash(held: &[(NodeId, Standing)], range: Range) -> RangeHash {
    let sum = held
        .iter()
        .fold(0u64, |sum, (id, fact)| sum.wrapping_add(fact.digest(*id)));
    let count = u32::try_from(held.len()).expect("fewer members than members_max");
    RangeHash { range, count, sum }
}

/// The ids of which `ours` has a later fact than `others`, or the only one.
fn later(
    ours: &[(NodeId, Standing)],
    others: &[(NodeId, Standing)],
) -> impl Iterator<Item = NodeId> {
    let held = move |id| -> Option<Standing> {
        let at = others.binary_search_by_key(&id, |(other, _)| *other).ok()?;
        Some(others[at].1)
    };
    let news = move |(id, fact): &&(NodeId, Standing)| held(*id).is_none_or(|other| other < *fact);
    ours.iter().filter(news).map(|(id, _)| *id)
}

/// The ranges that begin after the end of the one before.
fn disjoint<T>(ranges: &[T], range: impl Fn(&T) -> Range) -> impl Iterator<Item = &T> {
    let mut end = None;
    ranges.iter().filter(move |candidate| {
        let range = range(candidate);
        let follows = end.is_none_or(|end| range.first() > end);
        if follows {
            end = Some(range.last());
        }
        follows
    })
}
