//! The connections that are open.
//!
//! A peer may have several for a while: both sides dialed at once, or the peer was restarted, or
//! it is reached by two addresses. All of them are read; packets go out on the best one; what is
//! not needed is closed, by the side that opened it. The table is touched when a connection opens
//! or closes and to find one for sending, never when a packet arrives.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use convoke_core::{Instant, NodeId};
use dashmap::DashMap;

use crate::link::{Close, Link};

/// Connections that are open at a time. The one that was idle the longest gives way.
const CONNECTIONS_MAX: usize = 1024;
/// Connections to one peer. The oldest gives way.
const CONNECTIONS_OF_PEER_MAX: usize = 4;
/// Below so many peers there are fewer connections than that.
const PEERS_FEW: usize = CONNECTIONS_MAX / CONNECTIONS_OF_PEER_MAX;
/// How long a connection that is not needed stays open, for what is under way on it.
const SETTLE_AFTER: Duration = Duration::from_secs(2);

/// The table.
#[derive(Debug)]
pub(crate) struct Pool {
    local: NodeId,
    peers: DashMap<NodeId, Vec<Arc<Link>>>,
}

impl Pool {
    pub(crate) fn new(local: NodeId) -> Self {
        Self {
            local,
            peers: DashMap::new(),
        }
    }

    /// How many connections are open.
    pub(crate) fn len(&self) -> usize {
        self.peers.iter().map(|links| links.len()).sum()
    }

    pub(crate) fn insert(&self, link: Arc<Link>) {
        // Counting them is left out where there can't be so many.
        if self.peers.len() >= PEERS_FEW && self.len() >= CONNECTIONS_MAX {
            self.evict();
        }
        let mut links = self.peers.entry(link.contact().id()).or_default();
        if links.len() >= CONNECTIONS_OF_PEER_MAX {
            links
                .remove(0)
                .close(Close::Crowded, "too many connections from this node");
        }
        links.push(link);
    }

    pub(crate) fn remove(&self, link: &Arc<Link>) {
        let id = link.contact().id();
        if let Some(mut links) = self.peers.get_mut(&id) {
            links.retain(|other| !Arc::ptr_eq(other, link));
        }
        self.peers.remove_if(&id, |_, links| links.is_empty());
    }

    /// The connection for packets to this peer at this address.
    pub(crate) fn best(&self, id: NodeId, address: SocketAddr, now: Instant) -> Option<Arc<Link>> {
        let links = self.peers.get(&id)?;
        best(links.iter().filter(|link| link.leads_to(address)), now).cloned()
    }

    /// A connection to this peer at whatever address.
    pub(crate) fn any(&self, id: NodeId, now: Instant) -> Option<Arc<Link>> {
        best(self.peers.get(&id)?.iter(), now).cloned()
    }

    /// Closes all connections to a peer.
    pub(crate) fn close(&self, id: NodeId, why: Close, reason: &str) {
        for link in self
            .peers
            .remove(&id)
            .into_iter()
            .flat_map(|(_, links)| links)
        {
            link.close(why, reason);
        }
    }

    /// Closes all connections.
    pub(crate) fn close_all(&self, why: Close, reason: &str) {
        self.peers
            .iter()
            .flat_map(|links| links.clone())
            .for_each(|link| link.close(why, reason));
    }

    /// Forgets all connections without a word.
    pub(crate) fn clear(&self) {
        self.peers.clear();
    }

    /// Looks after the connections; to be called once a second.
    pub(crate) fn sweep(&self, now: Instant) {
        for links in &self.peers {
            links.iter().for_each(|link| link.sweep(now));
            if links.len() < 2 {
                continue;
            }
            for link in links
                .iter()
                .filter(|link| self.is_needless(link, &links, now))
            {
                link.close(Close::Duplicate, "another connection to this node is kept");
            }
        }
    }

    fn is_needless(&self, link: &Arc<Link>, links: &[Arc<Link>], now: Instant) -> bool {
        let same_way = |other: &&Arc<Link>| other.leads_to(link.contact().address);
        let Some(best) = best(links.iter().filter(same_way), now) else {
            return false;
        };
        link.is_open()
            && link.liveness().is_initiated_by(self.local)
            && now - link.liveness().opened() > SETTLE_AFTER
            && !Arc::ptr_eq(best, link)
            && best.liveness().outranks(link.liveness(), now)
            && best.liveness().makes_needless(link.liveness())
    }

    fn evict(&self) {
        let idlest = self
            .peers
            .iter()
            .flat_map(|links| links.clone())
            .min_by_key(|link| link.liveness().used());
        if let Some(link) = idlest {
            link.close(Close::Crowded, "too many connections");
            self.remove(&link);
        }
    }
}

fn best<'a>(links: impl Iterator<Item = &'a Arc<Link>>, now: Instant) -> Option<&'a Arc<Link>> {
    let open = links.filter(|link| link.is_open());
    open.reduce(|best, link| {
        if link.liveness().outranks(best.liveness(), now) {
            link
        } else {
            best
        }
    })
}
