//! The queue of rumors: at most one about each member, found by member, by turn and by age.
//!
//! A storm fills it with thousands, so whatever one rumor does (it comes, comes again, is sent, has
//! to go) costs a few steps in a tree, however many wait. Only the end of a slow tick, and an
//! agreement, pass over all of them.

use std::collections::BTreeMap;

use crate::message::Rumor;
use crate::name::NodeId;
use crate::roster::ById;

/// The most ticks that a rumor stays, even if every peer was skipped.
pub(super) const TICKS_MAX: u8 = 15;

/// A rumor that waits to be sent (again).
#[derive(Debug)]
struct Queued {
    rumor: Rumor,
    from: Option<NodeId>,
    /// How urgent it is: smaller first.
    urgency: u8,
    /// Its number, in the order of arrival.
    arrival: u64,
    fresh: bool,
    /// Whether the fingerprint tells that a peer knows it.
    covered: bool,
    /// How often it was repeated, here or by others to this node.
    sent: u8,
    ticks: u8,
}

/// The rumors of a node.
#[derive(Debug)]
pub(super) struct Queue {
    rumors: ById<Queued>,
    order: Order,
    arrivals: u64,
    retransmits_max: u8,
}

impl Queue {
    pub(super) fn new(retransmits_max: u8) -> Self {
        Self {
            rumors: ById::default(),
            order: Order::default(),
            arrivals: 0,
            retransmits_max,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rumors.len()
    }

    pub(super) fn has_fresh(&self) -> bool {
        let first = self.order.turns.first_key_value();
        first.is_some_and(|(turn, _)| *turn < Turn::FIRST_DUE)
    }

    /// How urgent what is fresh is, the most urgent first.
    pub(super) fn fresh_urgencies(&self) -> impl Iterator<Item = u8> {
        let fresh = self.order.turns.range(..Turn::FIRST_DUE);
        fresh.filter_map(|(_, id)| Some(self.rumors.get(id)?.urgency))
    }

    /// Puts a rumor at the end, in place of an older one about the same member.
    pub(super) fn push(&mut self, rumor: Rumor, from: Option<NodeId>, urgency: u8, covered: bool) {
        let id = rumor.id();
        self.arrivals += 1;
        let queued = Queued {
            rumor,
            from,
            urgency,
            arrival: self.arrivals,
            fresh: true,
            covered,
            sent: 0,
            ticks: 0,
        };
        self.order.enter(id, queued.place(self.retransmits_max));
        if let Some(older) = self.rumors.insert(id, queued) {
            self.order.leave(older.place(self.retransmits_max));
        }
    }

    /// Drops the one that matters least: of the least urgent, the oldest.
    pub(super) fn drop_least(&mut self) {
        let least = self.order.ages.pop_first();
        if let Some(queued) = least.and_then(|(_, id)| self.rumors.swap_remove(&id)) {
            self.order.step_out(queued.place(self.retransmits_max));
        }
    }

    /// This very fact was repeated by somebody else.
    pub(super) fn count_heard(&mut self, rumor: &Rumor) {
        self.change_fact(rumor, |queued| queued.sent = queued.sent.saturating_add(1));
    }

    /// The fingerprint tells of this very fact by now.
    pub(super) fn cover(&mut self, rumor: &Rumor) {
        self.change_fact(rumor, |queued| queued.covered = true);
    }

    /// Takes what is fresh, the most urgent first, then the oldest, so many at the most: each with
    /// the peer that it came from, and how often it was heard again since.
    pub(super) fn take_fresh(&mut self, max: usize) -> Vec<(Rumor, Option<NodeId>, u8)> {
        let fresh = self.order.turns.range(..Turn::FIRST_DUE).take(max);
        let fresh: Vec<_> = fresh.map(|(_, &id)| id).collect();
        let taken = fresh.into_iter().filter_map(|id| {
            let queued = self.change(id, |queued| queued.fresh = false)?;
            Some((queued.rumor.clone(), queued.from, queued.sent))
        });
        taken.collect()
    }

    /// Takes what is to be repeated, the most urgent and least sent first, then the oldest, as long
    /// as `fits` takes more. `uncovered`: only that of which the fingerprint does not tell.
    pub(super) fn take_due(
        &mut self,
        uncovered: bool,
        mut fits: impl FnMut(&Rumor) -> bool,
    ) -> Vec<Rumor> {
        let order = &self.order;
        let line = if uncovered {
            &order.uncovered
        } else {
            &order.turns
        };
        let due = line.range(Turn::FIRST_DUE..).map(|(_, &id)| id);
        let due: Vec<_> = due.take_while(|id| fits(&self.rumors[id].rumor)).collect();
        let taken = due.into_iter().filter_map(|id| {
            let queued = self.change(id, |queued| queued.sent += 1)?;
            Some(queued.rumor.clone())
        });
        taken.collect()
    }

    /// A slow tick is over: what was sent often enough, or stayed long enough, goes.
    pub(super) fn end_tick(&mut self) {
        let retransmits_max = self.retransmits_max;
        self.retain(|queued| {
            queued.ticks = queued.ticks.saturating_add(u8::from(!queued.fresh));
            queued.fresh || (queued.sent < retransmits_max && queued.ticks < TICKS_MAX)
        });
    }

    /// What was sent, and is covered, goes.
    pub(super) fn drop_covered(&mut self) {
        self.retain(|queued| queued.fresh || !queued.covered);
    }

    pub(super) fn clear(&mut self) {
        self.rumors.clear();
        self.order = Order::default();
    }

    fn change_fact(&mut self, rumor: &Rumor, change: impl FnOnce(&mut Queued)) {
        let id = rumor.id();
        let same = |queued: &Queued| queued.rumor.standing() == rumor.standing();
        if self.rumors.get(&id).is_some_and(same) {
            self.change(id, change);
        }
    }

    fn change(&mut self, id: NodeId, change: impl FnOnce(&mut Queued)) -> Option<&Queued> {
        let queued = self.rumors.get_mut(&id)?;
        let was = queued.place(self.retransmits_max);
        change(queued);
        self.order
            .replace(id, was, queued.place(self.retransmits_max));
        Some(queued)
    }

    fn retain(&mut self, mut keep: impl FnMut(&mut Queued) -> bool) {
        let (order, retransmits_max) = (&mut self.order, self.retransmits_max);
        self.rumors.retain(|_, queued| {
            let kept = keep(queued);
            if !kept {
                order.leave(queued.place(retransmits_max));
            }
            kept
        });
    }
}

/// When it is whose turn, as one number, which trees compare fast: what is fresh before what is to be
/// repeated, then the most urgent, the least sent, the oldest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn(u64);

impl Turn {
    /// So many rumors come in nine thousand years, at a thousand a second.
    const ARRIVAL_BITS: u32 = 48;
    const SENT_BITS: u32 = 8;
    const FIRST_DUE: Self = Self(1 << 63);

