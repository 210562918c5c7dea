//! The way to a node, step by step.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use convoke_core::{Contact, Host, NodeName, Target};
use quinn::{ConnectionError, Endpoint, VarInt};
use tokio::time::timeout;

use super::handshake::{Shaken, shake};
use super::{Check, Diagnosis, Outcome, path};
use crate::identity::{self, GOSSIP_ALPN, Identity};
use crate::introduction::{self, Introduction};
use crate::peer::{Peer, resolve_host};
use crate::port_map::{PortError, PortMap};
use crate::refusal::{self, Refused};

/// How long a handshake may go unanswered.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_millis(2500);
/// What is left for it once the host has said that nobody is there: it may have been forged.
const HOPELESS_TIMEOUT: Duration = Duration::from_millis(300);

/// Who looks, and with what.
pub(super) struct Walk<'a> {
    pub(super) identity: &'a Identity,
    pub(super) cluster_name: &'a str,
    /// Where others know the looking node, if it runs.
    pub(super) advertised: Option<SocketAddr>,
    /// Where it knows the other one, if that is a member.
    pub(super) known: Option<SocketAddr>,
    pub(super) endpoint: &'a Endpoint,
    pub(super) ports: &'a dyn PortMap,
}

/// What is found on the way.
#[derive(Default)]
struct Findings {
    address: Option<SocketAddr>,
    answered: Option<NodeName>,
    steps: Vec<(Check, Outcome)>,
}

impl Findings {
    fn good(&mut self, check: Check, found: impl Into<String>) {
        self.steps.push((check, Outcome::Good(found.into())));
    }

    fn bad(&mut self, check: Check, found: impl Into<String>, fix: impl Into<String>) {
        let (found, fix) = (found.into(), fix.into());
        self.steps.push((check, Outcome::Bad { found, fix }));
    }
}

