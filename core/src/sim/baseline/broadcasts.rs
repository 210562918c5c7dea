//! What is to be told to everyone: the broadcasts that ride on pings, answers and gossip.
//!
//! A broadcast is sent a bounded number of times and then dropped. Those that were sent least often
//! go first, of these the longest that still fit, of these the newest. A newer one about a member
//! takes the place of an older one about it, so there is one a member at the most.
//!
//! Source: SWIM §4.1 (piggybacking, preference for what was sent less), memberlist's
//! transmit-limited queue.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::name::NodeId;

use super::members::ById;
use super::message::{COMPOUND_PART_BYTES, Message};

/// Times sent, length, number: the order of sending.
type Rank = (u32, Reverse<usize>, Reverse<u64>);

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Broadcasts {
    queue: BTreeMap<Rank, (NodeId, Message)>,
    ranks: ById<Rank>,
    last: u64,
}

impl Broadcasts {
    /// Queues news about a member, in place of older news about it.
    pub(super) fn push(&mut self, about: NodeId, message: Message) {
        self.last += 1;
        let rank = (0, Reverse(message.bytes()), Reverse(self.last));
        if let Some(older) = self.ranks.insert(about, rank) {
            self.queue.remove(&older);
        }
        self.queue.insert(rank, (about, message));
    }

    /// Takes what fits into `room` bytes, framing included. What has now been sent `transmits_max`
    /// times is dropped.
    pub(super) fn take(&mut self, transmits_max: u32, room: usize) -> Vec<Message> {
        let mut taken = Vec::new();
        let mut used = 0;
        let mut tier = 0;
        while let Some(free) = room.checked_sub(used + COMPOUND_PART_BYTES) {
            let fits = (tier, Reverse(free), Reverse(u64::MAX));
            let Some((&rank, _)) = self.queue.range(fits..).next() else {
                break;
            };
            if rank.0 > tier {
                // Nothing of this tier fits. Start the next one with the longest that fits.
                tier = rank.0;
                continue;
            }
            let (about, message) = self.queue.remove(&rank).expect("just found");
            used += COMPOUND_PART_BYTES + rank.1.0;
            taken.push((rank, about, message));
        }
        let mut messages = Vec::with_capacity(taken.len());
        for ((sent, length, number), about, message) in taken {
            if sent + 1 < transmits_max {
                let rank = (sent + 1, length, number);
                self.ranks.insert(about, rank);
                self.queue.insert(rank, (about, message.clone()));
            } else {
                self.ranks.remove(&about);
            }
            messages.push(message);
        }
        messages
    }

    /// Whether news about a member are still to be sent.
    pub(super) fn contains(&self, about: NodeId) -> bool {
        self.ranks.contains_key(&about)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::Claim;
    use super::*;
    use crate::name::NodeName;

    const ROOM: usize = 1400;

    fn name(number: u64) -> NodeName {
        format!("n{number}@h").parse().unwrap()
    }

    fn news(number: u64, incarnation: u32) -> (NodeId, Message) {
        let claim = Claim {
            node: name(number),
            incarnation,
            by: name(0),
        };
        (claim.node.id(), Message::Suspect(claim))
    }

    fn push(queue: &mut Broadcasts, number: u64, incarnation: u32) {
        let (about, message) = news(number, incarnation);
        queue.push(about, message);
    }

    /// Which member and incarnation a message is about.
    fn subject(message: &Message) -> (NodeName, u32) {
        match message {
            Message::Suspect(claim) => (claim.node.clone(), claim.incarnation),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn newer_news_about_a_member_invalidate_older_ones() {
        let mut queue = Broadcasts::default();
        push(&mut queue, 1, 1);
        queue.take(12, ROOM);
        push(&mut queue, 1, 2);
        assert_eq!(queue.len(), 1);
        let messages = queue.take(12, ROOM);
        assert_eq!(
            messages.iter().map(subject).collect::<Vec<_>>(),
            [(name(1), 2)]
        );
    }

    #[test]
    fn a_broadcast_is_dropped_after_its_last_transmission() {
        let mut queue = Broadcasts::default();
        push(&mut queue, 1, 1);
        for _ in 0..4 {
            assert!(queue.contains(name(1).id()));
            assert_eq!(queue.take(4, ROOM).len(), 1);
        }
        assert_eq!(queue.len(), 0);
        assert!(queue.take(4, ROOM).is_empty());
    }

    #[test]
    fn what_was_sent_least_goes_first_and_then_what_is_new() {
        let mut queue = Broadcasts::default();
        push(&mut queue, 1, 1);
        queue.take(12, ROOM);
        push(&mut queue, 2, 1);
        push(&mut queue, 3, 1);
        let order: Vec<_> = queue.take(12, ROOM).iter().map(|m| subject(m).0).collect();
        assert_eq!(order, [name(3), name(2), name(1)]);
    }

    #[test]
    fn a_packet_is_filled_and_never_overfilled() {
        let mut queue = Broadcasts::default();
        for number in 0..100 {
            push(&mut queue, number, 1);
        }
        let messages = queue.take(12, ROOM);
        let cost = |m: &Message| m.bytes() + COMPOUND_PART_BYTES;
        let used: usize = messages.iter().map(cost).sum();
        assert!(used <= ROOM && used + 60 > ROOM, "{used}");
        assert_eq!(queue.len(), 100);
        // Those that did not fit go first the next time.
        let again = queue.take(12, ROOM);
        let twice = again.iter().filter(|m| messages.contains(m)).count();
        assert_eq!(twice, 0);
    }

    #[test]
    fn what_is_too_long_for_the_rest_leaves_it_to_what_is_shorter() {
        let mut queue = Broadcasts::default();
        push(&mut queue, 1_000_000_000, 1);
        push(&mut queue, 1, 1);
        let room = news(1, 1).1.bytes() + COMPOUND_PART_BYTES;
        let messages = queue.take(12, room);
        assert_eq!(
            messages.iter().map(subject).collect::<Vec<_>>(),
            [(name(1), 1)]
        );
    }
}
