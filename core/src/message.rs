//! What nodes say to each other, as typed values. The [`crate::codec`] alone turns them into
//! bytes and back.
//!
//! ```text
//!   prober ── Ping ──▶ target          prober ── PingRequest ──▶ helper ── Ping ──▶ target
//!          ◀── Ack ───                         ◀── Ack or Nack ──       ◀── Ack ───
//!   accuser ── Suspect ──▶ target and its observers      anyone ── Rumor ──▶ ring successors
//!   joiner ── JoinRequest ──▶ member ── JoinGranted or JoinRefused ──▶ joiner
//!   A ── Compare ──▶ B ── Compare, Summaries ──▶ A ── Records, Want ──▶ B ── Records ──▶ A
//! ```

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};
use smallvec::SmallVec;

use crate::member::{Admission, Fingerprint, Incarnation, Life, Profile, Standing};
use crate::name::{NodeId, NodeName};

/// The identity of a cluster: random, or derived from its name where discovery is on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClusterId(#[serde(with = "postcard::fixint::le")] pub u128);

/// What a datagram carries of the cluster's id: enough to drop a stranger's datagram. Whatever
/// decides who is a member names the whole id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClusterTag(pub u32);

/// A number by which an answer names its question.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct SeqNo(pub u32);

/// What crosses the network at once: a header and any number of messages.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    /// The cluster that the sender is in.
    pub cluster: ClusterTag,
    /// The sender's fingerprint of its present members.
    pub fingerprint: Fingerprint,
    /// What is said.
    pub messages: Messages,
}

/// The messages of a packet. Most packets are probes and their answers, and have one: it lies in
/// the packet itself.
pub type Messages = SmallVec<[Message; 1]>;

/// One thing said.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Are you there?
    Ping(Ping),
    /// I am.
    Ack(Ack),
    /// Ask `target` whether it is there, for me.
    PingRequest(PingRequest),
    /// I asked for you, and have heard nothing so far (Lifeguard, LHA-Probe).
    Nack(Nack),
    /// The sender accuses a member: it did not answer.
    Suspect(Suspect),
    /// A fact, to be passed on where it is news.
    Rumor(Rumor),
    /// Several verdicts, each to be passed on where it is news.
    Verdicts(Vec<Failed>),
    /// Let me into your cluster.
    JoinRequest(Box<JoinRequest>),
    /// You are in.
    JoinGranted(Box<JoinGranted>),
    /// You are not.
    JoinRefused(JoinRefused),
    /// Range hashes of what the sender holds.
    Compare(Compare),
    /// What the sender holds in small ranges that differ.
    Summaries(Summaries),
    /// Whole facts.
    Records(Vec<Rumor>),
    /// Send me what you hold about these.
    Want(Vec<NodeId>),
    /// Your packet was for a cluster that I am not in.
    WrongCluster,
}

/// A probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ping {
    /// Named by the answer.
    pub seq: SeqNo,
    /// The life at which the sender suspects the receiver (Lifeguard, Buddy System).
    pub suspect: Option<Life>,
}

/// The answer to a probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// The probe.
    pub seq: SeqNo,
    /// Digest of what the sender holds about members that are not present.
    pub absent: u32,
    /// To an observer: when to probe again, in units of 100 ms from now; 0 is no word about it.
    pub turn: u8,
}

/// The request of an indirect probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PingRequest {
    /// Named by the answer to the requester.
    pub seq: SeqNo,
    /// Whom to probe.
    pub target: NodeId,
    /// Carried to the target.
    pub suspect: Option<Life>,
    /// When to answer with a [`Nack`], in milliseconds from now.
    pub nack_after_ms: u16,
}

/// A helper's sign of life without an answer from the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nack {
    /// The request.
    pub seq: SeqNo,
}

