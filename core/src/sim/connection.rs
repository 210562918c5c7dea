//! Connections: what it takes before a packet can travel, and what travels besides it.
//!
//! A QUIC connection is warm or cold. On a warm one a packet leaves at once; to a cold peer a
//! handshake comes first: a round trip, some kilobytes and two thirds of a millisecond of CPU time
//! at each end, repeated with a growing delay while the network loses it. An end that restarts
//! forgets its connections, and tells so by a reset when the other one uses them. What arrives is
//! acknowledged: along with what goes back within 25 ms, or by a packet of its own.
//!
//! Of TCP (the baselines' streams) only a connection for each exchange is modelled.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

use super::node::Life;
use crate::time::Instant;

/// After how long without a packet a connection is closed.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// How long a receiver waits for something to go back before it acknowledges.
const ACK_DELAY: Duration = Duration::from_millis(25);
/// So many packets are acknowledged at once.
const ACK_PACKETS: u8 = 2;
/// How long the two ends of a TCP exchange keep it for the answer.
const TCP_IDLE_MAX: Duration = Duration::from_secs(1);

/// IPv4 and UDP.
pub(super) const UDP_BYTES: u64 = 28;
/// What QUIC adds to a datagram: flags, connection id, packet number, seal, frame, and the
/// acknowledgement that mostly goes along. As seen on the wire.
pub(super) const QUIC_BYTES: u64 = 1 + 8 + 2 + 16 + 3 + 6;
/// A packet that only acknowledges, as seen on the wire.
const ACK_BYTES: u64 = 63;
/// The first packet of a handshake, padded.
pub(super) const INITIAL_BYTES: u64 = UDP_BYTES + 1200;
/// What the dialling end sends for a handshake with certificates on both sides, headers included,
/// as seen on the wire.
pub(super) const DIAL_BYTES: u64 = 2900;
/// What the other end sends for it.
pub(super) const ANSWER_BYTES: u64 = 1800;
/// How many bytes of a stream a packet carries.
const SEGMENT_BYTES: u64 = 1150;
/// IPv4 and TCP with timestamps.
const TCP_BYTES: u64 = 52;
/// What one end sends to open and close a TCP connection.
const TCP_CONNECTION_BYTES: u64 = 60 + 52 + 2 * 52;

/// All of a world, by their two ends, the lower number first.
#[derive(Debug, Default)]
pub(super) struct Connections {
    table: HashMap<u64, Connection, BuildHasherDefault<PairHasher>>,
}

#[derive(Debug)]
struct Connection {
    lives: [Life; 2],
    /// When its handshake is done.
    opened: Instant,
    /// When a packet last arrived, at either end.
    used: Instant,
    /// What each end has not acknowledged.
    owed: [Owed; 2],
}

#[derive(Clone, Copy, Debug, Default)]
struct Owed {
    packets: u8,
    due: Instant,
}

/// What became of a connection that a packet arrived on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It is known at both ends.
    Known {
        /// Whether the receiver acknowledged by packets of its own.
        acks: u64,
    },
    /// The receiver has restarted since: the sender is told.
    Reset,
}

/// Spreads pairs of small numbers, the same in every run.
#[derive(Default)]
struct PairHasher(u64);

impl Hasher for PairHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(byte.into()));
    }

    fn write_u64(&mut self, pair: u64) {
        let mixed = (self.0 ^ pair).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed >> 32;
    }
}

/// The key of a pair, and which of its ends the first one is.
fn key(a: usize, b: usize) -> (u64, usize) {
    let pair = |low: usize, high: usize| (low as u64) << 32 | high as u64;
    if a <= b {
        (pair(a, b), 0)
    } else {
        (pair(b, a), 1)
    }
}

impl Connections {
    /// When a process can send to a host on a connection that it holds: at once, or when the
    /// handshake is done.
    pub(super) fn ready(
        &self,
        from: usize,
        life: Life,
        to: usize,
        now: Instant,
    ) -> Option<Instant> {
        let (key, end) = key(from, to);
        let held = self.table.get(&key);
        held.filter(|c| c.lives[end] == life && now.since(c.used) < IDLE_MAX)
            .map(|c| c.opened.max(now))
    }

    /// A handshake is done.
    pub(super) fn open(&mut self, a: (usize, Life), b: (usize, Life), now: Instant) {
        let (key, end) = key(a.0, b.0);
        let mut lives = [a.1, b.1];
        if end == 1 {
            lives.swap(0, 1);
        }
        let owed = Default::default();
        self.table.insert(
            key,
            Connection {
                lives,
                opened: now,
                used: now,
                owed,
            },
        );
    }

