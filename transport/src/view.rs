//! What a node knows about its cluster, as an immutable picture.
//!
//! The driver publishes a new picture whenever something changed; whoever holds an older one keeps
//! it unharmed. A new picture shares all of the members but what changed.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use convoke_core::config::SplitBrain;
use convoke_core::output::PartitionKind;
use convoke_core::{ClusterId, Fingerprint, Incarnation, Member, NodeName, Profile, State};

use crate::members::Members;

/// The cluster as one node saw it at one moment.
#[derive(Clone, Debug)]
pub struct View {
    pub(crate) cluster_name: Arc<str>,
    pub(crate) cluster_id: ClusterId,
    pub(crate) local: NodeName,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) quorum: bool,
    pub(crate) partition: Option<Arc<Partition>>,
    pub(crate) down: Option<Down>,
    pub(crate) size: usize,
    pub(crate) members: Members,
}

/// A member in a view.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberView {
    /// Its name.
    pub name: NodeName,
    /// Its gossip address.
    pub address: SocketAddr,
    /// The address of its RPC endpoint.
    pub rpc_address: SocketAddr,
    /// How it is.
    pub state: MemberState,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// Since when it is so, by this host's clock.
    pub since: SystemTime,
    /// The version of the software that it runs.
    pub version: Arc<str>,
    profile: Arc<Profile>,
}

/// How a member is, as an operator sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemberState {
    /// Takes part.
    Alive,
    /// Takes part, but did not answer of late.
    Suspect,
    /// Was found dead.
    Failed,
    /// Said goodbye.
    Left,
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
    /// Since when, by this host's clock.
    pub since: SystemTime,
}

/// Why a node is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Down {
    /// The policy by which its side of a partition gave up.
    pub policy: SplitBrain,
    /// How many members were on its side then, itself included.
    pub present: usize,
    /// How many belonged to the cluster.
    pub all: usize,
    /// Since when, by this host's clock.
    pub since: SystemTime,
    /// Whether it was down already when this process was started.
    pub resumed: bool,
}

impl View {
    /// The cluster's name.
    pub fn cluster_name(&self) -> &str {
        &self.cluster_name
    }

    /// The cluster's identity.
    pub fn cluster_id(&self) -> ClusterId {
        self.cluster_id
    }

    /// The node whose view this is.
    pub fn local(&self) -> &NodeName {
        &self.local
    }

    /// Equal on two nodes exactly when they hold the same running members at the same
    /// incarnations.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Whether this node's side of the cluster has quorum.
    pub fn quorum(&self) -> bool {
        self.quorum
    }

    /// The partition that stands, if any.
    pub fn partition(&self) -> Option<&Partition> {
        self.partition.as_deref()
    }

    /// Whether this node is down: its side of a partition gave up, by
    /// [`convoke_core::Config::split_brain`]. A program that asked for that stops serving until
    /// this is `None` again.
    pub fn down(&self) -> Option<&Down> {
        self.down.as_ref()
    }

    /// How many members run: alive or suspect, this node included.
    pub fn size(&self) -> usize {
        self.size
    }

    /// All that is known, sorted by name.
    pub fn members(&self) -> impl Iterator<Item = &MemberView> {
        self.members.iter()
    }

    /// One of them.
    pub fn member(&self, name: &NodeName) -> Option<&MemberView> {
        self.members.get(name)
    }

    /// The names of those that run (alive or suspect), sorted.
    pub fn running(&self) -> impl Iterator<Item = &NodeName> {
        self.members()
            .filter(|member| member.state.is_running())
            .map(|member| &member.name)
    }

    /// The names of those that failed, sorted.
    pub fn stopped(&self) -> impl Iterator<Item = &NodeName> {
        self.members()
            .filter(|member| member.state == MemberState::Failed)
            .map(|member| &member.name)
    }
}

impl MemberView {
    /// The member as the engine holds it; `None` when an operator would not call it a member.
    pub(crate) fn new(member: &Member, since: SystemTime) -> Option<Self> {
        let state = match member.standing.state {
            State::Alive if member.suspected => MemberState::Suspect,
            State::Alive => MemberState::Alive,
            State::Failed => MemberState::Failed,
            State::Left => MemberState::Left,
            State::Removed => return None,
        };
        let profile = &member.profile;
        Some(Self {
            name: profile.name.clone(),
            address: profile.address,
            rpc_address: SocketAddr::new(profile.address.ip(), profile.rpc_port),
            state,
            incarnation: member.standing.life.incarnation,
            since,
            version: profile.version.clone(),
            profile: profile.clone(),
        })
    }

    /// Its labels.
    pub fn tags(&self) -> &BTreeMap<String, String> {
        &self.profile.tags
    }

    /// What it last said of itself, whole.
    pub fn profile(&self) -> &Arc<Profile> {
        &self.profile
    }
}

impl MemberState {
    /// Alive or suspect.
    pub fn is_running(self) -> bool {
        matches!(self, Self::Alive | Self::Suspect)
    }

    /// `alive`, `suspect`, `failed` or `left`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Failed => "failed",
            Self::Left => "left",
        }
    }
}

impl fmt::Display for MemberState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
