//! What the engine wants done, one value at a time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::config::SplitBrain;
use crate::member::{Admission, Incarnation, Life, Profile};
use crate::message::{ClusterId, Contact, Packet, Refusal};
use crate::name::{NodeId, NodeName};
use crate::time::Instant;

/// One thing that the caller is to do. [`Output::Timeout`] comes last: when it has been returned,
/// there is nothing more until the next input.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send a packet.
    Transmit(Transmit),
    /// Ask this node's host whether anything listens at its gossip port, by a datagram that a node
    /// does not answer. If the host refuses it, say so by [`crate::Engine::handle_refused`];
    /// whatever else comes of it says nothing.
    Knock(Contact),
    /// Tell whoever listens.
    Event(Event),
    /// Something that the caller itself has to act on.
    Signal(Signal),
    /// What [`crate::Engine::member`] says of this id has changed (it may be gone).
    Changed(NodeId),
    /// Call [`crate::Engine::handle_timeout`] at this moment, unless another input comes first.
    Timeout(Option<Instant>),
}

/// A packet to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Transmit {
    /// To whom.
    pub to: Target,
    /// How.
    pub class: Class,
    /// What.
    pub packet: Packet,
}

/// Whom a packet is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A node of which the name is known: nobody else may receive it.
    Node(Contact),
    /// Whoever listens at an address, by a connection made for this: a
    /// [`crate::message::JoinRequest`], or a [`crate::message::Ping`] to see whether anybody does.
    Address(SocketAddr),
}

/// How a packet is to be carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// As one unreliable datagram. It may be lost, repeated, delayed.
    Datagram,
    /// On a stream: repeated until it arrives or the connection is lost.
    Reliable,
}

/// What happened in the cluster, as this node sees it.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A member came, or came back.
    MemberJoined(Arc<Profile>),
    /// Evidence against a member was found.
    MemberSuspected(MemberEvent),
    /// A suspected member answered.
    MemberRefuted(MemberEvent),
    /// A member was found dead.
    MemberFailed {
        /// The member.
        member: MemberEvent,
        /// Whether its host said that nothing listens at its port: its process ended. Else it was
        /// silent, and so may the network be.
        refused: bool,
    },
    /// A member said goodbye.
    MemberLeft(MemberEvent),
    /// A member was removed by an operator.
    MemberRemoved(MemberEvent),
    /// A member that had failed or left was forgotten (autoclean).
    MemberForgotten(MemberEvent),
    /// A member's tags changed.
    TagsChanged(Arc<Profile>),
    /// Several members fell silent together, or this node hears nobody.
    PartitionDetected(Partition),
    /// The partition is over: the network is whole again, or who was lost has been removed, has left or
    /// was forgotten. Where a single member was cut off, this is the first that the others tell of it:
    /// until it was back, it could as well have crashed.
    PartitionHealed {
        /// For how long the partition stood.
        lasted: Duration,
        /// Into how many groups the network had fallen, as far as this node can tell: its own, and
        /// as many as the members that came back name, who say whom they could reach meanwhile.
        /// Processes that were started since name none. A node that was alone can't tell how the others
        /// were parted: 2. Where nobody came back: 1.
        sides: usize,
    },
    /// This node is on the side of a partition that gives up: it is down, and should serve nobody
    /// until it is up again. It stays a member, and others see nothing of it.
    Downed(Downed),
    /// It may serve again: the partition is over, or its side goes on after all.
    Restored,
    /// This node's side no longer has quorum.
    QuorumLost,
    /// It has it again.
    QuorumGained,
}

/// Which member an event is about, at which life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberEvent {
    /// The member.
    pub name: NodeName,
    /// Its life at the event.
    pub life: Life,
}

/// Why a node is down, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downed {
    /// The policy by which it gave up.
    pub policy: SplitBrain,
    /// How many members were on its side then, itself included.
    pub present: usize,
    /// How many belonged to the cluster.
    pub all: usize,
    /// Since when.
    pub since: Instant,
    /// Whether it was down already when this process was started.
    pub resumed: bool,
}

/// A partition that stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Partition {
    /// What it looks like.
    pub kind: PartitionKind,
    /// Who can't be reached, sorted.
    pub unreachable: Vec<NodeName>,
    /// The part of all members (present and failed) that can't be reached, 0 to 1.
    pub share: f64,
    /// Whether this side has quorum.
    pub quorum: bool,
    /// Since when.
    pub since: Instant,
}

