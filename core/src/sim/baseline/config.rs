//! The baselines' numbers. Names follow memberlist's documentation where it has one.

use std::time::Duration;

/// Everything that can be tuned. Start from [`Config::lifeguard`] or [`Config::swim`] and change
/// single values: `Config { suspicion_mult: 5, ..Config::lifeguard() }`.
///
/// Sources: "LAN" is `DefaultLANConfig` of memberlist, "Serf" its agent's default profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Time between two probes by one node. Default 1 s (LAN `ProbeInterval`).
    pub probe_interval: Duration,
    /// How long a probe waits for the direct answer before others are asked. Default 500 ms (LAN
    /// `ProbeTimeout`).
    pub probe_timeout: Duration,
    /// Whether ill health stretches that wait too, as in Lifeguard §IV.A. memberlist stretches the
    /// whole probe only (its issue 149 quotes the rule), so helpers get all of the time that is
    /// won. Default no.
    pub probe_timeout_scales: bool,
    /// How many members are asked to probe a target that did not answer. Default 3 (LAN
    /// `IndirectChecks`).
    pub indirect_probes: usize,
    /// Whether the target is also pinged over a stream when the direct probe was not answered.
    /// Default yes (LAN `DisableTcpPings` off).
    pub stream_probes: bool,
    /// Whether a helper says so when its probe was not answered (Lifeguard §IV.A). Default yes,
    /// SWIM no.
    pub nacks: bool,
    /// After how long it says so, and gives up. Default 500 ms: memberlist takes the probe timeout, unscaled.
    /// Lifeguard's paper takes 80 % of it, which lets the first answer come in time.
    pub nack_after: Duration,
    /// How many levels of local health there are; level n makes a probe take n + 1 intervals.
    /// Default 8 (LAN `AwarenessMaxMultiplier`): scores 0 to 7. SWIM has 1: always well.
    pub awareness_levels: u32,
    /// The least suspicion timeout in probe intervals, for up to ten members. Default 4 (LAN
    /// `SuspicionMult`; Lifeguard's α, 5 in the paper's main table).
    pub suspicion_mult: u32,
    /// The greatest suspicion timeout as a multiple of the least one. Default 6 (LAN
    /// `SuspicionMaxTimeoutMult`; Lifeguard's β).
    pub suspicion_max_mult: u32,
    /// Whether a suspicion begins at its greatest timeout, and independent accusers shorten it
    /// (Lifeguard §IV.B). Otherwise it lasts the least timeout. Default yes, SWIM no.
    pub confirmations: bool,
    /// Whether a ping tells a suspect of the suspicion (Lifeguard §IV.C, the buddy system).
    /// Default yes, SWIM no.
    pub buddy: bool,
    /// A broadcast is sent this often for each decimal digit of the number of members. Default 4
    /// (LAN `RetransmitMult`).
    pub retransmit_mult: u32,
    /// Time between two rounds of gossip apart from probes. Default 200 ms (LAN `GossipInterval`).
    pub gossip_interval: Duration,
    /// How many members get gossip in a round. Default 3 (LAN `GossipNodes`).
    pub gossip_nodes: usize,
    /// For how long the dead still get gossip, so that those who live can refute; who has been
    /// dead for longer is forgotten at the end of a pass of probes. Default 30 s (LAN
    /// `GossipToTheDeadTime`).
    pub gossip_to_dead: Duration,
    /// After how long a dead member's name may be claimed from another address. Default never (LAN
    /// `DeadNodeReclaimTime` 0): the claim waits until the dead is forgotten. Who left may be
    /// replaced at once.
    pub dead_reclaim: Option<Duration>,
    /// Time between two full exchanges by one node, up to 32 members; one more such time for each
    /// doubling. Default 30 s (LAN `PushPullInterval`).
    pub push_pull_interval: Duration,
    /// The size of a datagram's content in bytes, before compression. Default 1400 (LAN
    /// `UDPBufferSize`).
    pub datagram_bytes_max: usize,
    /// Whether packets and exchanges are compressed where that makes them smaller. Default yes (LAN
    /// `EnableCompression`).
    pub compression: bool,
    /// How long an exchange over a stream may take. Default 10 s (LAN `TCPTimeout`).
    pub stream_timeout: Duration,
    /// How long a leaving node waits for its goodbye to be sent often enough. Default 5 s (Serf
    /// `BroadcastTimeout`).
    pub leave_timeout: Duration,
    /// Time between attempts to reach one random failed member by a full exchange. Default never:
    /// memberlist has none; Serf has 30 s (`ReconnectInterval`).
    pub reconnect: Option<Duration>,
    /// Whether a process that starts joins the members that its node's former process knew alive,
    /// one after the other, until one answers. Default no: memberlist has none; Serf has it as its
    /// snapshot.
    pub rejoin: bool,
}

