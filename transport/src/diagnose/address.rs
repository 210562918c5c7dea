//! Where a node is: by its name and the port map, or, if it is a member, by what it said.

use std::net::SocketAddr;

use convoke_core::{Contact, Host, NodeName, Target};

use super::Check;
use super::findings::Findings;
use super::walk::Walk;
use crate::peer::{Peer, resolve_host};
use crate::port_map::PortError;

impl Walk<'_> {
    /// Where the peer is to be looked for.
    pub(super) async fn address(&self, peer: &Peer, findings: &mut Findings) -> Option<SocketAddr> {
        let name = match peer {
            Peer::Name(name) => name,
            Peer::Address(address) => {
                findings.good(
                    Check::Name,
                    "an address was given: there is no name to resolve",
                );
                findings.good(Check::Port, format!("{}, as given", address.port()));
                return Some(*address);
            }
        };
        if let Some(known) = self.known {
            self.compare_with_known(name, known, findings).await;
            return Some(known);
        }
        let local = self.local();
        let host = match resolve_host(name, local).await {
            Ok(host) => host,
            Err(error) => {
                let fix = "check the spelling; make the host's name known (DNS, or /etc/hosts of this host); or give the node's address in place of its name";
                findings.bad(Check::Name, error.to_string(), fix);
                return None;
            }
        };
        match name.host() {
            Host::Ip(ip) => findings.good(Check::Name, format!("{ip} is an address")),
            Host::Domain(domain) => findings.good(Check::Name, format!("{domain} is {host}")),
        }
        match self.ports.look_up(name, host).await {
            Ok(port) => {
                findings.good(Check::Port, format!("{port}, {}", self.ports.words()));
                Some(SocketAddr::new(host, port))
            }
            Err(error) => {
                let fix = match error {
                    PortError::Offset(_) => {
                        "give the address, with the port that the node was configured for (its node.listen)"
                    }
                    PortError::Service(_) => {
                        "mend that, or give the node's address in place of its name (`convoke cluster status` on its host tells it)"
                    }
                };
                findings.bad(Check::Port, error.to_string(), fix);
                None
            }
        }
    }

    /// A member is where it said that it is, wherever its name leads.
    async fn compare_with_known(
        &self,
        name: &NodeName,
        known: SocketAddr,
        findings: &mut Findings,
    ) {
        let named = Peer::Name(name.clone());
        let (port, ip) = (known.port(), known.ip());
        match named.resolve(self.local(), self.ports).await {
            Ok(Target::Node(contact)) if contact.address == known => {
                findings.good(Check::Name, format!("its host is {ip}"));
                findings.good(Check::Port, format!("{port}, {}", self.ports.words()));
            }
            Ok(Target::Node(Contact { address, .. }) | Target::Address(address)) => {
                findings.good(
                    Check::Name,
                    format!("{ip}, as a member; its name leads to {address}"),
                );
                findings.good(Check::Port, format!("{port}, as a member"));
            }
            Err(error) => {
                findings.good(
                    Check::Name,
                    format!("{ip}, as a member; its name leads nowhere: {error}"),
                );
                findings.good(Check::Port, format!("{port}, as a member"));
            }
        }
    }
}