/// An accusation by the sender itself; never passed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspect {
    /// The accused.
    pub id: NodeId,
    /// The life that did not answer.
    pub life: Life,
    /// Whether its host said that nothing listens at its port.
    pub refused: bool,
}

/// A fact on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rumor {
    /// A member lives, and says this of itself.
    Alive(#[serde(deserialize_with = "shared")] Arc<Profile>),
    /// A member was found dead.
    Failed(Failed),
    /// A member said goodbye.
    Left {
        /// The member.
        id: NodeId,
        /// The life that it ended.
        life: Life,
    },
    /// A member was removed by an operator.
    Removed {
        /// The member.
        id: NodeId,
        /// The stay that is over.
        admission: Admission,
    },
    /// A member that is not alive, with its profile, for those who may not know it.
    Absent {
        /// What it last said of itself.
        #[serde(deserialize_with = "shared")]
        profile: Arc<Profile>,
        /// Failed or left.
        standing: Standing,
        /// For how many seconds already, so that those who learn it late forget it with the others.
        age: u32,
        /// Of one that failed: see [`Failed::refused`].
        refused: bool,
        /// Of one that failed: see [`Failed::heard`].
        heard: bool,
    },
}

/// A verdict of the failure detector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// The member.
    pub id: NodeId,
    /// The life that ended.
    pub life: Life,
    /// Whose verdict it is.
    pub by: NodeId,
    /// How many members accused it. Fewer than the quorum make an accusation of the verdict.
    pub accusers: u8,
    /// Whether the judge finds nearly everybody silent. Then it may be deaf: only those who find
    /// the same believe it.
    pub doubtful: bool,
    /// Whether a quorum of the accusers was refused: the process ended, and the network is whole.
    pub refused: bool,
    /// Whether somebody hears it all the same: what it is sent does not reach it.
    pub heard: bool,
}

/// Why a join is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Intent {
    /// An operator says so: the joiner changes cluster.
    Explicit,
    /// Discovery proposed the address: the smaller cluster joins the larger one.
    Discovered,
    /// The joiner was here before, and returns.
    Return,
}

/// A request to be let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// Named by the answer.
    pub seq: SeqNo,
    /// Why.
    pub intent: Intent,
    /// The name of the cluster that the joiner is configured for.
    pub cluster_name: Arc<str>,
    /// The cluster that the joiner is in now.
    pub cluster: ClusterId,
    /// How many present members that one has.
    pub size: u32,
    /// Whether the cluster that the joiner is in admitted it; a newcomer is given an admission.
    pub admitted: bool,
    /// What the joiner says of itself.
    pub profile: Arc<Profile>,
}

/// The answer that lets a joiner in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinGranted {
    /// The request.
    pub seq: SeqNo,
    /// The cluster.
    pub cluster: ClusterId,
    /// The joiner's admission.
    pub admission: Admission,
    /// The highest incarnation known of the joiner's name: it is to start above.
    pub floor: Incarnation,
    /// How many present members the sender holds.
    pub size: u32,
    /// Whether they are a quorum, and the sender has met whom it remembers or knows them for failed:
    /// then whoever else the joiner remembers is not missing.
    pub quorum: bool,
    /// Some of them, the sender first.
    pub members: Vec<Arc<Profile>>,
}

/// The answer that does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRefused {
    /// The request.
    pub seq: SeqNo,
    /// Why.
    pub refusal: Refusal,
}

