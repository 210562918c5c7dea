//! What can go wrong between a node and an `epmd`.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Why an `epmd` did not do what it was asked. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EpmdError {
    /// No connection.
    #[error("no epmd answers at {at} ({})", words(*kind))]
    Unreachable {
        /// Where it was sought.
        at: SocketAddr,
        /// What the system said.
        kind: io::ErrorKind,
    },
    /// It took too long.
    #[error("epmd at {at} has not answered within {after:?}")]
    Timeout {
        /// Where it is.
        at: SocketAddr,
        /// The bound.
        after: Duration,
    },
    /// It closed the connection before its answer was whole.
    #[error(
        "epmd at {at} broke off its answer after {bytes} bytes: does something else listen there?"
    )]
    Truncated {
        /// Where it is.
        at: SocketAddr,
        /// How much came.
        bytes: usize,
    },
    /// It answered something else.
    #[error("what answers at {at} is no epmd ({what}): does something else listen there?")]
    Strange {
        /// Where it is.
        at: SocketAddr,
        /// What is wrong with the answer.
        what: &'static str,
    },
    /// It knows no node of that name.
    #[error("epmd at {at} knows no node {name:?}: the node does not run, or not in epmd mode")]
    Unknown {
        /// Where it is.
        at: SocketAddr,
        /// The name.
        name: String,
    },
    /// It does not take the name.
    #[error(
        "epmd at {at} does not take the name {name:?}: a node of that name runs on this host already (`epmd -names` lists them). Stop that one, or give this node another name"
    )]
    Taken {
        /// Where it is.
        at: SocketAddr,
        /// The name.
        name: String,
    },
}

fn words(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::ConnectionRefused => "refused: nothing listens there",
        io::ErrorKind::ConnectionReset => "it closed the connection",
        io::ErrorKind::HostUnreachable => "the host is not reached",
        io::ErrorKind::NetworkUnreachable => "no route leads there",
        _ => "the connection failed",
    }
}
