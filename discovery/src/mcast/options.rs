//! Where to ask and to listen.

use std::net::IpAddr;

use thiserror::Error;

use super::iface::Iface;

/// The most ports that are asked.
pub const PORTS_MAX: usize = 16;

/// Where [`Mcast`](crate::Mcast) asks and listens. All nodes that are to find each other have the
/// same group and ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct McastOptions {
    /// The multicast group, IPv4 or IPv6.
    pub group: IpAddr,
    /// The ports: a node listens on the first that is free of other programs, and asks all.
    /// Nodes of one host share a port. [`PORTS_MAX`] at most.
    pub ports: Vec<u16>,
    /// The network interface. Default: the system's choice, by its routes.
    pub iface: Iface,
    /// How many routers a question may pass; 0 keeps it on the host. Answers travel as they do.
    pub ttl: u8,
    /// Whether other nodes of the same host hear the questions.
    pub loopback: bool,
}

/// Why options can't be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum McastOptionsError {
    /// The address is not one of a group.
    #[error(
        "{0} is no multicast address: use one of 239.0.0.0/8 (239.192.0.1) or ff00::/8 (ff15::4370)"
    )]
    Group(IpAddr),
    /// No port, port 0, or too many.
    #[error("expected 1 to {PORTS_MAX} ports, from 1 to 65535 each")]
    Ports,
    /// The interface is given by an address of the other family.
    #[error(
        "the interface is {iface} and the group {group}: use an address of the same family, or the interface's name"
    )]
    Family {
        /// The interface's address.
        iface: IpAddr,
        /// The group.
        group: IpAddr,
    },
}

impl McastOptions {
    /// Whether they can be used, as far as that is known without the network.
    ///
    /// # Errors
    /// When the group is none, the ports are none or too many, or the interface's address is of
    /// another family than the group's.
    pub fn check(&self) -> Result<(), McastOptionsError> {
        if !self.group.is_multicast() {
            return Err(McastOptionsError::Group(self.group));
        }
        if self.ports.is_empty() || self.ports.len() > PORTS_MAX || self.ports.contains(&0) {
            return Err(McastOptionsError::Ports);
        }
        match self.iface {
            Iface::Address(iface) if iface.is_ipv4() != self.group.is_ipv4() => {
                let group = self.group;
                Err(McastOptionsError::Family { iface, group })
            }
            _ => Ok(()),
        }
    }
}