impl Walk<'_> {
    /// Walks as far as it goes.
    pub(super) async fn to(&self, peer: &Peer) -> Diagnosis {
        let mut findings = Findings::default();
        self.find(peer, &mut findings).await;
        let steps = Check::ALL.map(|check| {
            let found = findings.steps.iter().find(|(of, _)| *of == check);
            found.cloned().unwrap_or((check, Outcome::Untested))
        });
        Diagnosis {
            peer: peer.clone(),
            address: findings.address,
            answered: findings.answered,
            is_myself: false,
            steps: steps.into(),
        }
    }

    async fn find(&self, peer: &Peer, findings: &mut Findings) {
        let Some(to) = self.address(peer, findings).await else {
            return;
        };
        findings.address = Some(to);
        let meant = match peer {
            Peer::Name(name) => Some(name),
            Peer::Address(_) => None,
        };
        if let Some(shaken) = self.reach(to, meant, findings).await {
            self.judge(to, meant, shaken, findings).await;
        }
    }

    async fn address(&self, peer: &Peer, findings: &mut Findings) -> Option<SocketAddr> {
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

    fn local(&self) -> IpAddr {
        let local = self.endpoint.local_addr().map(|local| local.ip());
        local.unwrap_or(Ipv4Addr::UNSPECIFIED.into())
    }

    /// Whether anybody answers by QUIC.
    async fn reach(
        &self,
        to: SocketAddr,
        meant: Option<&NodeName>,
        findings: &mut Findings,
    ) -> Option<Shaken> {
        let Ok(local) = self.endpoint.local_addr() else {
            findings.bad(
                Check::Udp,
                "this node has no socket any more",
                "start it again",
            );
            return None;
        };
        let began = Instant::now();
        let shaking = timeout(HANDSHAKE_TIMEOUT, shake(self.identity, self.endpoint, to));
        let looking = path::look(local.ip(), to, self.identity, meant);
        tokio::pin!(shaking, looking);
        let mut path = None;
        let shaken = loop {
            tokio::select! {
                shaken = &mut shaking => break shaken.ok(),
                looked = &mut looking, if path.is_none() => {
                    let hopeless = looked.is_hopeless();
                    path = Some(looked);
                    if hopeless {
                        break timeout(HOPELESS_TIMEOUT, &mut shaking).await.ok().and_then(Result::ok);
                    }
                }
            }
        };
        let took = began.elapsed();
        let silent =
            |shaken: &Shaken| matches!(shaken, Shaken::Refused(_, ConnectionError::TimedOut));
        match shaken.filter(|shaken| !silent(shaken)) {
            Some(Shaken::Undialed(error)) => {
                findings.bad(
                    Check::Udp,
                    format!("{to} can't be dialed: {error}"),
                    "check the address",
                );
                None
            }
            Some(shaken) => {
                findings.good(Check::Udp, format!("{to} answers, after {took:.1?}"));
                Some(shaken)
            }
            None => {
                let path = match path {
                    Some(path) => path,
                    None => looking.await,
                };
                findings.steps.push((Check::Udp, path.judge()));
                None
            }
        }
    }

    async fn judge(
        &self,
        to: SocketAddr,
        meant: Option<&NodeName>,
        shaken: Shaken,
        findings: &mut Findings,
    ) {
        match shaken {
            Shaken::Hands(connection) => {
                findings.good(Check::Tls, "TLS 1.3 over QUIC, both sides with a certificate");
                let fingerprint = self.identity.fingerprint();
                findings.good(Check::Secret, format!("the same on both sides (fingerprint {fingerprint})"));
                let heard = introduction::hear(&connection).await;
                let name = identity::peer_name(&connection).ok();
                let is_own = self.identity.is_own(&connection);
                connection.close(VarInt::from_u32(0), b"thank you");
                if self.knows(to, meant, name, is_own, findings) {
                    self.compare(heard, findings);
                }
            }
            Shaken::Refused(kind, error) => self.refused(to, kind, &error, findings),
            Shaken::Version(protocol) => {
                findings.good(Check::Tls, "it speaks QUIC, and is a node");
                self.other_version(&protocol, findings);
            }
            Shaken::Calls => findings.bad(
                Check::Tls,
                format!("{to} is a node's port for calls (node.rpc_listen), not for gossip"),
                "give the gossip port: the line \"This node\" of `convoke cluster status` on its host has it",
            ),
            Shaken::Stranger => findings.bad(
                Check::Tls,
                format!("what answers at {to} speaks QUIC, but no version of Convoke's protocol: another program, or a node of a version that this one has never heard of"),
                format!("`ss -ulpn 'sport = :{}'` on its host names the program; compare `convoke --version` on both hosts", to.port()),
            ),
            Shaken::Undialed(error) => findings.bad(Check::Tls, error, "try again"),
        }
    }

    fn refused(
        &self,
        to: SocketAddr,
        kind: Refused,
        error: &ConnectionError,
        findings: &mut Findings,
    ) {
        let words = format!("{to} {}", refusal::in_words(error));
        match kind {
            Refused::Secret => {
                findings.good(Check::Tls, "it speaks QUIC, and is a node");
                let fingerprint = self.identity.fingerprint();
                findings.bad(
                    Check::Secret,
                    format!("another secret than here, where its fingerprint is {fingerprint}: {words}"),
                    "compare `convoke secret fingerprint` on both hosts; copy the secret file of the one that is right to the other (mode 0600), and start that node again",
                );
            }
            Refused::Clock => findings.bad(Check::Tls, words, "set the clocks of both hosts right: they are a day apart or more"),
            Refused::Busy => findings.bad(Check::Tls, words, "try again in a moment; if it stays so, look at the load of its host"),
            _ => findings.bad(Check::Tls, words, format!("another program may have UDP port {}: `ss -ulpn` on its host names it; else compare `convoke --version` on both hosts", to.port())),
        }
    }

    /// Whether it is the one that is meant.
    fn knows(
        &self,
        to: SocketAddr,
        meant: Option<&NodeName>,
        name: Option<NodeName>,
        is_own: bool,
        findings: &mut Findings,
    ) -> bool {
        let Some(name) = name else {
            findings.bad(
                Check::Identity,
                "its certificate carries no valid node name",
                "compare `convoke --version` on both hosts",
            );
            return false;
        };
        findings.answered = Some(name.clone());
        match meant {
            _ if is_own => findings.bad(
                Check::Identity,
                format!("{to} leads back to this node itself"),
                "check the address, and what forwards that port",
            ),
            Some(meant) if *meant != name => findings.bad(
                Check::Identity,
                format!("{name} answers at {to}, not {meant}"),
                format!("{meant} is elsewhere: give its address (`convoke cluster status` on its host tells it), or have each node at the port of its name"),
            ),
            _ => {
                findings.good(Check::Identity, format!("it is {name}"));
                return true;
            }
        }
        false
    }

    fn compare(&self, heard: Option<Introduction>, findings: &mut Findings) {
        let Some(heard) = heard else {
            findings.bad(
                Check::Version,
                "it does not introduce itself",
                "compare `convoke --version` on both hosts",
            );
            return;
        };
        let ours = self.cluster_name;
        let theirs: String = heard
            .cluster_name
            .chars()
            .filter(|c| !c.is_control())
            .take(100)
            .collect();
        if theirs == ours {
            let found = format!(
                "{ours:?} on both sides ({}, {} running there)",
                heard.cluster, heard.size
            );
            findings.good(Check::Cluster, found);
        } else {
            findings.bad(
                Check::Cluster,
                format!(
                    "it belongs to a cluster named {theirs:?}, this node is configured for {ours:?}"
                ),
                "set the same cluster.name on both, and start the changed one again",
            );
        }
        if heard.protocol.as_bytes() == GOSSIP_ALPN {
            let version: String = heard
                .version
                .chars()
                .filter(|c| !c.is_control())
                .take(40)
                .collect();
            findings.good(
                Check::Version,
                format!(
                    "{version} there, {} here, one protocol ({})",
                    env!("CARGO_PKG_VERSION"),
                    heard.protocol
                ),
            );
        } else {
            self.other_version(&heard.protocol, findings);
        }
        self.admits(&heard, findings);
        self.is_reached(&heard, findings);
    }

    fn is_reached(&self, heard: &Introduction, findings: &mut Findings) {
        // Behind a translation of addresses it is the other address that counts.
        let Some(own) = self.advertised.filter(|own| *own == heard.seen_at) else {
            return;
        };
        if heard.hailed {
            return findings.good(
                Check::Return,
                format!("it reaches this node at {own}, uncalled"),
            );
        }
        findings.bad(
            Check::Return,
            format!("it does not reach this node at {own} unless it was called: new packets to UDP port {} are dropped on the way", own.port()),
            format!("open UDP port {} in the firewall of this host and before it, for packets that nobody here asked for", own.port()),
        );
    }

    fn other_version(&self, theirs: &str, findings: &mut Findings) {
        let theirs: String = theirs
            .chars()
            .filter(|c| !c.is_control())
            .take(40)
            .collect();
        let ours = String::from_utf8_lossy(GOSSIP_ALPN);
        findings.bad(
            Check::Version,
            format!("it speaks another protocol version: {theirs}, and this node {ours}"),
            "run the same version of convoke on both hosts (`convoke --version`)",
        );
    }

    fn admits(&self, heard: &Introduction, findings: &mut Findings) {
        match (heard.namesake, self.advertised) {
            (Some(there), Some(own)) if there != own => findings.bad(
                Check::Admission,
                format!("its cluster has a member of this node's name at {there}"),
                format!("give one of them another name, or stop that one; if it is this node, set node.advertise to {there} or let its cluster find the old one failed"),
            ),
            (Some(_), _) => findings.good(Check::Admission, "its cluster has this node as a member"),
            (None, _) => findings.good(Check::Admission, "its cluster has nobody of this node's name"),
        }
    }
}
