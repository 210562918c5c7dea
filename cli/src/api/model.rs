//! The JSON of the API, as types. The commands read and print these same types, so that the API
//! and `--json` cannot drift apart. Keys and their order are a contract with scripts.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use convoke::{
    Downed, Event, MemberEvent, MemberView, Node, Notice, PartitionKind, Profile, SplitBrain, View,
};
use convoke_core::NodeName;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `GET /v1/status`: the cluster as the local node sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) cluster: Cluster,
    pub(crate) local: NodeName,
    pub(crate) running_nodes: Vec<NodeName>,
    pub(crate) stopped_nodes: Vec<NodeName>,
    pub(crate) members: Vec<Member>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cluster {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) size: usize,
    pub(crate) fingerprint: String,
    pub(crate) quorum: bool,
    pub(crate) partition: Option<Partition>,
    /// Why the local node is down, by `cluster.split_brain`.
    #[serde(default)]
    pub(crate) down: Option<Down>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Down {
    pub(crate) policy: String,
    /// How many members were on its side then, of how many.
    pub(crate) present: usize,
    pub(crate) all: usize,
    pub(crate) since: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Partition {
    pub(crate) kind: String,
    pub(crate) unreachable: Vec<NodeName>,
    pub(crate) share: f64,
    pub(crate) since: String,
}

/// A member; also `GET /v1/members/{name}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) name: NodeName,
    pub(crate) address: SocketAddr,
    pub(crate) state: String,
    pub(crate) incarnation: u64,
    pub(crate) since: String,
    pub(crate) rtt_ms: Option<f64>,
    pub(crate) version: String,
    pub(crate) tags: BTreeMap<String, String>,
}

/// A member that was forgotten since the local node started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Forgotten {
    pub(crate) name: NodeName,
    pub(crate) incarnation: u64,
    pub(crate) at: String,
}

/// `GET /v1/node`: the local node itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Details {
    pub(crate) name: NodeName,
    pub(crate) version: String,
    pub(crate) pid: u32,
    pub(crate) data_dir: PathBuf,
    pub(crate) gossip: SocketAddr,
    pub(crate) rpc: SocketAddr,
    pub(crate) discovery: DiscoveryState,
    /// Its registration; null where it is not in epmd mode.
    pub(crate) epmd: Option<EpmdState>,
    pub(crate) warnings: Vec<String>,
}

/// The local node's registration at the `epmd` of its host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EpmdState {
    pub(crate) registered: bool,
    /// Where.
    pub(crate) at: Option<SocketAddr>,
    /// Whether this very process serves there.
    pub(crate) embedded: bool,
    /// Why it is not registered.
    pub(crate) reason: Option<String>,
}

/// The discovery of the local node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DiscoveryState {
    pub(crate) strategy: String,
    /// What is asked; null where nothing is.
    pub(crate) source: Option<String>,
    pub(crate) enabled: bool,
    /// How many seeds the last pass found; null before the first, and after one that failed.
    pub(crate) found: Option<usize>,
    /// Why the source does not answer.
    pub(crate) failing: Option<Trouble>,
    /// Why others do not find this node by the source.
    pub(crate) unregistered: Option<Trouble>,
    /// What an operator should know besides.
    pub(crate) remark: Option<String>,
}

/// What goes wrong again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trouble {
    pub(crate) reason: String,
    pub(crate) since: String,
}

impl Trouble {
    pub(crate) fn new(error: &dyn std::error::Error, since: SystemTime) -> Self {
        Self {
            reason: error.to_string(),
            since: rfc3339(since),
        }
    }
}

/// `GET /v1/cluster/fingerprints`: what every running member answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprints {
    pub(crate) converged: bool,
    pub(crate) nodes: Vec<FingerprintOf>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FingerprintOf {
    pub(crate) name: NodeName,
    pub(crate) fingerprint: Option<String>,
    pub(crate) error: Option<String>,
}

/// The body of `POST /v1/cluster/join` and `/force-leave`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeRequest {
    pub(crate) node: String,
}

/// The answer to an operator's command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Done {
    /// False where there was nothing to do, as when a node is to join itself.
    pub(crate) changed: bool,
    /// What an operator should know besides.
    pub(crate) notes: Vec<String>,
    /// After a run of discovery, the seeds that it found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) seeds: Vec<SeedState>,
}