/// What a partition looks like from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionKind {
    /// Several members fell silent together.
    Cut,
    /// Most of those who can't be reached are heard all the same, or all of them are: what this
    /// side sends does not arrive. (Who does not hear the others either can't tell it from a cut.)
    OneWay,
    /// This node hears nobody.
    Isolated,
}

/// What the caller itself has to act on.
#[derive(Clone, Debug, PartialEq)]
pub enum Signal {
    /// The program may stop and clear what it keeps; then call [`crate::Engine::prepared`].
    Prepare(Change),
    /// The change that was prepared is done: the program may go on, in the cluster named. `false`:
    /// it was called off, and everything is as before.
    Resume(Change, bool),
    /// The join that [`crate::Engine::join`] began has ended.
    JoinEnded(Result<(), JoinError>),
    /// The leave that [`crate::Engine::leave`] began has ended: goodbyes were heard, or enough
    /// time was given.
    LeaveEnded,
    /// This node's membership changed: to be persisted.
    Membership(Membership),
    /// This node is down from now on, or up again: its program is to stop serving, or may go on. See
    /// [`Event::Downed`].
    Down(bool),
    /// An operator removed this node. It goes on alone and does not look for others.
    Removed,
    /// Another live process has this node's name and started earlier: this one goes on alone.
    NameConflict {
        /// Where the other one is.
        winner: SocketAddr,
    },
    /// A node was refused at the door, or refused us: to be logged.
    Refused {
        /// The other node.
        peer: Contact,
        /// Whether this node refused (else it was refused).
        by_us: bool,
        /// Why.
        refusal: Refusal,
    },
}

/// A change of cluster that a program may have to prepare for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// This node joins another cluster.
    Join,
    /// This node leaves its cluster.
    Leave,
    /// This node was removed, or lost its name to another process. It is not waited for.
    Removed,
}

/// What a node must remember over a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The cluster it is in.
    pub cluster: ClusterId,
    /// Its stay there.
    pub admission: Admission,
    /// Whether the cluster admitted it (else it made the cluster for itself).
    pub admitted: bool,
    /// Its incarnation. A restarted process must begin above: persist ahead of use.
    pub incarnation: Incarnation,
    /// Whether discovery may bring this node together with others.
    pub discovery: bool,
    /// Whether it left its cluster or was removed: discovery of others does not bring it back
    /// either, until it joins or is joined, or discovery is enabled on it.
    pub withdrawn: bool,
    /// Whether it is down, by [`Config::split_brain`](crate::Config::split_brain): started again, it
    /// is down until it has met those whom it remembers, or knows that its side goes on.
    pub down: bool,
}

/// Why a join failed. Whichever it is, the node is still in the cluster it was in.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum JoinError {
    /// The target is this node.
    #[error("this node cannot join itself")]
    Myself,
    /// The target is a member already.
    #[error("already in the cluster")]
    AlreadyInCluster,
    /// A join or a leave is going on.
    #[error("another join or leave is going on: wait for it to end")]
    Busy,
    /// The target refused.
    #[error("refused by {by}: {refusal}")]
    Refused {
        /// Who.
        by: NodeName,
        /// Why.
        refusal: Refusal,
    },
    /// The target could not be talked to.
    #[error("{0}")]
    Unreachable(String),
    /// The target did not answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The target let this node in, but the members it named did not tell the rest in time.
    /// This node is in the new cluster.
    #[error("joined, but did not learn all members within {0:?}: see the status again in a moment")]
    Incomplete(Duration),
}

/// Why a leave was not begun.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LeaveError {
    /// There is nobody to leave.
    #[error("not in a cluster")]
    NotInCluster,
    /// A join or a leave is going on.
    #[error("another join or leave is going on: wait for it to end")]
    Busy,
}

/// Why a member was not removed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ForceLeaveError {
    /// The name is this node's own: that is what leave is for.
    #[error("this node cannot remove itself: leave does that")]
    Myself,
    /// Nobody of that name is known.
    #[error("not in the cluster")]
    NotInCluster,
}

/// Why tags were not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("tags are too large: keys and values may have {max} bytes in all", max = crate::member::TAGS_BYTES_MAX)]
pub struct TagsError;
