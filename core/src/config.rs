//! The engine's numbers: what each one means, and what it costs.

mod tuning;

use std::time::Duration;

pub use tuning::{Tuning, TuningError};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Everything that can be tuned. Start from [`Config::lan`], [`Config::wan`] or
/// [`Config::local`] and change single values: `Config { probe_interval: …, ..Config::lan() }`; or
/// say what is wanted of the detector, and let its values follow: [`Config::tuned`].
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Time between two probes by one node. Shorter detects faster and costs messages in
    /// proportion. Default 1 s.
    pub probe_interval: Duration,
    /// The least time that a direct probe waits for its answer. Below the pauses that healthy
    /// hosts make, slow nodes start to flap. Default 200 ms.
    pub probe_timeout_min: Duration,
    /// The most time that a direct probe waits, however slow the target has been. Default 500 ms.
    pub probe_timeout_max: Duration,
    /// How many helpers are asked to probe a target that did not answer: those of its observers that
    /// know each other, of whom a prober that is none of them asks two. More than three are any
    /// members. Default 3.
    pub indirect_probes: usize,
    /// Whom to probe. Default: the members that this node observes on the rings.
    pub probe_targets: ProbeTargets,
    /// Every so many probes one goes to a random member, so that no divergence of views stays
    /// unseen. A cold connection costs thirty probes on a warm one. Default 160.
    pub random_probe_every: u32,
    /// The worst local health. Higher is more forgiving towards others while this node is ill, but
    /// slows a minority side so much that its suspicions outlive a heal. Default 3.
    pub awareness_max: u32,
    /// The least time between suspicion and verdict, reached with enough accusers. Default 3 s.
    pub suspicion_min: Duration,
    /// The time between suspicion and verdict with one accuser. Default 12 s.
    pub suspicion_max: Duration,
    /// How many members must accuse before others believe a verdict unexamined. A member has eight
    /// observers, so more than eight never do. Default 3.
    pub verdict_quorum: u8,
    /// After how long a member's flaps count for half. Default 60 s.
    pub flap_half_life: Duration,
    /// A node that has heard nobody for this long does not judge: the fault may be its own.
    /// Default 1.5 s.
    pub silence_min: Duration,
    /// After this long in silence it judges after all: it may be the last one. Default 3 min: longer
    /// than machines stand still that come back.
    pub silence_max: Duration,
    /// A wake-up this late is a stall of this node's own, and shifts its verdicts. Default 50 ms.
    pub stall_min: Duration,

    /// How many ring successors get news at once. Default 4 (one more above 10 % loss).
    pub fanout: usize,
    /// How long news wait for company, at rest. Grows under load up to
    /// [`Config::gossip_interval`]. Default 3 ms.
    pub coalesce_min: Duration,
    /// Time between repetitions of news to random ring neighbours. Default 200 ms.
    pub gossip_interval: Duration,
    /// How often a rumor is repeated at most, after its first flush; each time that it is heard again
    /// counts as one. Default 3.
    pub retransmits_max: u8,
    /// The size of a datagram's payload in bytes. Default 1100: below what every path carries.
    pub datagram_bytes_max: usize,

    /// Time between seeing a difference and comparing, drawn at random. Default 50..250 ms.
    pub reconcile_delay: (Duration, Duration),
    /// The longest time that changes of one's own put a comparison off. Default 3 s.
    pub reconcile_delay_max: Duration,
    /// The least time between two comparisons that one node begins. Default 1 s.
    pub reconcile_interval: Duration,
    /// How many members are examined at once because others hold them as failed. Default 64.
    pub challenges_max: usize,

    /// Whether to contact failed members, those that discovery finds as well, and addresses of the
    /// past. Default yes.
    pub autoheal: bool,
    /// Mean time between such contacts. Default 5 s.
    pub heal_interval: Duration,
    /// For how long news also go straight to a member that just came back, and its verdicts are
    /// accusations. Default 3 s.
    pub bridge: Duration,
    /// After how long a failed or left member is forgotten. Default 5 min; `None` keeps it.
    pub autoclean: Option<Duration>,
    /// When this node's side of a partition counts as having quorum. Default: a majority.
    pub quorum: QuorumRule,
    /// Which side has quorum when a majority is asked for and the members are split evenly. Default:
    /// neither.
    pub quorum_tie: QuorumTie,
    /// Which side of a partition gives up. Default: none does.
    pub split_brain: SplitBrain,
    /// How long a partition must have looked the same before that is decided. Longer than its sides
    /// take to be found dead, and nodes to tell each other. Default 20 s.
    pub stable_after: Duration,
    /// Members that fall silent within this time of each other look like a cut. Default 6 s.
    pub cut_window: Duration,

    /// The longest time that a join takes. Default 10 s.
    pub join_timeout: Duration,
    /// How many members a join's answer names: whom the joiner compares with, so that a storm does
    /// not read the whole list from one node. Default 32.
    pub join_members_max: usize,
    /// How long a leaver waits for its goodbyes to be heard. Default 1 s.
    pub leave_linger: Duration,

    /// The most members that are held; more are refused. Default 131,072.
    pub members_max: usize,
    /// The most removals that are remembered; the oldest go first. Default 65,536.
    pub tombstones_max: usize,
    /// The most addresses of the past that are remembered. Default 4096.
    pub address_book_max: usize,
    /// The most rumors that wait to be sent. Beyond it the least urgent, oldest are dropped:
    /// reconciliation carries what they said. Default 16,384.
    pub rumors_max: usize,
    /// The most probes that are carried out for others at a time. Default 256.
    pub relays_max: usize,
}

