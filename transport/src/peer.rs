//! Another node, as an operator names it: by node name or by address.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use convoke_core::name::NameError;
use convoke_core::{Contact, Host, NodeName, Target};
use thiserror::Error;
use tokio::time::timeout;

use crate::port_map::{PortError, PortMap};

/// How long the system may take to resolve a host's name.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(4);

/// Another node. A name is enough: its host, and the port rule or whatever else maps names to
/// ports ([`crate::Options::port_map`]), give the address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// The node of this name, and no other, at its host and its gossip port.
    Name(NodeName),
    /// Whichever node of the cluster's secret answers there.
    Address(SocketAddr),
}

/// Why a text names no peer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PeerError {
    /// It has an `@`, but is no node name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// It is neither.
    #[error(
        "{0:?} is neither a node name such as convoke2@10.0.0.7 nor an address such as 10.0.0.7:4999 or [::1]:4999"
    )]
    Neither(String),
}

/// Why a peer's address is not known.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ResolveError {
    /// The name gives no port.
    #[error("{0}; or give the peer's address instead of its name")]
    Port(#[from] PortError),
    /// The host's name is not known.
    #[error(
        "the host of {name} can't be resolved ({cause}): check the name, or give the peer's address"
    )]
    Host {
        /// The peer.
        name: NodeName,
        /// What the resolver said.
        cause: String,
    },
}

impl Peer {
    /// Whom to send to: a name's host is resolved, addresses of the family `like` first.
    pub(crate) async fn resolve(
        &self,
        like: IpAddr,
        ports: &dyn PortMap,
    ) -> Result<Target, ResolveError> {
        match self {
            Self::Address(address) => Ok(Target::Address(*address)),
            Self::Name(name) => {
                let host = resolve_host(name, like).await?;
                let port = ports.look_up(name, host).await?;
                Ok(Target::Node(Contact {
                    name: name.clone(),
                    address: SocketAddr::new(host, port),
                }))
            }
        }
    }
}

/// The address of a node name's host.
pub(crate) async fn resolve_host(name: &NodeName, like: IpAddr) -> Result<IpAddr, ResolveError> {
    let domain = match name.host() {
        Host::Ip(ip) => return Ok(ip),
        Host::Domain(domain) => domain,
    };
    let failed = |cause: String| ResolveError::Host {
        name: name.clone(),
        cause,
    };
    let found: Vec<_> = timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((domain, 0)))
        .await
        .map_err(|_| failed(format!("no answer within {RESOLVE_TIMEOUT:?}")))?
        .map_err(|error| failed(error.to_string()))?
        .map(|address| address.ip())
        .collect();
    let same_family = found.iter().find(|ip| ip.is_ipv4() == like.is_ipv4());
    let ip = same_family.or(found.first()).copied();
    ip.ok_or_else(|| failed("it has no address".to_owned()))
}

impl FromStr for Peer {
    type Err = PeerError;

    fn from_str(text: &str) -> Result<Self, PeerError> {
        if text.contains('@') {
            return Ok(Self::Name(text.parse()?));
        }
        let address = text.parse();
        address.map(Self::Address).map_err(|_| {
            PeerError::Neither(
                text.chars()
                    .take(convoke_core::name::NAME_BYTES_MAX)
                    .collect(),
            )
        })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl From<NodeName> for Peer {
    fn from(name: NodeName) -> Self {
        Self::Name(name)
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self::Address(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port_map::PortRule;

    const V4: &str = "127.0.0.1";

    async fn resolve(text: &str) -> Result<Target, ResolveError> {
        text.parse::<Peer>()
            .unwrap()
            .resolve(V4.parse().unwrap(), &PortRule)
            .await
    }

    #[test]
    fn names_and_addresses_are_told_apart_and_shown_as_they_were_given() {
        for text in [
            "convoke2@10.0.0.7",
            "a@::1",
            "a@n1.example.org",
            "10.0.0.7:4999",
            "[::1]:4999",
        ] {
            assert_eq!(text.parse::<Peer>().unwrap().to_string(), text);
        }
        assert!(matches!("10.0.0.7:4999".parse(), Ok(Peer::Address(_))));
        assert!(matches!("a@10.0.0.7".parse(), Ok(Peer::Name(_))));
    }

    #[test]
    fn what_is_neither_is_refused_with_an_example_of_both() {
        for text in ["", "convoke2", "10.0.0.7", "host:4999", "::1:4999:x"] {
            let error = text.parse::<Peer>().unwrap_err().to_string();
            assert!(
                error.contains("convoke2@10.0.0.7") && error.contains("10.0.0.7:4999"),
                "{error}"
            );
        }
        assert!(matches!("a@b@c".parse::<Peer>(), Err(PeerError::Name(_))));
        let long = "x".repeat(1 << 20).parse::<Peer>().unwrap_err().to_string();
        assert!(long.len() < 1000);
    }

    #[tokio::test]
    async fn a_name_alone_gives_host_and_port() {
        let contact = |name: &str, address: &str| {
            let (name, address) = (name.parse().unwrap(), address.parse().unwrap());
            Ok(Target::Node(Contact { name, address }))
        };
        assert_eq!(
            resolve("a@10.0.0.7").await,
            contact("a@10.0.0.7", "10.0.0.7:4370")
        );
        assert_eq!(resolve("a-12@::1").await, contact("a-12@::1", "[::1]:4382"));
        assert_eq!(
            resolve("a1@localhost").await,
            contact("a1@localhost", "127.0.0.1:4371")
        );
        assert!(matches!(
            resolve("a1000@10.0.0.7").await,
            Err(ResolveError::Port(PortError::Offset(_)))
        ));
    }

    #[tokio::test]
    async fn a_host_that_is_not_known_is_named() {
        let error = resolve("a@no-such-host.invalid").await.unwrap_err();
        assert!(
            error.to_string().contains("a@no-such-host.invalid"),
            "{error}"
        );
    }
}
