//! Introductions: what a node says of itself to whoever holds the cluster's secret and asks.
//!
//! They have a protocol of their own on the gossip port, so that a stranger of another cluster
//! name or another version is told too, and no connection of the membership is touched. The node
//! says its piece on one stream, unasked; then the connection ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use convoke_core::{ClusterId, NodeName};
use quinn::{Connection, VarInt};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::dial::canonical;
use crate::identity::{self, GOSSIP_ALPN};
use crate::knock;
use crate::publish::Published;
use crate::rim::Rim;

/// The protocol.
pub(crate) const INTRODUCTION_ALPN: &[u8] = b"convoke-hello/1";
/// The longest introduction that is read. Later versions may add to its end.
const BYTES_MAX: usize = 4096;
/// How long it may take to be heard.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How long the asker may take to answer small datagrams.
const HAIL_TIMEOUT: Duration = Duration::from_millis(700);

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Introduction {
    /// The version of its software.
    pub(crate) version: String,
    /// The protocol of the membership that it speaks.
    pub(crate) protocol: String,
    pub(crate) cluster_name: String,
    pub(crate) cluster: ClusterId,
    /// How many members run there.
    pub(crate) size: u32,
    /// Where it has a running member of the asker's name.
    pub(crate) namesake: Option<SocketAddr>,
    /// Where the asker's packets come from.
    pub(crate) seen_at: SocketAddr,
    /// Whether the asker answers there to somebody whom it has not just talked to.
    pub(crate) hailed: bool,
}

/// Whether a connection is for this.
pub(crate) fn is_asked(connection: &Connection) -> bool {
    protocol(connection).is_some_and(|protocol| protocol == INTRODUCTION_ALPN)
}

/// The protocol that both ends agreed on.
pub(crate) fn protocol(connection: &Connection) -> Option<Vec<u8>> {
    let agreed = connection.handshake_data()?;
    let agreed = agreed.downcast::<quinn::crypto::rustls::HandshakeData>();
    agreed.ok()?.protocol
}

/// Introduces this node.
pub(crate) async fn give(rim: &Rim, connection: &Connection, published: &Arc<Published>) {
    let view = published.view.load_full();
    let Ok(asker) = identity::peer_name(connection) else {
        return;
    };
    let Ok(_room) = rim.introductions.try_acquire() else {
        return connection.close(VarInt::from_u32(0), b"too many ask");
    };
    let seen_at = canonical(connection.remote_address());
    let hailed = is_reached(rim, &asker, seen_at).await;
    let asker = view.member(&asker);
    let introduction = Introduction {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: String::from_utf8_lossy(GOSSIP_ALPN).into_owned(),
        cluster_name: view.cluster_name().to_owned(),
        cluster: view.cluster_id(),
        size: u32::try_from(view.size()).unwrap_or(u32::MAX),
        namesake: asker
            .filter(|member| member.state.is_running())
            .map(|member| member.address),
        seen_at,
        hailed,
    };
    let bytes = postcard::to_stdvec(&introduction).expect("an introduction is plain data");
    let telling = async {
        let mut stream = connection.open_uni().await.ok()?;
        stream.write_all(&bytes).await.ok()?;
        stream.finish().ok()?;
        stream.stopped().await.ok()
    };
    // Whoever does not listen has asked in vain.
    let _ = timeout(TIMEOUT, telling).await;
    connection.close(VarInt::from_u32(0), b"introduced");
}

/// Whether a node answers to a socket that it has never heard of: one that is open to nobody but
/// those it calls itself is no member that others can watch.
async fn is_reached(rim: &Rim, name: &NodeName, at: SocketAddr) -> bool {
    let local = rim
        .endpoints()
        .and_then(|endpoints| endpoints.gossip.local_addr().ok());
    let Some(local) = local else {
        return false;
    };
    match knock::connected(local.ip(), at).await {
        Ok(socket) => {
            rim.identity
                .hail(name)
                .is_answered(&socket, HAIL_TIMEOUT)
                .await
        }
        Err(_) => false,
    }
}

/// Hears the other end's; `None` where it says nothing, or nothing that can be understood.
pub(crate) async fn hear(connection: &Connection) -> Option<Introduction> {
    let hearing = async {
        let mut stream = connection.accept_uni().await.ok()?;
        stream.read_to_end(BYTES_MAX).await.ok()
    };
    let bytes = timeout(TIMEOUT, hearing).await.ok()??;
    let (introduction, _) = postcard::take_from_bytes(&bytes).ok()?;
    Some(introduction)
}
