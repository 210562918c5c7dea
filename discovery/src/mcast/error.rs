//! Why the group can't be asked or listened to.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use thiserror::Error;

use super::iface::{Iface, IfaceError};
use super::options::McastOptionsError;

/// Why the group can't be asked or listened to. Nothing was opened, or it is closed again.
#[derive(Clone, Debug, Error)]
pub enum McastError {
    /// The options contradict themselves.
    #[error(transparent)]
    Options(#[from] McastOptionsError),
    /// The interface can't be used.
    #[error("{0} (cluster.mcast.iface)")]
    Iface(#[from] IfaceError),
    /// Other programs hold every port.
    #[error(
        "no node can listen on {group}: other programs hold the ports {ports:?}; add a free one to cluster.mcast.ports, on all nodes"
    )]
    PortsTaken {
        /// The group.
        group: IpAddr,
        /// The ports that were tried.
        ports: Vec<u16>,
    },
    /// The group can't be joined.
    #[error(
        "the multicast group {group} can't be joined on the network interface {iface} ({cause}): check cluster.mcast.iface"
    )]
    Join {
        /// The group.
        group: IpAddr,
        /// Where.
        iface: Iface,
        /// What the system said.
        cause: Arc<io::Error>,
    },
    /// A question can't be sent.
    #[error(
        "{to} can't be asked on the network interface {iface} ({cause}): check cluster.mcast.iface and the host's routes"
    )]
    Send {
        /// The group and port.
        to: SocketAddr,
        /// By which interface.
        iface: Iface,
        /// What the system said.
        cause: Arc<io::Error>,
    },
    /// A socket can't be made.
    #[error("a socket for multicast can't be opened: {0}")]
    Socket(Arc<io::Error>),
}

impl From<io::Error> for McastError {
    fn from(cause: io::Error) -> Self {
        Self::Socket(Arc::new(cause))
    }
}
