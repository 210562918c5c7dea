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
    /// The group is one of a link, and the interface is left to the system.
    #[error(
        "the group {0} is one of a single link: name the interface of that link, such as \"eth0\", or use a group of a site (ff15::4370)"
    )]
    Link(IpAddr),
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
    /// When the group is none, the ports are none or too many, the interface's address is of
    /// another family than the group's, or missing where the group is nothing without it.
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
            Iface::Any if is_of_a_link(self.group) => Err(McastOptionsError::Link(self.group)),
            _ => Ok(()),
        }
    }
}

/// Whether the group is another one on every link: then it means nothing without its interface.
fn is_of_a_link(group: IpAddr) -> bool {
    match group {
        IpAddr::V4(_) => false,
        // The scopes of an interface and of a link (RFC 4291, 2.7).
        IpAddr::V6(group) => matches!(group.segments()[0] & 0x000f, 0x1 | 0x2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(group: &str, iface: Iface) -> McastOptions {
        McastOptions {
            group: group.parse().expect(group),
            ports: vec![4369],
            iface,
            ttl: 1,
            loopback: true,
        }
    }

    #[test]
    fn a_group_of_a_link_is_nothing_without_its_interface() {
        for group in ["ff02::4370", "ff12::1", "ff01::1"] {
            let error = options(group, Iface::Any).check().unwrap_err();
            assert!(matches!(error, McastOptionsError::Link(_)), "{group}");
            assert_eq!(options(group, Iface::Name("eth0".into())).check(), Ok(()));
        }
        for group in ["239.192.0.1", "224.0.0.1", "ff15::4370", "ff0e::1"] {
            assert_eq!(options(group, Iface::Any).check(), Ok(()), "{group}");
        }
    }
}
