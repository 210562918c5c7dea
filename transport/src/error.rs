//! What can go wrong, an enum an operation. Every message says what, where, and how to mend it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use convoke_core::name::OffsetError;
use convoke_core::{NodeName, output};
use thiserror::Error;

use crate::peer::ResolveError;
use crate::port_map::PortError;

/// Why a node did not start. Whichever it is, no port is taken and no data directory is locked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The name gives no port, and none was configured.
    #[error(transparent)]
    Offset(#[from] OffsetError),
    /// The name's host has no address.
    #[error("{0}; or set node.listen to an address of this machine")]
    Host(ResolveError),
    /// A port is in use.
    #[error(
        "the {purpose} port {address} is taken: another program, or another node of this name, uses it. Stop that one, or set {setting}"
    )]
    PortTaken {
        /// What the port is for.
        purpose: &'static str,
        /// Where.
        address: SocketAddr,
        /// The setting that chooses another.
        setting: &'static str,
    },
    /// Every port that the node may take is in use.
    #[error(
        "the gossip ports {first} to {last} of {host} are all taken: stop a node there, or widen node.dist_listen_min and node.dist_listen_max"
    )]
    PortsTaken {
        /// Where.
        host: IpAddr,
        /// The first that was tried.
        first: u16,
        /// The last.
        last: u16,
    },
    /// The service that maps names to ports refused this node's.
    #[error(transparent)]
    PortMap(PortError),
    /// Others would be told an address that nobody can reach.
    #[error(
        "others can't reach {address}: set node.advertise to this machine's own address, or put that into node.name"
    )]
    Unreachable {
        /// The address that would be told.
        address: SocketAddr,
    },
    /// An address can't be listened on.
    #[error(
        "can't listen on {address} for {purpose} ({cause}): set {setting} to an address of this machine"
    )]
    Bind {
        /// What the address is for.
        purpose: &'static str,
        /// Where.
        address: SocketAddr,
        /// The setting that chooses another.
        setting: &'static str,
        /// What the system said.
        cause: io::Error,
    },
    /// The tags are too large.
    #[error(transparent)]
    Tags(#[from] TagsError),
    /// The data directory can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The node's certificate could not be made.
    #[error("the node's certificate could not be made: {0}")]
    Identity(String),
}

/// Why a data directory can't be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process holds it.
    #[error("the data directory {} is in use by another process{}: stop that one, or set another node.data_dir", dir.display(), .holder.map_or_else(String::new, |pid| format!(" (pid {pid})")))]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// The other process, where it is known.
        holder: Option<u32>,
    },
    /// It belongs to a node of another name.
    #[error(
        "the data directory {} belongs to the node {found}, not to {wanted}: a node's name is fixed for the life of its data directory. Start it as {found}, or set another node.data_dir for {wanted}", dir.display()
    )]
    OtherName {
        /// The directory.
        dir: PathBuf,
        /// Whose it is.
        found: NodeName,
        /// Who asked.
        wanted: NodeName,
    },
    /// Its node was configured for another cluster name.
    #[error(
        "the data directory {} was used in a cluster named {found:?}, and cluster.name is now {wanted:?}: set cluster.name back, or remove {} to start without a past", dir.display(), dir.join("state.json").display()
    )]
    OtherCluster {
        /// The directory.
        dir: PathBuf,
        /// The cluster name that is remembered.
        found: String,
        /// The one that is configured.
        wanted: String,
    },
    /// What is remembered is damaged.
    #[error(
        "the state file {} is damaged ({cause}): restore it from a backup, or remove it, and the node starts without a past and has to join its cluster again", file.display()
    )]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// It was written by a later version of this software.
    #[error(
        "the state file {} has format {found}, and this version knows formats up to {known}: run the version that wrote it, or a newer one", file.display()
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its format.
        found: u32,
        /// The newest known one.
        known: u32,
    },
    /// It can't be written or read.
    #[error("can't {action} {} ({cause}): {}", path.display(), mending(cause))]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

/// What an operator can do about a failing file.
fn mending(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk is full, make room or set another node.data_dir"
        }
        io::ErrorKind::PermissionDenied => {
            "give this user the right to write there, or set another node.data_dir"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "the file system is read-only, set another node.data_dir"
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "a file is in the way, move it or set another node.data_dir"
        }
        _ => "mend it, or set another node.data_dir",
    }
}

/// Why a join failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum JoinError {
    /// The cluster, the network or the engine said no: see there for what became of this node.
    #[error(transparent)]
    Cluster(#[from] output::JoinError),
    /// The peer's address could not be found. Nothing has changed.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The node has ended.
    #[error("the node has ended")]
    Stopped,
}

impl JoinError {
    /// Whether the target was this node itself.
    pub fn is_myself(&self) -> bool {
        *self == Self::Cluster(output::JoinError::Myself)
    }
}

/// Why a leave failed. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LeaveError {
    /// The engine said no.
    #[error(transparent)]
    Cluster(#[from] output::LeaveError),
    /// The node has ended.
    #[error("the node has ended")]
    Stopped,
}

/// Why a member was not removed. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ForceLeaveError {
    /// The engine said no.
    #[error(transparent)]
    Cluster(#[from] output::ForceLeaveError),
    /// The node has ended.
    #[error("the node has ended")]
    Stopped,
}

/// Why tags were not taken. The old ones stand.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TagsError {
    /// They are too large.
    #[error(transparent)]
    Cluster(#[from] output::TagsError),
    /// The node has ended.
    #[error("the node has ended")]
    Stopped,
}

/// Why another node gave no answer to a call.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RpcError {
    /// No connection to its RPC port.
    #[error("{address} can't be reached: {cause}")]
    Unreachable {
        /// Its RPC address.
        address: SocketAddr,
        /// Why.
        cause: String,
    },
    /// It took too long.
    #[error("no answer from {address} within {after:?}")]
    Timeout {
        /// Its RPC address.
        address: SocketAddr,
        /// The bound.
        after: Duration,
    },
    /// It answered something else.
    #[error("{address} gave an answer that this version does not understand")]
    Malformed {
        /// Its RPC address.
        address: SocketAddr,
    },
    /// It is in another cluster by now.
    #[error("it is in another cluster")]
    OtherCluster,
    /// This node has ended.
    #[error("the node has ended")]
    Stopped,
}
