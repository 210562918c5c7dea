//! What comes to the driver: from peers, from its own dials, and from the program.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use convoke_core::output::{ForceLeaveError, JoinError, LeaveError, TagsError};
use convoke_core::{Class, Contact, Departure, NodeId, NodeName, Packet, Target};
use tokio::sync::oneshot;

use crate::link::Link;

/// Inputs that may wait for the driver. Beyond it datagrams are dropped and counted, and streams
/// and commands wait.
pub(crate) const INPUTS_MAX: usize = 16_384;

/// One input.
#[derive(Debug)]
pub(crate) enum Input {
    /// A packet came.
    Packet {
        /// Whose certificate vouches for it, and where it came from.
        from: Contact,
        /// How it came.
        class: Class,
        /// What it says.
        packet: Packet,
    },
    /// A dial has ended.
    Dialed {
        /// Whom it was for.
        target: Target,
        /// The connection, or why there is none.
        result: Result<Arc<Link>, String>,
    },
    /// A packet could not be sent, or a connection was refused after all.
    Unreachable {
        /// Whom it was for.
        target: Target,
        /// Why.
        cause: String,
    },
    /// A host that was knocked at says that nothing listens there.
    Refused(Contact),
    /// The program has prepared for a change of cluster.
    Prepared,
    /// A member that said goodbye has had time to read the answers.
    Parted(NodeId),
    /// The program wants something.
    Command(Command),
}

/// Where the outcome of a command goes.
pub(crate) type Reply<T> = oneshot::Sender<T>;

/// What a program can want of a node.
#[derive(Debug)]
pub(crate) enum Command {
    /// Join the cluster of the target.
    Join(Target, Reply<Result<(), JoinError>>),
    /// Say goodbye.
    Leave(Departure, Reply<Result<(), LeaveError>>),
    /// Remove a member.
    ForceLeave(NodeName, Reply<Result<(), ForceLeaveError>>),
    /// Replace this node's tags.
    SetTags(BTreeMap<String, String>, Reply<Result<(), TagsError>>),
    /// Turn discovery on or off.
    SetDiscovery(bool, Reply<()>),
    /// Forget the absent after another time from now on.
    SetAutoclean(Option<Duration>, Reply<()>),
    /// Discovery found an address.
    Propose(Target),
    /// Write down what is to be remembered.
    Persist(Reply<()>),
}
