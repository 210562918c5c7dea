//! Whether datagrams get to a port, seen from outside QUIC: what its host says, and what a silent
//! one means.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use convoke_core::NodeName;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Outcome;
use crate::identity::Identity;
use crate::knock::{self, Knocked};

/// How long a host may take to say that it is there, by refusing TCP.
const TCP_TIMEOUT: Duration = Duration::from_millis(1100);
/// How long a process may take to answer small datagrams.
const HAIL_TIMEOUT: Duration = Duration::from_millis(700);

/// What was heard of a port besides QUIC.
#[derive(Debug)]
pub(super) struct Path {
    local: IpAddr,
    to: SocketAddr,
    knocked: Knocked,
    /// Whether the node that is meant answers small datagrams.
    hailed: bool,
    host: Host,
}

/// What its host does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Host {
    /// It is this one.
    Own,
    /// It answers, by TCP.
    Up,
    /// No host has that address, or no route leads there.
    Unreached,
    /// It says nothing.
    Silent,
}

/// Looks at it.
pub(super) async fn look(
    local: IpAddr,
    to: SocketAddr,
    identity: &Identity,
    meant: Option<&NodeName>,
) -> Path {
    let hail = async {
        match (meant, knock::connected(local, to).await) {
            (Some(name), Ok(socket)) => {
                identity.hail(name).is_answered(&socket, HAIL_TIMEOUT).await
            }
            _ => false,
        }
    };
    let (knocked, hailed, host) = tokio::join!(knock::knock(local, to), hail, host(to));
    Path {
        local,
        to,
        knocked,
        hailed,
        host,
    }
}

async fn host(to: SocketAddr) -> Host {
    // An address can be listened on only where it is one's own.
    let is_own = !to.ip().is_multicast() && UdpSocket::bind((to.ip(), 0)).is_ok();
    if is_own {
        return Host::Own;
    }
    match timeout(TCP_TIMEOUT, TcpStream::connect(to)).await {
        Err(_) => Host::Silent,
        Ok(Ok(_)) => Host::Up,
        Ok(Err(error)) => match error.kind() {
            ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => Host::Up,
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Host::Unreached,
            _ => Host::Silent,
        },
    }
}

impl Path {
    /// Whether waiting for QUIC is over: nobody is there to speak it.
    pub(super) fn is_hopeless(&self) -> bool {
        matches!(self.knocked, Knocked::Refused | Knocked::Failed(_))
            || self.host == Host::Unreached
    }

    /// What it means that QUIC's handshake was not answered.
    pub(super) fn judge(&self) -> Outcome {
        let (to, port) = (self.to, self.to.port());
        let bad = |found: String, fix: String| Outcome::Bad { found, fix };
        match (&self.knocked, self.host) {
            (Knocked::Refused, _) => bad(
                format!("{to} refuses: its host is up, and nothing listens at UDP port {port}"),
                "start the node there; if it runs, compare its gossip address (`convoke cluster status` on its host) with this one, and look whether its firewall rejects".to_owned(),
            ),
            (Knocked::Failed(error), _) => self.unsent(error),
            _ if self.hailed => bad(
                format!("the node answers small datagrams at {to}, and none of 1200 bytes, with which QUIC begins"),
                "raise the MTU on the way to it to 1280 at least, as IPv6 and QUIC need; tunnels and VPNs are what to look at".to_owned(),
            ),
            (Knocked::Answered, _) => bad(
                format!("something answers at {to} that does not speak QUIC: another program has UDP port {port}"),
                format!("`ss -ulpn 'sport = :{port}'` on its host names it: stop that one, or give the node another port (node.listen)"),
            ),
            (Knocked::Silent, Host::Own) => bad(
                format!("{to} is an address of this host, and what has UDP port {port} says nothing"),
                format!("`ss -ulpn 'sport = :{port}'` names the program: another one, or a node that hangs. Or a firewall of this host drops what comes"),
            ),
            (Knocked::Silent, Host::Up) => bad(
                format!("{to} is silent, and its host is up: it answers by TCP"),
                format!("open UDP port {port} in the firewalls of both hosts and between them, both ways; or another program has that port (`ss -ulpn 'sport = :{port}'` there)"),
            ),
            (Knocked::Silent, Host::Unreached) => bad(
                format!("no host has the address {}, or no route leads there", to.ip()),
                "check the address and the name; start the host; check the routes of both".to_owned(),
            ),
            (Knocked::Silent, Host::Silent) => bad(
                format!("{to} is silent, and so is its host: a firewall drops what is sent, the host is down, or the address is another's"),
                format!("see whether the host is up and has this address; then open UDP port {port} in the firewalls of both hosts and between them, both ways"),
            ),
        }
    }

    fn unsent(&self, error: &io::Error) -> Outcome {
        let (to, found) = (
            self.to,
            format!("nothing can be sent to {}: {error}", self.to),
        );
        let fix = match error.kind() {
            // A socket on loopback sends nowhere else.
            _ if self.local.is_loopback() && !to.ip().is_loopback() => {
                let found = format!(
                    "{found}: this node listens on {}, which no other host reaches",
                    self.local
                );
                let fix = "name this node for an address of its host that others reach (node.name, node.listen)".to_owned();
                return Outcome::Bad { found, fix };
            }
            ErrorKind::PermissionDenied => {
                format!(
                    "a firewall of this host forbids it: let UDP to port {} out",
                    to.port()
                )
            }
            ErrorKind::HostUnreachable => {
                "no host has that address: check the address and the name, and start the host"
                    .to_owned()
            }
            ErrorKind::NetworkUnreachable => {
                "no route leads there: check the address, and the routes of this host".to_owned()
            }
            _ => "check the address, and the network of this host".to_owned(),
        };
        Outcome::Bad { found, fix }
    }
}
