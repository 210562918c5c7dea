//! What a simulation is asked, and what it answers.

use std::time::Duration;

use crate::config::Config;
use crate::time::Instant;

use super::protocol::Health;

/// What is simulated, over and over with other seeds.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What happens.
    pub scenario: Scenario,
    /// By which protocol.
    pub protocol: Contender,
    /// How many nodes.
    pub nodes: usize,
    /// The share of packets that are lost on every link, 0 to 1; in the scenario of loss too.
    pub loss: f64,
    /// How packets travel.
    pub net: Net,
    /// Convoke's numbers. The baselines have their own.
    pub config: Config,
    /// What the scenario can be told.
    pub params: Params,
}

/// What happens to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scenario {
    /// One member says goodbye.
    Leave,
    /// All others join one node at the same moment.
    JoinStorm,
    /// One member dies without a word.
    Crash,
    /// A share of the members dies at the same moment.
    MassCrash,
    /// Some members stop again and again: Lifeguard's grid (Lifeguard §5).
    Anomalies,
    /// Packets get lost for ten minutes.
    Loss,
    /// The network falls apart, and is whole again after a while.
    Partition,
    /// Some nodes hear but are not heard, or lose most of what they send (Rapid §7).
    Asymmetric,
    /// Members come and go.
    Churn,
    /// Nothing.
    Steady,
    /// One member's links fail and return, over and over.
    Flapping,
    /// All nodes restart within a second.
    RestartAll,
}

/// A protocol to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Contender {
    /// This project's.
    Convoke,
    /// `HashiCorp` memberlist's: SWIM with Lifeguard, at its LAN defaults; at its WAN defaults
    /// across regions.
    Lifeguard,
    /// SWIM with suspicion, without Lifeguard, at the same intervals.
    Swim,
}

/// How packets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Net {
    /// One data centre: 0.25 ms, median.
    Lan,
    /// Four regions: up to 120 ms one way between them.
    Wan,
    /// One data centre with a heavy tail: one packet in a hundred takes 10 to 200 ms.
    Tail,
}

/// What a scenario can be told. `None`: what suits it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params {
    /// How long the disturbance lasts (loss, partition, flapping, churn, steady, anomalies).
    pub duration: Option<Duration>,
    /// The share of the members that is hit, 0 to 1 (mass-crash, asymmetric, churn a minute).
    pub share: Option<f64>,
    /// The sizes of the sides of a partition, in parts: `[1, 1]` are halves, `[9, 1]` is 90/10.
    pub split: Option<Vec<u32>>,
    /// How links fail (partition, asymmetric, flapping).
    pub cut: Option<Cut>,
    /// How many members stop (anomalies: Lifeguard's C).
    pub anomalous: Option<usize>,
    /// For how long each stop lasts (Lifeguard's D).
    pub stop: Option<Duration>,
    /// For how long they run between two stops (Lifeguard's I).
    pub run: Option<Duration>,
    /// How they stop.
    pub anomaly: Option<Anomaly>,
    /// Whether members die as processes do that are killed: their hosts live, and refuse what comes
    /// to their ports. Else the hosts fall silent.
    pub refused: bool,
    /// Whether packets and handshakes cost CPU time. They do unless this says no.
    pub cpu: Option<bool>,
    /// Whether the checkers look at every step. Costs time in proportion to the nodes.
    pub checks: bool,
}

/// How links fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cut {
    /// Nothing passes between the sides.
    Both,
    /// Nothing passes from the second side to the others.
    OneWay,
    /// Single pairs of nodes do not reach each other.
    Pairs,
    /// Four packets of five are lost on all links of the nodes that are hit (Rapid §7).
    Lossy,
}

/// How a member stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Anomaly {
    /// Its timers run, its messages are held both ways (Lifeguard §5).
    IoBlock,
    /// The whole process stops; what is sent to it waits in its socket.
    Freeze,
}

/// What one run came to.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// The seed that reproduces it.
    pub seed: u64,
    /// Stands for everything that happened: equal for equal runs, on every machine.
    pub trace: u64,
    /// From the happening until everyone knew of it. In a join storm, a restart of all: until all
    /// views are equal. One sample for each happening.
    pub known_by_all: Vec<Duration>,
    /// From the happening until each node knew of it: one sample for each node.
    pub known: Vec<Duration>,
    /// From a death until the first node suspected it.
    pub first_suspected: Vec<Duration>,
    /// From a death until the first node held it as failed.
    pub first_failed: Vec<Duration>,
    /// From a death until everyone who lives held it as failed.
    pub failed_everywhere: Vec<Duration>,
    /// From the return of the network until one cluster again.
    pub healed: Vec<Duration>,
    /// Verdicts about members that were well, by anybody.
    pub false_failed_events: u64,
    /// About how many of them.
    pub false_failed_members: u64,
    /// Those of the verdicts that came from members that were well themselves.
    pub false_failed_at_well: u64,
    /// Happenings of which somebody never knew within the scenario's limit.
    pub missed: u64,
    /// Suspicions that were told.
    pub suspicions: u64,
    /// Those of them that ended well.
    pub refutations: u64,
    /// Protocol messages that were sent: packets, acknowledgements of QUIC apart.
    pub messages: u64,
    /// Bytes that were sent, with all headers (IP, UDP, QUIC or TCP), acknowledgements and
    /// handshakes.
    pub bytes: u64,
    /// The most bytes that one node sent.
    pub bytes_of_busiest: u64,
    /// The time over which messages and bytes were counted.
    pub measured: Duration,
    /// Whether at the end all who should be members, and nobody else, held each other.
    pub converged: bool,
    /// Where it did not converge: whom who held as what at the end, in words.
    pub differences: Vec<String>,
    /// What was wrong, in words, where a checker found something.
    pub violations: Vec<String>,
    /// Load over time, of all nodes together, in bins of equal width from the start of measuring.
    pub load: Load,
    /// Who held whom as suspect or failed, when; the first [`Run::NOTES_MAX`].
    pub notes: Vec<Note>,
    /// What was done to the cluster, when, for the plots.
    pub marks: Vec<(Instant, String)>,
    /// When measuring began.
    pub began: Instant,
    /// When the run ended.
    pub ended: Instant,
}

impl Run {
    /// The most notes that are kept.
    pub const NOTES_MAX: usize = 200_000;
}

/// Load over time.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// The width of a bin.
    pub width: Duration,
    /// The width of the last one, where measuring ended within it.
    pub last: Option<Duration>,
    /// Messages and bytes in each.
    pub bins: Vec<(u64, u64)>,
}

impl Load {
    /// How long it was measured.
    pub fn length(&self) -> Duration {
        let whole = self
            .bins
            .len()
            .saturating_sub(usize::from(self.last.is_some()));
        self.width.mul_f64(whole as f64) + self.last.unwrap_or_default()
    }
}

/// A node changed its mind about another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// When.
    pub at: Instant,
    /// Who.
    pub observer: u32,
    /// About whom.
    pub subject: u32,
    /// What it holds now.
    pub health: Health,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// The part that is done, 0 to 1, as far as can be told.
    pub share: f64,
}
