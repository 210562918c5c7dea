//! What is measured: something is done to a fresh cluster, and quantities are read of it.

use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::engine::Engine;

/// Something that is done to a fresh cluster. Each round has a cluster, a process and a network of
/// its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[value(rename_all = "kebab-case")]
pub(super) enum Figure {
    /// All nodes join one of them at once.
    Join,
    /// Nothing happens.
    Idle,
    /// One node says goodbye.
    Leave,
    /// One node falls silent: no packet passes to or from it.
    Crash,
    /// A tenth of the nodes fall silent at once.
    Crash10,
    /// A `convoke` process is killed (`kill -9`), of so many as --processes says.
    Kill,
    /// 5 % of all packets are lost.
    Loss5,
    /// 20 % of all packets are lost.
    Loss20,
    /// No packet passes between two halves.
    Partition,
}

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Quantity {
    /// Until every ordered pair of nodes is up.
    Whole,
    /// Until the first node knows of the first of what happened.
    First,
    /// Until every node knows all that happened.
    All,
    /// Until every node holds the whole other side for dead.
    Cut,
    /// From the end of the disturbance until every ordered pair is up again.
    Healed,
    /// CPU of the process, user and system, per node: in all.
    CpuSpent,
    /// Bytes on the wire per node: in all.
    BytesSpent,
    /// CPU of the process per node and second.
    Cpu,
    /// Bytes on the wire per node and second, IP headers included.
    Bytes,
    /// Packets on the wire per node and second.
    Packets,
    /// What the process holds more than before its first node, per node.
    Memory,
    /// Open connections per node.
    Connections,
    /// How often a node found another one dead that was not.
    FalseFailures,
    /// How many nodes were found dead that were not.
    WronglyFailed,
}

impl Figure {
    /// All, in the order in which they are taken.
    pub(super) const ALL: [Self; 9] = [
        Self::Join,
        Self::Idle,
        Self::Leave,
        Self::Crash,
        Self::Crash10,
        Self::Kill,
        Self::Loss5,
        Self::Loss20,
        Self::Partition,
    ];

    /// Its heading.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Join => "join storm: all nodes join one at once",
            Self::Idle => "at rest",
            Self::Leave => "one node says goodbye",
            Self::Crash => "one node falls silent",
            Self::Crash10 => "a tenth of the nodes fall silent at once",
            Self::Kill => "a process is killed (kill -9)",
            Self::Loss5 => "5 % of the packets are lost",
            Self::Loss20 => "20 % of the packets are lost",
            Self::Partition => "a cut between two halves",
        }
    }

    /// What its samples, one for each pair of nodes, tell. None where there are no such.
    pub(super) fn pairs(self) -> Option<&'static str> {
        match self {
            Self::Join => Some("time until one node has another one up"),
            Self::Leave => Some("time until a node has the leaver down"),
            Self::Crash | Self::Crash10 | Self::Kill => {
                Some("time until a node has a dead one down")
            }
            Self::Partition => Some("time from the end of the cut until one node has another up"),
            Self::Idle | Self::Loss5 | Self::Loss20 => None,
        }
    }

    /// Whether the engine has it: only Convoke makes use of a kill, and chitchat says no goodbye.
    pub(super) fn is_of(self, engine: Engine) -> bool {
        match self {
            Self::Kill => engine == Engine::Convoke,
            Self::Leave => engine != Engine::Chitchat,
            _ => true,
        }
    }

    /// How long what is waited for may take.
    pub(super) fn limit(self) -> Duration {
        Duration::from_secs(match self {
            Self::Join | Self::Idle | Self::Leave => 60,
            _ => 120,
        })
    }
}

impl Quantity {
    /// What it is, with its unit where that is not a time.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Whole => "every pair up",
            Self::First => "first knows",
            Self::All => "all know",
            Self::Cut => "cut complete",
            Self::Healed => "one cluster again",
            Self::CpuSpent => "CPU, ms/node",
            Self::BytesSpent => "KB/node",
            Self::Cpu => "CPU, µs/node/s",
            Self::Bytes => "B/node/s",
            Self::Packets => "packets/node/s",
            Self::Memory => "memory, MB/node",
            Self::Connections => "connections/node",
            Self::FalseFailures => "false failures",
            Self::WronglyFailed => "nodes wrongly failed",
        }
    }

    /// Whether it is a time, in seconds.
    pub(super) fn is_time(self) -> bool {
        matches!(
            self,
            Self::Whole | Self::First | Self::All | Self::Cut | Self::Healed
        )
    }
}