impl Config {
    /// memberlist at its LAN defaults: SWIM with all of Lifeguard.
    pub fn lifeguard() -> Self {
        Self {
            probe_interval: Duration::from_secs(1),
            probe_timeout: Duration::from_millis(500),
            probe_timeout_scales: false,
            indirect_probes: 3,
            stream_probes: true,
            nacks: true,
            nack_after: Duration::from_millis(500),
            awareness_levels: 8,
            suspicion_mult: 4,
            suspicion_max_mult: 6,
            confirmations: true,
            buddy: true,
            retransmit_mult: 4,
            gossip_interval: Duration::from_millis(200),
            gossip_nodes: 3,
            gossip_to_dead: Duration::from_secs(30),
            dead_reclaim: None,
            push_pull_interval: Duration::from_secs(30),
            datagram_bytes_max: 1400,
            compression: true,
            stream_timeout: Duration::from_secs(10),
            leave_timeout: Duration::from_secs(5),
            reconnect: None,
            rejoin: false,
        }
    }

    /// SWIM with its suspicion subprotocol, at the same intervals and with the same dissemination,
    /// without anything of Lifeguard: what the first row of its paper's tables is.
    pub fn swim() -> Self {
        Self {
            nacks: false,
            awareness_levels: 1,
            confirmations: false,
            buddy: false,
            ..Self::lifeguard()
        }
    }

    /// Takes the times that memberlist has for nodes across regions (`DefaultWANConfig`).
    #[must_use]
    pub fn with_wan(self) -> Self {
        Self {
            probe_interval: Duration::from_secs(5),
            probe_timeout: Duration::from_secs(3),
            nack_after: Duration::from_secs(3),
            suspicion_mult: 6,
            gossip_interval: Duration::from_millis(500),
            gossip_nodes: 4,
            gossip_to_dead: Duration::from_secs(60),
            push_pull_interval: Duration::from_secs(60),
            stream_timeout: Duration::from_secs(30),
            ..self
        }
    }

    /// Adds what Serf has beyond memberlist to come together again: attempts to reach failed
    /// members, and members of the past after a restart.
    #[must_use]
    pub fn with_serf(self) -> Self {
        Self {
            reconnect: Some(Duration::from_secs(30)),
            rejoin: true,
            ..self
        }
    }

    /// How often a broadcast is sent among so many members.
    pub(super) fn transmits_max(&self, members: usize) -> u32 {
        let mut digits = 0;
        let mut reach = 1usize;
        while reach < members.saturating_add(1) {
            reach = reach.saturating_mul(10);
            digits += 1;
        }
        self.retransmit_mult * digits
    }

    /// The time between full exchanges among so many members.
    pub(super) fn push_pull_pause(&self, members: usize) -> Duration {
        let mut factor = 1;
        let mut reach = PUSH_PULL_MEMBERS;
        while reach < members {
            reach = reach.saturating_mul(2);
            factor += 1;
        }
        self.push_pull_interval * factor
    }
}

/// Up to so many members full exchanges are not stretched.
const PUSH_PULL_MEMBERS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broadcast_is_sent_four_times_a_digit() {
        let config = Config::lifeguard();
        let times = [1, 9, 10, 99, 100, 128, 999, 1000, 10_000].map(|n| config.transmits_max(n));
        assert_eq!(times, [4, 4, 8, 8, 12, 12, 12, 16, 20]);
    }

    #[test]
    fn full_exchanges_get_rarer_by_one_interval_for_each_doubling() {
        let config = Config::lifeguard();
        let secs =
            [1, 32, 33, 64, 65, 100, 1000, 10_000].map(|n| config.push_pull_pause(n).as_secs());
        assert_eq!(secs, [30, 30, 60, 60, 90, 90, 180, 300]);
    }
}
