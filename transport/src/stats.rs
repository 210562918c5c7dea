//! Counters of a node: what its engine and its transport did.

use std::sync::atomic::{AtomicU64, Ordering};

use convoke_core::Stats;

/// Counts since the node started, and two gauges. Counts only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeStats {
    /// The engine's counters, at most 100 ms old while anything happens.
    pub engine: Stats,
    /// The local health: 0 is well.
    pub awareness: u32,
    /// Connections that are open now.
    pub connections: u64,
    /// Connections that this node tried to open.
    pub dials: u64,
    /// Those that failed.
    pub dials_failed: u64,
    /// Handshakes begun by others that failed.
    pub handshakes_refused: u64,
    /// Packets sent as datagrams.
    pub datagrams_sent: u64,
    /// Packets sent on streams.
    pub streams_sent: u64,
    /// Packets received, either way.
    pub packets_received: u64,
    /// Datagrams dropped because the driver was too far behind.
    pub inputs_dropped: u64,
    /// Packets not sent because too many waited for one connection, one dial or one stream.
    pub sends_dropped: u64,
    /// Silent members whose hosts were not asked, because too many were at the time.
    pub knocks_dropped: u64,
    /// Packets of which the bytes were malformed.
    pub malformed: u64,
}

/// The transport's share, counted by whichever task meets the case.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) dials: Counter,
    pub(crate) dials_failed: Counter,
    pub(crate) handshakes_refused: Counter,
    pub(crate) datagrams_sent: Counter,
    pub(crate) streams_sent: Counter,
    pub(crate) packets_received: Counter,
    pub(crate) inputs_dropped: Counter,
    pub(crate) sends_dropped: Counter,
    pub(crate) knocks_dropped: Counter,
    pub(crate) malformed: Counter,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(crate) fn together(&self, engine: &Stats, awareness: u32, connections: usize) -> NodeStats {
        NodeStats {
            engine: engine.clone(),
            awareness,
            connections: connections as u64,
            dials: self.dials.value(),
            dials_failed: self.dials_failed.value(),
            handshakes_refused: self.handshakes_refused.value(),
            datagrams_sent: self.datagrams_sent.value(),
            streams_sent: self.streams_sent.value(),
            packets_received: self.packets_received.value(),
            inputs_dropped: self.inputs_dropped.value(),
            sends_dropped: self.sends_dropped.value(),
            knocks_dropped: self.knocks_dropped.value(),
            malformed: self.malformed.value(),
        }
    }
}