    /// A packet leaves: what its sender owes goes along. Returns how many bytes the sender has
    /// spent on acknowledgements that did not wait for it.
    pub(super) fn leave(&mut self, from: usize, to: usize, now: Instant) -> u64 {
        let (key, end) = key(from, to);
        let Some(connection) = self.table.get_mut(&key) else {
            return 0;
        };
        let owed = std::mem::take(&mut connection.owed[end]);
        ACK_BYTES * u64::from(owed.packets > 0 && owed.due <= now)
    }

    /// A packet of a sender's life arrived.
    pub(super) fn arrive(
        &mut self,
        from: (usize, Life),
        to: (usize, Life),
        now: Instant,
    ) -> Arrival {
        let (key, sender) = key(from.0, to.0);
        let Some(connection) = self.table.get_mut(&key) else {
            return Arrival::Reset;
        };
        if connection.lives[sender] != from.1 {
            // Sent by a process that is gone, on a connection that the receiver has not given up.
            return Arrival::Known { acks: 0 };
        }
        if connection.lives[1 - sender] != to.1 {
            self.table.remove(&key);
            return Arrival::Reset;
        }
        connection.used = connection.used.max(now);
        let owed = &mut connection.owed[1 - sender];
        let mut acks = 0;
        if owed.packets > 0 && owed.due <= now {
            *owed = Owed::default();
            acks += 1;
        }
        if owed.packets == 0 {
            owed.due = now + ACK_DELAY;
        }
        owed.packets += 1;
        if owed.packets >= ACK_PACKETS {
            *owed = Owed::default();
            acks += 1;
        }
        Arrival::Known { acks }
    }

    /// Whether an exchange over TCP goes on between two hosts, so that an answer needs no new one.
    pub(super) fn is_exchange_open(&self, from: usize, to: usize, now: Instant) -> bool {
        let (key, _) = key(from, to);
        self.table
            .get(&key)
            .is_some_and(|c| now.since(c.used) < TCP_IDLE_MAX)
    }
}

/// The bytes of acknowledgements.
pub(super) fn ack_bytes(acks: u64) -> u64 {
    acks * ACK_BYTES
}

/// The bytes of a datagram with this payload.
pub(super) fn datagram_bytes(quic: bool, payload: u64) -> u64 {
    UDP_BYTES + if quic { QUIC_BYTES } else { 0 } + payload
}

/// The bytes of a reliable message with this payload, at its sender; `opens` a connection for it
/// (TCP only).
pub(super) fn stream_bytes(quic: bool, opens: bool, payload: u64) -> u64 {
    let segments = payload.div_ceil(SEGMENT_BYTES).max(1);
    let opening = if opens { TCP_CONNECTION_BYTES } else { 0 };
    if quic {
        payload + segments * (UDP_BYTES + QUIC_BYTES + 5)
    } else {
        payload + segments * TCP_BYTES + opening
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::ORIGIN + Duration::from_millis(millis)
    }

    fn opened() -> Connections {
        let mut connections = Connections::default();
        connections.open((4, Life(1)), (2, Life(7)), at(0));
        connections
    }

    #[test]
    fn a_connection_is_warm_for_the_processes_that_made_it_until_it_is_idle() {
        let mut connections = Connections::default();
        connections.open((4, Life(1)), (2, Life(7)), at(5));
        assert_eq!(connections.ready(4, Life(1), 2, at(1)), Some(at(5)));
        assert_eq!(connections.ready(2, Life(7), 4, at(10)), Some(at(10)));
        assert_eq!(connections.ready(4, Life(2), 2, at(10)), None);
        assert_eq!(connections.ready(4, Life(1), 3, at(10)), None);
        connections.arrive((4, Life(1)), (2, Life(7)), at(20_000));
        assert!(connections.ready(2, Life(7), 4, at(49_000)).is_some());
        assert_eq!(connections.ready(2, Life(7), 4, at(50_000)), None);
    }

    #[test]
    fn an_end_that_restarted_resets_the_connection() {
        let mut connections = opened();
        let arrival = connections.arrive((4, Life(1)), (2, Life(8)), at(10));
        assert_eq!(arrival, Arrival::Reset);
        assert_eq!(connections.ready(4, Life(1), 2, at(11)), None);
    }

    #[test]
    fn acknowledgements_go_along_or_by_themselves() {
        let mut connections = opened();
        let arrive = |connections: &mut Connections, ms| {
            connections.arrive((4, Life(1)), (2, Life(7)), at(ms))
        };
        assert_eq!(arrive(&mut connections, 0), Arrival::Known { acks: 0 });
        assert_eq!(connections.leave(2, 4, at(10)), 0, "it goes along");
        arrive(&mut connections, 100);
        assert_eq!(
            connections.leave(2, 4, at(200)),
            ACK_BYTES,
            "it went before"
        );
        arrive(&mut connections, 300);
        assert_eq!(arrive(&mut connections, 301), Arrival::Known { acks: 1 });
        arrive(&mut connections, 400);
        assert_eq!(arrive(&mut connections, 500), Arrival::Known { acks: 1 });
    }
}
