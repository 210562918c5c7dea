//! `cluster status --json`, as the operator's contract has it.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The cluster as one node sees it.
#[derive(Clone, Debug, Deserialize)]
pub struct Status {
    /// The cluster as a whole.
    pub cluster: Cluster,
    /// The node that says so.
    pub local: String,
    /// Names of the alive and the suspected, sorted.
    pub running_nodes: Vec<String>,
    /// Names of the failed, sorted.
    pub stopped_nodes: Vec<String>,
    /// Every member.
    pub members: Vec<Member>,
}

/// The cluster as a whole.
#[derive(Clone, Debug, Deserialize)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// How many run.
    pub size: usize,
    /// Equal on two nodes exactly when they hold the same running members.
    pub fingerprint: String,
    /// Whether this side has quorum.
    pub quorum: bool,
    /// The partition that stands, if any.
    pub partition: Option<Partition>,
    /// Why it is down, where it is.
    pub down: Option<Down>,
}

/// Why a node is down.
#[derive(Clone, Debug, Deserialize)]
pub struct Down {
    /// The policy by which it gave up.
    pub policy: String,
}

/// A partition that stands.
#[derive(Clone, Debug, Deserialize)]
pub struct Partition {
    /// `cut`, `one-way` or `isolated`.
    pub kind: String,
    /// Who can't be reached, sorted.
    pub unreachable: Vec<String>,
    /// How many of all members that is.
    pub share: f64,
    /// Since when.
    pub since: String,
}

/// One member.
#[derive(Clone, Debug, Deserialize)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its gossip address.
    pub address: String,
    /// `alive`, `suspect`, `failed` or `left`.
    pub state: String,
    /// Its incarnation.
    pub incarnation: u64,
    /// Since when it is in this state.
    pub since: String,
    /// The round trip to it, where a connection is warm.
    pub rtt_ms: Option<f64>,
    /// Its software version.
    pub version: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// One line of `monitor --json`.
#[derive(Clone, Debug, Deserialize)]
pub struct Event {
    /// When, RFC 3339.
    pub at: String,
    /// Its number.
    pub seq: u64,
    /// What happened: `member_joined`, …
    pub event: String,
    /// To whom.
    pub node: Option<String>,
    /// At which incarnation.
    pub incarnation: Option<u64>,
    /// Of a failure: whether the port refused, else the member was silent.
    pub refused: Option<bool>,
    /// Of a partition: its kind.
    pub kind: Option<String>,
    /// Of a partition: who can't be reached.
    pub unreachable: Option<Vec<String>>,
    /// Of a partition: since when it stands.
    pub since: Option<String>,
    /// Of a partition that is healed: into how many groups the network had fallen.
    pub sides: Option<usize>,
}

impl Status {
    /// The member of this name.
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// The state of the member of this name; "unknown" where there is none.
    pub fn state_of(&self, name: &str) -> &str {
        self.member(name).map_or("unknown", |member| &member.state)
    }
}
