//! A handshake with whoever answers at an address, and what its end means.

use std::net::SocketAddr;

use quinn::{Connection, ConnectionError, Endpoint};

use crate::dial::as_family_of;
use crate::identity::{GOSSIP_ALPN, Identity, RPC_ALPN};
use crate::introduction::{self, INTRODUCTION_ALPN};
use crate::refusal::{self, Refused};

/// Versions of the membership's protocol that a stranger may turn out to speak.
const VERSIONS: std::ops::Range<u8> = 0..32;

/// What a handshake came to.
#[derive(Debug)]
pub(super) enum Shaken {
    /// It is a node of this secret, and introduces itself.
    Hands(Connection),
    /// It speaks QUIC, and refuses, or is refused, for this.
    Refused(Refused, ConnectionError),
    /// It speaks another version of the membership's protocol.
    Version(String),
    /// It is a port for calls, not for gossip.
    Calls,
    /// It speaks QUIC, and nothing of ours.
    Stranger,
    /// It can't even be begun.
    Undialed(String),
}

/// Shakes hands. Waits for an answer as long as QUIC does: the caller has a limit.
pub(super) async fn shake(identity: &Identity, endpoint: &Endpoint, to: SocketAddr) -> Shaken {
    match offer(identity, endpoint, to, &[INTRODUCTION_ALPN.to_vec()]).await {
        Ok(connection) => Shaken::Hands(connection),
        Err(Failed::Undialed(error)) => Shaken::Undialed(error),
        Err(Failed::Ended(error)) => match refusal::kind(&error) {
            Refused::Protocol => what_it_speaks(identity, endpoint, to).await,
            kind => Shaken::Refused(kind, error),
        },
    }
}

/// Asks again, with everything that there was, is and may come.
async fn what_it_speaks(identity: &Identity, endpoint: &Endpoint, to: SocketAddr) -> Shaken {
    let versions = VERSIONS.map(|n| format!("convoke/{n}").into_bytes());
    let offered: Vec<Vec<u8>> = versions.chain([RPC_ALPN.to_vec()]).collect();
    match offer(identity, endpoint, to, &offered).await {
        Ok(connection) => match introduction::protocol(&connection) {
            Some(protocol) if protocol == RPC_ALPN => Shaken::Calls,
            Some(protocol) if protocol != GOSSIP_ALPN => {
                Shaken::Version(String::from_utf8_lossy(&protocol).into_owned())
            }
            _ => Shaken::Version("an older version of convoke/1".to_owned()),
        },
        Err(Failed::Undialed(error)) => Shaken::Undialed(error),
        Err(Failed::Ended(error)) => match refusal::kind(&error) {
            Refused::Protocol => Shaken::Stranger,
            kind => Shaken::Refused(kind, error),
        },
    }
}

enum Failed {
    Undialed(String),
    Ended(ConnectionError),
}

async fn offer(
    identity: &Identity,
    endpoint: &Endpoint,
    to: SocketAddr,
    protocols: &[Vec<u8>],
) -> Result<Connection, Failed> {
    let undialed = |error: &dyn std::fmt::Display| Failed::Undialed(error.to_string());
    let local = endpoint.local_addr().map_err(|error| undialed(&error))?;
    let config = identity.asking_config(protocols);
    let connecting = endpoint
        .connect_with(config, as_family_of(local, to), "any.convoke.internal")
        .map_err(|error| undialed(&error))?;
    connecting.await.map_err(Failed::Ended)
}
