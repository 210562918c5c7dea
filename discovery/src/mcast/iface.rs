//! Which network interface the group is on.

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use if_addrs::{IfAddr, Interface};
use thiserror::Error;

/// A network interface, as an operator names it: by an address of it, its name or its index. The
/// unspecified address (`0.0.0.0`, `::`) leaves the choice to the system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Iface {
    /// The one that the system's routes lead to.
    #[default]
    Any,
    /// The one with this address.
    Address(IpAddr),
    /// The one of this name: `eth0`.
    Name(String),
    /// The one of this index, from 1.
    Index(u32),
}

/// Why the interface can't be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IfaceError {
    /// There is none like it.
    #[error("this host has no network interface {0}: `ip address` lists them")]
    Missing(Iface),
    /// It has no address of the group's family.
    #[error("the network interface {0} has no IPv4 address: give it one, or use an IPv6 group")]
    NoIpv4(Iface),
    /// The system does not say which there are.
    #[error("the network interfaces can't be listed: {0}")]
    Unlisted(String),
}

/// What the system's calls take for an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// By an address of it; the unspecified one is the system's choice.
    V4(Ipv4Addr),
    /// By its index; 0 is the system's choice.
    V6(u32),
}

impl Iface {
    /// The interface as the system takes it, for a group of the family `v4` or else IPv6.
    pub(super) fn link(&self, v4: bool) -> Result<Link, IfaceError> {
        match (self, v4) {
            (Self::Any, true) => Ok(Link::V4(Ipv4Addr::UNSPECIFIED)),
            (Self::Any, false) => Ok(Link::V6(0)),
            (Self::Index(index), false) => Ok(Link::V6(*index)),
            (Self::Address(IpAddr::V4(address)), true) => Ok(Link::V4(*address)),
            _ => {
                let listed = if_addrs::get_if_addrs()
                    .map_err(|cause| IfaceError::Unlisted(cause.to_string()))?;
                self.link_among(&listed, v4)
            }
        }
    }

    fn link_among(&self, listed: &[Interface], v4: bool) -> Result<Link, IfaceError> {
        let mut own = listed.iter().filter(|one| self.is(one)).peekable();
        let first = own
            .peek()
            .ok_or_else(|| IfaceError::Missing(self.clone()))?;
        if !v4 {
            let index = first.index.filter(|index| *index != 0);
            let missing = || IfaceError::Missing(self.clone());
            return index.map(Link::V6).ok_or_else(missing);
        }
        let address = own.find_map(|one| match &one.addr {
            IfAddr::V4(v4) => Some(v4.ip),
            IfAddr::V6(_) => None,
        });
        let missing = || IfaceError::NoIpv4(self.clone());
        address.map(Link::V4).ok_or_else(missing)
    }

    fn is(&self, one: &Interface) -> bool {
        match self {
            Self::Any => true,
            Self::Address(address) => one.ip() == *address,
            Self::Name(name) => one.name == *name,
            Self::Index(index) => one.index == Some(*index),
        }
    }
}

impl FromStr for Iface {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(match address.is_unspecified() {
                true => Self::Any,
                false => Self::Address(address),
            });
        }
        Ok(match text.parse() {
            Ok(index) => Self::Index(index),
            Err(_) => Self::Name(text.to_owned()),
        })
    }
}

impl fmt::Display for Iface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("of the system's choice"),
            Self::Address(address) => write!(f, "with the address {address}"),
            Self::Name(name) => write!(f, "{name:?}"),
            Self::Index(index) => write!(f, "of index {index}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_named_by_address_name_or_index() {
        let parsed = |text: &str| text.parse::<Iface>().unwrap();
        assert_eq!(parsed("0.0.0.0"), Iface::Any);
        assert_eq!(parsed("::"), Iface::Any);
        assert_eq!(parsed("10.0.0.7"), Iface::Address([10, 0, 0, 7].into()));
        assert_eq!(parsed("3"), Iface::Index(3));
        assert_eq!(parsed("eth0"), Iface::Name("eth0".to_owned()));
    }

    #[test]
    fn the_loopback_interface_is_found_by_all_three() {
        let Link::V6(index) = Iface::Name("lo".to_owned()).link(false).unwrap() else {
            panic!("an IPv6 group takes an index");
        };
        let local = Link::V4(Ipv4Addr::LOCALHOST);
        assert_eq!(Iface::Name("lo".to_owned()).link(true), Ok(local));
        assert_eq!(Iface::Index(index).link(true), Ok(local));
        assert_eq!(
            Iface::Address(Ipv4Addr::LOCALHOST.into()).link(true),
            Ok(local)
        );
        assert_eq!(Iface::Index(index).link(false), Ok(Link::V6(index)));
    }

    #[test]
    fn an_interface_that_is_not_there_is_named() {
        let missing = Iface::Name("no-such".to_owned());
        for v4 in [true, false] {
            let error = missing.link(v4).unwrap_err();
            assert_eq!(error, IfaceError::Missing(missing.clone()));
            assert!(error.to_string().contains("no-such"), "{error}");
        }
    }
}