/// What a seed is to the local node after a run of discovery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeedState {
    pub(crate) seed: String,
    pub(crate) state: SeedStanding,
    /// Why it is no member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SeedStanding {
    /// A running member of this node's cluster, or the node itself.
    Member,
    /// It answers, and can't be one: the reason says why.
    Refused,
    /// Nobody answers there.
    Silent,
    /// Its host or port is not known.
    Unresolvable,
    /// It may become one, or there were too many to find out why it is none.
    NotAMember,
}

/// The body of `POST /v1/cluster/discovery`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) struct DiscoveryRequest {
    pub(crate) action: DiscoveryAction,
}

/// What discovery is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DiscoveryAction {
    Enable,
    Disable,
    Run,
}

/// One event, as `/v1/events` and `monitor --json` have it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct EventObject {
    pub(crate) at: String,
    pub(crate) seq: u64,
    pub(crate) event: String,
    #[serde(flatten)]
    pub(crate) detail: Detail,
}

/// What an event has beyond its kind. Absent keys do not apply to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Detail {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) node: Option<NodeName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) incarnation: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tags: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unreachable: Option<Vec<NodeName>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) share: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quorum: Option<bool>,
    /// Of a partition, and of a node that is down: since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<String>,
    /// Of a failure: whether the member's port refuses, else the member is silent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lasted_ms: Option<u64>,
    /// Of a partition that is healed: into how many groups the network had fallen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sides: Option<usize>,
    /// Of a node that is down: by which policy, and how many of how many were on its side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) present: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) all: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<u64>,
}

impl Status {
    /// What the node sees now.
    pub(crate) fn of(node: &Node) -> Self {
        let view = node.view();
        Self {
            cluster: Cluster::of(&view),
            local: view.local().clone(),
            running_nodes: view.running().cloned().collect(),
            stopped_nodes: view.stopped().cloned().collect(),
            members: view
                .members()
                .map(|member| Member::of(member, node.rtt(&member.name)))
                .collect(),
        }
    }
}

impl Cluster {
    fn of(view: &View) -> Self {
        Self {
            name: view.cluster_name().to_owned(),
            id: view.cluster_id().to_string(),
            size: view.size(),
            fingerprint: view.fingerprint().to_string(),
            quorum: view.quorum(),
            partition: view.partition().map(Partition::of),
            down: view.down().map(Down::of),
        }
    }
}

impl Partition {
    fn of(partition: &convoke::Partition) -> Self {
        Self {
            kind: kind(partition.kind).to_owned(),
            unreachable: partition.unreachable.clone(),
            share: hundredths(partition.share),
            since: rfc3339(partition.since),
        }
    }
}

impl fmt::Display for EpmdState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(at) if self.embedded => {
                write!(f, "registered at {at}, which this node serves itself")
            }
            Some(at) => write!(f, "registered at {at}"),
            None => f.write_str(self.reason.as_deref().unwrap_or("not registered")),
        }
    }
}

impl Down {
    fn of(down: &convoke::Down) -> Self {
        Self {
            policy: policy(down.policy).to_owned(),
            present: down.present,
            all: down.all,
            since: rfc3339(down.since),
        }
    }
}

impl Member {
    /// A member of a view, with the round trip time to it where that is known.
    pub(crate) fn of(member: &MemberView, rtt: Option<Duration>) -> Self {
        Self {
            name: member.name.clone(),
            address: member.address,
            state: member.state.to_string(),
            incarnation: member.incarnation.0,
            since: rfc3339(member.since),
            rtt_ms: rtt.map(|rtt| hundredths(rtt.as_secs_f64() * 1000.0)),
            version: member.version.to_string(),
            tags: member.tags().clone(),
        }
    }
}

impl EventObject {
    /// A notice of the node.
    pub(crate) fn of(notice: &Notice) -> Self {
        let (event, detail) = describe(&notice.event);
        Self {
            at: rfc3339(notice.at),
            seq: notice.seq,
            event: event.into(),
            detail: Detail {
                since: notice.since.map(rfc3339),
                ..detail
            },
        }
    }

