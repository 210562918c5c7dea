//! The own node, as a strategy tells others of it.

use std::net::SocketAddr;

use convoke_core::NodeName;

/// What a source that lists nodes is told of this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Me {
    /// The name of the node.
    pub name: NodeName,
    /// Where it gossips: the address that others are to dial.
    pub address: SocketAddr,
    /// The name of its cluster: nodes of other clusters in the same source are not found.
    pub cluster: String,
}
