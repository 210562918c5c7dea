//! A schedule: a storm as data.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::super::report::Net;
use crate::config::Config;

/// Of so many nodes, one may move to another address. The others stay where they are, so that
/// whoever comes back finds somebody.
const ONE_MOVES_OF: usize = 4;
/// The most nodes that a storm ever has.
pub(super) const NODES_MAX: usize = 24;

/// What happens to a cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// From which all else is drawn: how long packets take, and every choice of the nodes.
    pub seed: u64,
    /// How many nodes are the cluster when it begins: the numbers below this one. The numbers from
    /// it on are newcomers, up to 24 in all.
    pub nodes: usize,
    /// After how long failed and left members are forgotten.
    pub forgets_after: Duration,
    /// What happens, each so long after what was before it.
    pub steps: Vec<(Duration, Step)>,
}

/// Something that happens. Nodes are named by their numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A process ends without a word, and its host with it.
    Crash(usize),
    /// A process ends without a word; its host refuses what is sent to it.
    Kill(usize),
    /// A process says goodbye and ends. It comes back at its next start.
    Shutdown(usize),
    /// A process begins on a node that has none.
    Start {
        /// Which node.
        node: usize,
        /// Where it listens from now on.
        place: Place,
        /// It has lost its data directory, and founds a cluster.
        forgets: bool,
        /// What its host's clock shows from now on, where that changes.
        clock: Option<Clock>,
    },
    /// Nothing of a process runs, until it is resumed.
    Freeze(usize),
    /// What a process sends is held, and what is sent to it; its timers run.
    Block(usize),
    /// A host is suspended, and its clock stands still until it is resumed.
    Suspend(usize),
    /// A process that was frozen, blocked or suspended runs again.
    Resume(usize),
    /// Everything takes a node so many times longer than others. Of all nodes at most one is slow.
    Slow(usize, u32),
    /// No node is slow.
    Quicken,
    /// The clock of a process that runs jumps forward.
    Jump(usize, Duration),
    /// A host's clock runs so much faster than others, in millionths.
    Drift(usize, i64),
    /// A node (a newcomer, one that left or was removed, or one that is cut off) asks to be let in.
    Join {
        /// Which node.
        node: usize,
        /// By whom.
        by: usize,
    },
    /// A node leaves.
    Leave(usize),
    /// A member is removed.
    ForceLeave {
        /// Which.
        node: usize,
        /// By whom.
        by: usize,
    },
    /// The network falls apart into groups.
    Cut(Vec<Vec<usize>>),
    /// Nothing of what later groups send reaches the first one.
    CutOneWay(Vec<Vec<usize>>),
    /// Two nodes do not reach each other.
    CutPair(usize, usize),
    /// Nothing of what the first sends reaches the second.
    CutLink(usize, usize),
    /// Between two nodes only streams pass.
    CutDatagrams(usize, usize),
    /// All cuts end.
    Mend,
    /// So many packets of a hundred are lost.
    Loss(u8),
    /// So many packets of a hundred are lost that a node sends, and that are sent to it.
    HostLoss {
        /// Which node.
        node: usize,
        /// Of what it sends.
        sent: u8,
        /// Of what is sent to it.
        received: u8,
    },
    /// So many datagrams of a hundred arrive twice.
    Repeat(u8),
    /// So many packets of a hundred are held up, and overtaken.
    HoldUp(u8),
    /// What each host can send and receive, in bytes a second.
    Bandwidth(Option<u64>),
    /// What one host can send and receive, in bytes a second.
    HostBandwidth(usize, Option<u64>),
    /// How many bytes wait for a narrow link, before more are dropped.
    Backlog(u64),
    /// How many packets a process's socket holds that it has not read.
    Socket(usize),
    /// How long packets take.
    Travel(Net),
}

/// Where a process listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where the one before it did.
    Same,
    /// Where nobody ever did.
    New(u8),
    /// Where another node did that is down now.
    Of(usize),
}

/// A host's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// How far ahead of the others it is, in seconds.
    pub ahead: i64,
    /// How much faster it runs, in millionths.
    pub ppm: i64,
}

impl Schedule {
    /// The parameters of its nodes.
    pub(super) fn config(&self) -> Config {
        Config {
            autoclean: Some(self.forgets_after),
            ..Config::lan()
        }
    }