/// Whom a node probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeTargets {
    /// The members that this node observes: eight ring predecessors, on warm connections.
    Observed,
    /// Everyone in turn, as SWIM does.
    All,
}

/// When a side has quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuorumRule {
    /// More than half of all members, the failed included.
    Majority,
    /// At least so many members.
    Static(u32),
    /// Always.
    None,
}

/// What becomes of an even split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuorumTie {
    /// Neither side has quorum.
    None,
    /// The side with the oldest member has: the one of the lowest incarnation (of equal ones, the
    /// lowest id), which is the one whose process started first, by its own clock. All nodes know
    /// it alike, for it is in every fingerprint, and it never falls: a restart makes a member the
    /// youngest, so that no member grows older on one side only.
    Oldest,
}

/// Which side of a partition goes on. The nodes of the others mark themselves as down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitBrain {
    /// Every side.
    Off,
    /// The one with more than half of all members, the failed included; of an even split the one
    /// that [`Config::quorum_tie`] names. Where a network falls into more than two, maybe none.
    KeepMajority,
    /// Those with at least so many members. One at the most, as long as a cluster has fewer than
    /// twice as many.
    StaticQuorum(u32),
    /// The one with the oldest of those whom the partition parted ([`QuorumTie::Oldest`]), however
    /// small it is; but nobody who is alone.
    KeepOldest,
    /// None.
    DownAll,
}

impl Config {
    /// For a data centre: round trips of up to some milliseconds. A crash is known everywhere within
    /// 5 s, a pause of 3 s is tolerated.
    pub const fn lan() -> Self {
        Self {
            probe_interval: ms(1000),
            probe_timeout_min: ms(200),
            probe_timeout_max: ms(500),
            indirect_probes: 3,
            probe_targets: ProbeTargets::Observed,
            random_probe_every: 160,
            awareness_max: 3,
            suspicion_min: ms(3000),
            suspicion_max: ms(12_000),
            verdict_quorum: 3,
            flap_half_life: ms(60_000),
            silence_min: ms(1500),
            silence_max: ms(180_000),
            stall_min: ms(50),
            fanout: 4,
            coalesce_min: ms(3),
            gossip_interval: ms(200),
            retransmits_max: 3,
            datagram_bytes_max: 1100,
            reconcile_delay: (ms(50), ms(250)),
            reconcile_delay_max: ms(3000),
            reconcile_interval: ms(1000),
            challenges_max: 64,
            autoheal: true,
            heal_interval: ms(5000),
            bridge: ms(3000),
            autoclean: Some(ms(300_000)),
            quorum: QuorumRule::Majority,
            quorum_tie: QuorumTie::None,
            split_brain: SplitBrain::Off,
            stable_after: ms(20_000),
            cut_window: ms(6000),
            join_timeout: ms(10_000),
            join_members_max: 32,
            leave_linger: ms(1000),
            members_max: 131_072,
            tombstones_max: 65_536,
            address_book_max: 4096,
            rumors_max: 16_384,
            relays_max: 256,
        }
    }

    /// For nodes across regions: round trips of up to some hundred milliseconds. A crash is known
    /// everywhere within 12.3 s, a pause of 8 s is tolerated.
    pub const fn wan() -> Self {
        Self {
            probe_interval: ms(2000),
            probe_timeout_min: ms(500),
            probe_timeout_max: ms(2000),
            suspicion_min: ms(8000),
            suspicion_max: ms(32_000),
            silence_min: ms(4000),
            coalesce_min: ms(10),
            gossip_interval: ms(500),
            reconcile_delay: (ms(200), ms(1000)),
            cut_window: ms(16_000),
            ..Self::lan()
        }
    }

    /// For nodes on one machine. A crash is known everywhere within 3.8 s, a pause of 2 s is
    /// tolerated.
    pub const fn local() -> Self {
        Self {
            probe_timeout_min: ms(100),
            probe_timeout_max: ms(300),
            suspicion_min: ms(2000),
            suspicion_max: ms(8000),
            coalesce_min: ms(1),
            gossip_interval: ms(100),
            cut_window: ms(4000),
            ..Self::lan()
        }
    }
}

impl Config {
    /// How long a datagram is worth waiting for a connection: a probe that waited for longer has
    /// asked others meanwhile. 0.8 s on a LAN.
    pub const fn cold_patience(&self) -> Duration {
        self.probe_timeout_max
            .saturating_mul(8)
            .checked_div(5)
            .expect("5 is not 0")
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::lan()
    }
}