    fn fresh(urgency: u8, arrival: u64) -> Self {
        Self(u64::from(urgency) << (Self::ARRIVAL_BITS + Self::SENT_BITS) | arrival)
    }

    fn due(urgency: u8, sent: u8, arrival: u64) -> Self {
        let sent = u64::from(sent) << Self::ARRIVAL_BITS;
        Self(Self::FIRST_DUE.0 | Self::fresh(urgency, arrival).0 | sent)
    }
}

/// Who is to go before whom: the less urgent, then the older.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Age(u64);

impl Age {
    fn new(urgency: u8, arrival: u64) -> Self {
        Self(u64::from(u8::MAX - urgency) << Turn::ARRIVAL_BITS | arrival)
    }
}

/// Where a rumor stands in the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// None where it was sent often enough.
    turn: Option<Turn>,
    covered: bool,
    age: Age,
}

impl Queued {
    fn place(&self, retransmits_max: u8) -> Place {
        let (urgency, sent, arrival) = (self.urgency, self.sent, self.arrival);
        let turn = match self.fresh {
            true => Some(Turn::fresh(urgency, arrival)),
            false if sent < retransmits_max => Some(Turn::due(urgency, sent, arrival)),
            false => None,
        };
        Place {
            turn,
            covered: self.covered,
            age: Age::new(urgency, arrival),
        }
    }
}

/// The ids of the queue in the orders in which they are taken. No two have the same number.
#[derive(Debug, Default)]
struct Order {
    turns: BTreeMap<Turn, NodeId>,
    /// The part of it that no fingerprint covers.
    uncovered: BTreeMap<Turn, NodeId>,
    ages: BTreeMap<Age, NodeId>,
}

impl Order {
    fn enter(&mut self, id: NodeId, place: Place) {
        self.ages.insert(place.age, id);
        self.line_up(id, place);
    }

    fn leave(&mut self, place: Place) {
        self.ages.remove(&place.age);
        self.step_out(place);
    }

    /// Its age stays the same.
    fn replace(&mut self, id: NodeId, was: Place, is: Place) {
        if was != is {
            self.step_out(was);
            self.line_up(id, is);
        }
    }

    fn line_up(&mut self, id: NodeId, place: Place) {
        if let Some(turn) = place.turn {
            self.turns.insert(turn, id);
            if !place.covered {
                self.uncovered.insert(turn, id);
            }
        }
    }

    fn step_out(&mut self, place: Place) {
        if let Some(turn) = place.turn {
            self.turns.remove(&turn);
            if !place.covered {
                self.uncovered.remove(&turn);
            }
        }
    }
}