/// Why a member does not let a joiner in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// A live member has the joiner's name.
    #[error(
        "a live member at {address} has the same name: stop it, or give this node another name"
    )]
    NameInUse {
        /// Where that member is.
        address: SocketAddr,
    },
    /// The clusters' names differ.
    #[error(
        "it belongs to a cluster named {theirs:?}, this node is configured for {ours:?}: set the same cluster.name on both"
    )]
    ClusterName {
        /// The name at the target.
        theirs: Arc<str>,
        /// The name that the joiner gave.
        ours: Arc<str>,
    },
    /// The returning node was removed while it was away.
    #[error("this node was removed from the cluster by force-leave: join it again explicitly")]
    Removed {
        /// The admission that ended.
        admission: Admission,
    },
    /// The joiner's cluster is the larger one: the target comes to it.
    #[error("its cluster is the smaller one, and joins this one")]
    SmallerCluster,
    /// The target is leaving its cluster or joining another.
    #[error("it is leaving or joining a cluster at this moment: try again")]
    Busy,
    /// The target holds as many members as it may.
    #[error("the cluster is full: it holds {members_max} members, its limit")]
    Full {
        /// The limit.
        members_max: u32,
    },
    /// The target left its cluster, or was removed from it.
    #[error("it left its cluster, or was removed: enable discovery on it, or join it")]
    Withdrawn,
}

/// A range of ids: those whose first `bits` bits are those of `prefix`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Range {
    /// The bits that the range fixes, from the top; the others are zero.
    #[serde(with = "postcard::fixint::le")]
    pub prefix: u64,
    /// How many bits it fixes.
    pub bits: u8,
}

/// A node's share in a range: how many facts, and their sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeHash {
    /// The range.
    pub range: Range,
    /// How many facts.
    pub count: u32,
    /// The order-independent sum of their digests.
    #[serde(with = "postcard::fixint::le")]
    pub sum: u64,
}

/// A step of reconciliation: hashes of ranges that may differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compare {
    /// The cluster: whole, because what follows decides who is a member.
    pub cluster: ClusterId,
    /// The hashes.
    pub ranges: Vec<RangeHash>,
}

/// A step of reconciliation: everything that the sender holds in some small ranges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summaries {
    /// The cluster.
    pub cluster: ClusterId,
    /// The ranges.
    pub ranges: Vec<Range>,
    /// The facts in them, without profiles.
    pub items: Vec<(NodeId, Standing)>,
}

impl ClusterId {
    /// The id that a cluster formed by discovery has: the same on every node that is configured
    /// with the same cluster name.
    pub fn from_name(cluster_name: &str) -> Self {
        Self(xxhash_rust::xxh3::xxh3_128(cluster_name.as_bytes()))
    }

    /// What stands for it in datagrams.
    pub fn tag(self) -> ClusterTag {
        let folded = self.0 ^ self.0 >> 64;
        ClusterTag((folded ^ folded >> 32) as u32)
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Debug for ClusterTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl Refusal {
    /// Whether it is part of how clusters find together, and nothing that anybody has to mend.
    pub fn is_ordinary(&self) -> bool {
        matches!(self, Self::SmallerCluster | Self::Busy | Self::Withdrawn)
    }
}

/// Reads a profile into its place: as it is, serde would box it first.
fn shared<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Profile>, D::Error> {
    Profile::deserialize(deserializer).map(Arc::new)
}

impl Rumor {
    /// Whom it is about.
    pub fn id(&self) -> NodeId {
        match self {
            Self::Alive(profile) | Self::Absent { profile, .. } => profile.id(),
            Self::Failed(Failed { id, .. }) | Self::Left { id, .. } | Self::Removed { id, .. } => {
                *id
            }
        }
    }

    /// What it says.
    pub fn standing(&self) -> Standing {
        match self {
            Self::Alive(profile) => Standing::alive(profile.life),
            Self::Failed(failed) => Standing::failed(failed.life),
            Self::Left { life, .. } => Standing::left(*life),
            Self::Removed { admission, .. } => Standing::removed(*admission),
            Self::Absent { standing, .. } => *standing,
        }
    }
}

/// Where a packet goes, or comes from: a node by name, and its gossip address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// The node's name. The transport vouches for it: it is the one in the peer's certificate.
    pub name: NodeName,
    /// The node's gossip address.
    pub address: SocketAddr,
}

impl Contact {
    /// The id of the name.
    pub fn id(&self) -> NodeId {
        self.name.id()
    }
}
