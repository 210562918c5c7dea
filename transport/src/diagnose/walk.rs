//! The way to a node, step by step.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use convoke_core::NodeName;
use quinn::{ConnectionError, Endpoint, VarInt};
use tokio::time::timeout;

use super::comparison::other_version;
use super::findings::Findings;
use super::handshake::{Shaken, shake};
use super::{Check, Diagnosis, Outcome, path};
use crate::identity::{self, Identity};
use crate::introduction;
use crate::peer::Peer;
use crate::port_map::PortMap;
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

    /// Where it looks from.
    pub(super) fn local(&self) -> IpAddr {
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
                other_version(&protocol, findings);
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
}
