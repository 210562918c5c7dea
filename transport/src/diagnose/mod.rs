//! Why another node can't be reached: every step on the way to it, and the first that fails.
//!
//! ```text
//!   name ─▶ port ─▶ udp ─▶ tls ─▶ secret ─▶ identity ─▶ cluster ─▶ version ─▶ admission ─▶ return
//!   host's  rule    any-   QUIC,   both     who is it   both       both       is its place   does it
//!   address or map  body?  ours?   alike?   after all?  alike?     alike?     free?          reach us?
//! ```
//!
//! Nothing is changed by it, here or there: what is asked at the end is an introduction, not to be
//! let in.

mod address;
mod comparison;
mod findings;
mod handshake;
mod path;
mod walk;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use convoke_core::NodeName;

use crate::identity::Identity;
use crate::options::Options;
use crate::peer::{Peer, resolve_host};
use crate::rim::Rim;
use crate::start::Started;
use walk::Walk;

/// A step on the way to another node, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Check {
    /// The address of the host that it is named for.
    Name,
    /// Its gossip port.
    Port,
    /// Whether datagrams reach anybody there, and answers come back.
    Udp,
    /// Whether who answers speaks QUIC, and a protocol of ours.
    Tls,
    /// Whether both hold the same secret.
    Secret,
    /// Whether it is the node that is meant.
    Identity,
    /// Whether both are of the same cluster name.
    Cluster,
    /// Whether both speak the same version of the protocol.
    Version,
    /// Whether its cluster has room for this node's name.
    Admission,
    /// Whether it reaches this node too, without having been called. Looked at by a running node
    /// that is known by the address that its packets come from.
    Return,
}

impl Check {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Name,
        Self::Port,
        Self::Udp,
        Self::Tls,
        Self::Secret,
        Self::Identity,
        Self::Cluster,
        Self::Version,
        Self::Admission,
        Self::Return,
    ];

    /// Its name: `name`, `port`, `udp`, `tls`, `secret`, `identity`, `cluster`, `version`,
    /// `admission` or `return`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Port => "port",
            Self::Udp => "udp",
            Self::Tls => "tls",
            Self::Secret => "secret",
            Self::Identity => "identity",
            Self::Cluster => "cluster",
            Self::Version => "version",
            Self::Admission => "admission",
            Self::Return => "return",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How a step came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should: what was found.
    Good(String),
    /// Not so: what was found, and how to mend it.
    Bad {
        /// What was found.
        found: String,
        /// How to mend it.
        fix: String,
    },
    /// It was not looked at: an earlier step went wrong, or it makes no sense here.
    Untested,
}

/// What was found on the way to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// Whom it is about.
    pub peer: Peer,
    /// Where that is, as far as was found out.
    pub address: Option<SocketAddr>,
    /// Who answered there, with a certificate of the cluster's secret.
    pub answered: Option<NodeName>,
    /// Whether the peer is the very node that looked. Then nothing was tried.
    pub is_myself: bool,
    /// Every step, in the order of [`Check::ALL`].
    pub steps: Vec<(Check, Outcome)>,
}

impl Diagnosis {
    /// The first step that went wrong.
    pub fn failed(&self) -> Option<Check> {
        let bad = |outcome: &Outcome| matches!(outcome, Outcome::Bad { .. });
        let failed = self.steps.iter().find(|(_, outcome)| bad(outcome));
        failed.map(|(check, _)| *check)
    }
}

/// Diagnoses the way to a peer without a running node: from this host, by a socket of its own,
/// with the secret, the names and the port map of the options. Takes some seconds at the most.
/// Cancel safe.
///
/// # Errors
/// When no socket can be had, or no certificate be made: in words.
pub async fn diagnose(options: &Options, peer: &Peer) -> Result<Diagnosis, String> {
    let identity = Identity::new(&options.name, &options.secret);
    let identity = identity.map_err(|error| error.to_string())?;
    let bind = |ip: IpAddr| quinn::Endpoint::client(SocketAddr::new(ip, 0));
    let own = match options.listen {
        Some(listen) => Some(listen.ip()),
        None => resolve_host(&options.name, Ipv4Addr::UNSPECIFIED.into())
            .await
            .ok(),
    };
    // Whoever is configured for another host than this one still looks from here.
    let endpoint = own.map_or_else(|| bind(Ipv4Addr::UNSPECIFIED.into()), bind);
    let endpoint = endpoint.or_else(|_| bind(Ipv4Addr::UNSPECIFIED.into()));
    let endpoint = endpoint.map_err(|error| format!("no UDP socket can be had: {error}"))?;
    let walk = Walk {
        identity: &identity,
        cluster_name: &options.cluster_name,
        advertised: None,
        known: None,
        endpoint: &endpoint,
        ports: &*options.port_map,
    };
    Ok(walk.to(peer).await)
}

/// Diagnoses the way to a peer from a running node, by its own socket.
pub(crate) async fn from_node(started: &Started, peer: &Peer) -> Diagnosis {
    let rim: &Arc<Rim> = &started.rim;
    let (own, view) = (rim.name(), started.published.view.load_full());
    let advertised = view.member(own).map(|own| own.address);
    let is_myself = match peer {
        Peer::Name(name) => name == own,
        Peer::Address(address) => {
            *address == started.gossip_address || advertised == Some(*address)
        }
    };
    let endpoints = rim.endpoints().filter(|_| !is_myself);
    let Some(endpoints) = endpoints else {
        return Diagnosis {
            peer: peer.clone(),
            address: advertised,
            answered: None,
            is_myself,
            steps: Check::ALL.map(|check| (check, Outcome::Untested)).into(),
        };
    };
    let known = match peer {
        Peer::Name(name) => view.member(name).map(|member| member.address),
        Peer::Address(_) => None,
    };
    let walk = Walk {
        identity: &rim.identity,
        cluster_name: view.cluster_name(),
        advertised,
        known,
        endpoint: &endpoints.gossip,
        ports: &*started.port_map,
    };
    walk.to(peer).await
}