    /// The reader missed so many events, the last of them `seq`.
    pub(crate) fn missed(seq: u64, count: u64) -> Self {
        let detail = Detail {
            count: Some(count),
            ..Detail::default()
        };
        Self {
            at: rfc3339(SystemTime::now()),
            seq,
            event: "missed".into(),
            detail,
        }
    }
}

fn describe(event: &Event) -> (&'static str, Detail) {
    match event {
        Event::MemberJoined(profile) => ("member_joined", of_profile(profile)),
        Event::MemberSuspected(member) => ("member_suspected", of_member(member)),
        Event::MemberRefuted(member) => ("member_refuted", of_member(member)),
        Event::MemberFailed { member, refused } => ("member_failed", failed(member, *refused)),
        Event::MemberLeft(member) => ("member_left", of_member(member)),
        Event::MemberRemoved(member) => ("member_removed", of_removed(member)),
        Event::MemberForgotten(member) => ("member_forgotten", of_member(member)),
        Event::TagsChanged(profile) => ("tags_changed", of_profile(profile)),
        Event::PartitionDetected(partition) => ("partition_detected", of_partition(partition)),
        Event::PartitionHealed { lasted, sides } => ("partition_healed", healed(*lasted, *sides)),
        Event::Downed(downed) => ("downed", of_downed(downed)),
        Event::Restored => ("restored", Detail::default()),
        Event::QuorumLost => ("quorum_lost", Detail::default()),
        Event::QuorumGained => ("quorum_gained", Detail::default()),
    }
}

fn of_member(member: &MemberEvent) -> Detail {
    let incarnation = Some(member.life.incarnation.0);
    Detail {
        node: Some(member.name.clone()),
        incarnation,
        ..Detail::default()
    }
}

fn failed(member: &MemberEvent, refused: bool) -> Detail {
    Detail {
        refused: Some(refused),
        ..of_member(member)
    }
}

/// A removal is about a whole stay: where it names no incarnation, none is shown.
fn of_removed(member: &MemberEvent) -> Detail {
    let incarnation = Some(member.life.incarnation.0).filter(|number| *number != u64::MAX);
    Detail {
        incarnation,
        ..of_member(member)
    }
}

fn of_profile(profile: &Profile) -> Detail {
    Detail {
        node: Some(profile.name.clone()),
        incarnation: Some(profile.life.incarnation.0),
        address: Some(profile.address),
        version: Some(profile.version.to_string()),
        tags: Some(profile.tags.clone()),
        ..Detail::default()
    }
}

fn of_partition(partition: &convoke_core::output::Partition) -> Detail {
    Detail {
        kind: Some(kind(partition.kind).to_owned()),
        unreachable: Some(partition.unreachable.clone()),
        share: Some(hundredths(partition.share)),
        quorum: Some(partition.quorum),
        ..Detail::default()
    }
}

fn healed(lasted: Duration, sides: usize) -> Detail {
    Detail {
        lasted_ms: u64::try_from(lasted.as_millis()).ok(),
        sides: Some(sides),
        ..Detail::default()
    }
}

fn of_downed(downed: &Downed) -> Detail {
    Detail {
        policy: Some(policy(downed.policy).to_owned()),
        present: Some(downed.present),
        all: Some(downed.all),
        ..Detail::default()
    }
}

/// As `cluster.split_brain` has it.
fn policy(policy: SplitBrain) -> &'static str {
    match policy {
        SplitBrain::Off => "off",
        SplitBrain::KeepMajority => "keep-majority",
        SplitBrain::StaticQuorum(_) => "static-quorum",
        SplitBrain::KeepOldest => "keep-oldest",
        SplitBrain::DownAll => "down-all",
    }
}

fn kind(kind: PartitionKind) -> &'static str {
    match kind {
        PartitionKind::Cut => "cut",
        PartitionKind::OneWay => "one-way",
        PartitionKind::Isolated => "isolated",
    }
}

/// With milliseconds, in UTC.
pub(crate) fn rfc3339(at: SystemTime) -> String {
    let at = Timestamp::try_from(at).unwrap_or(Timestamp::MAX);
    format!("{at:.3}")
}

fn hundredths(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests;
