//! What is to happen, in the order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::time::Instant;

/// Happenings by time; of two at one time, the one that was scheduled first comes first.
#[derive(Debug)]
pub(super) struct Queue<H> {
    order: BinaryHeap<Reverse<(Instant, u64, usize)>>,
    /// The happenings themselves: the heap moves small keys only.
    slots: Vec<Option<H>>,
    free: Vec<usize>,
    scheduled: u64,
}

impl<H> Default for Queue<H> {
    fn default() -> Self {
        Self {
            order: BinaryHeap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            scheduled: 0,
        }
    }
}

impl<H> Queue<H> {
    pub(super) fn schedule(&mut self, at: Instant, what: H) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(what);
        self.scheduled += 1;
        self.order.push(Reverse((at, self.scheduled, slot)));
    }

    /// When the next one happens.
    pub(super) fn next(&self) -> Option<Instant> {
        self.order.peek().map(|Reverse((at, ..))| *at)
    }

    pub(super) fn pop(&mut self) -> Option<(Instant, H)> {
        let Reverse((at, _, slot)) = self.order.pop()?;
        let what = self.slots[slot]
            .take()
            .expect("a slot is filled until its time has come");
        self.free.push(slot);
        Some((at, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn happenings_come_by_time_and_then_by_order_of_scheduling() {
        let mut queue = Queue::default();
        let at = Instant::from_micros;
        queue.schedule(at(5), 'b');
        queue.schedule(at(5), 'c');
        queue.schedule(at(1), 'a');
        assert_eq!(queue.next(), Some(at(1)));
        assert_eq!(queue.pop(), Some((at(1), 'a')));
        queue.schedule(at(5), 'd');
        let rest: String = std::iter::from_fn(|| queue.pop().map(|(_, what)| what)).collect();
        assert_eq!(rest, "bcd");
    }
}