    /// The same without some of its steps; the others happen when they did.
    pub(super) fn without(&self, gone: impl Fn(usize) -> bool) -> Self {
        let mut steps = Vec::new();
        let mut waited = Duration::ZERO;
        for (number, (wait, step)) in self.steps.iter().enumerate() {
            waited += *wait;
            if !gone(number) {
                steps.push((std::mem::take(&mut waited), step.clone()));
            }
        }
        Self {
            steps,
            ..self.clone()
        }
    }
}

/// Whether a node may come back at another address.
pub(super) fn may_move(node: usize) -> bool {
    node % ONE_MOVES_OF == ONE_MOVES_OF - 1
}

/// A new address of a node.
pub(super) fn new_address(node: usize, nth: u8) -> SocketAddr {
    let last = u8::try_from(node).unwrap_or(u8::MAX);
    SocketAddr::from(([10, 1, nth, last], 4370))
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            nodes,
            forgets_after,
            steps,
        } = self;
        writeln!(
            f,
            "seed {seed}: {nodes} nodes, which forget the lost after {forgets_after:?}"
        )?;
        for (wait, step) in steps {
            writeln!(f, "  after {wait:>9.3?}  {step}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crash(node) => write!(f, "n{node} crashes with its host"),
            Self::Kill(node) => write!(f, "n{node} is killed, its host refuses"),
            Self::Shutdown(node) => write!(f, "n{node} shuts down"),
            Self::Start {
                node,
                place,
                forgets,
                clock,
            } => {
                write!(f, "n{node} starts")?;
                match place {
                    Place::Same => {}
                    Place::New(nth) => write!(f, " at {}", new_address(*node, *nth))?,
                    Place::Of(other) => write!(f, " at the address of n{other}")?,
                }
                if *forgets {
                    write!(f, " without its data directory")?;
                }
                match clock {
                    None => Ok(()),
                    Some(Clock { ahead, ppm }) => write!(f, ", clock {ahead:+} s, {ppm:+} ppm"),
                }
            }
            Self::Freeze(node) => write!(f, "n{node} is frozen"),
            Self::Block(node) => write!(f, "n{node}'s input and output are blocked"),
            Self::Suspend(node) => write!(f, "n{node}'s host is suspended, and its clock"),
            Self::Resume(node) => write!(f, "n{node} resumes"),
            Self::Slow(node, factor) => write!(f, "n{node} is {factor} times slower"),
            Self::Quicken => write!(f, "nobody is slow"),
            Self::Jump(node, time) => write!(f, "n{node}'s clock jumps by {time:?}"),
            Self::Drift(node, ppm) => write!(f, "n{node}'s clock runs {ppm:+} ppm"),
            Self::Join { node, by } => write!(f, "n{node} joins n{by}"),
            Self::Leave(node) => write!(f, "n{node} leaves"),
            Self::ForceLeave { node, by } => write!(f, "n{by} removes n{node}"),
            Self::Cut(groups) => write!(f, "cut into {groups:?}"),
            Self::CutOneWay(groups) => write!(f, "cut one way, to the first of {groups:?}"),
            Self::CutPair(a, b) => write!(f, "cut between n{a} and n{b}"),
            Self::CutLink(from, to) => write!(f, "cut from n{from} to n{to}"),
            Self::CutDatagrams(a, b) => write!(f, "only streams between n{a} and n{b}"),
            Self::Mend => write!(f, "all cuts end"),
            Self::Loss(share) => write!(f, "{share} % of packets lost"),
            Self::HostLoss {
                node,
                sent,
                received,
            } => write!(f, "n{node} loses {sent} % sent, {received} % received"),
            Self::Repeat(share) => write!(f, "{share} % of datagrams twice"),
            Self::HoldUp(share) => write!(f, "{share} % of packets held up"),
            Self::Bandwidth(Some(rate)) => write!(f, "{rate} bytes a second for each host"),
            Self::Bandwidth(None) => write!(f, "any bandwidth"),
            Self::HostBandwidth(node, Some(rate)) => write!(f, "{rate} bytes a second for n{node}"),
            Self::HostBandwidth(node, None) => write!(f, "any bandwidth for n{node}"),
            Self::Backlog(bytes) => write!(f, "{bytes} bytes wait for a narrow link"),
            Self::Socket(packets) => write!(f, "{packets} packets in a socket"),
            Self::Travel(net) => write!(f, "packets travel as in {net:?}"),
        }
    }
}
