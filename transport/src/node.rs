//! The handle that programs hold.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use convoke_core::{Departure, Fingerprint, NodeName, Target};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::diagnose::{self, Diagnosis};
use crate::error::{ForceLeaveError, JoinError, LeaveError, RpcError, StartError, TagsError};
use crate::events::Subscription;
use crate::input::{Command, Input, Reply};
use crate::link::Close;
use crate::options::Options;
use crate::peer::{Peer, ResolveError};
use crate::rpc::Callers;
use crate::start::{Started, start};
use crate::stats::NodeStats;
use crate::view::View;
use crate::why::{self, Witness};

/// How long a goodbye may take, all in all.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the closing of connections may take to be heard.
const CLOSING_TIMEOUT: Duration = Duration::from_millis(500);

/// A running node. Clones are handles to the same one; when the last handle is dropped, the node
/// ends as by [`Node::abort`].
#[derive(Clone)]
pub struct Node(Arc<Inner>);

struct Inner {
    started: Started,
    callers: Callers,
}

impl Node {
    /// Starts a node: takes its ports and its data directory, and, where that remembers a
    /// cluster, begins to return to it. Must be called within a tokio runtime, on which the
    /// node's tasks run.
    ///
    /// Not cancel safe: a start that is dropped half-way leaves no node, but may leave its data
    /// directory made.
    ///
    /// # Errors
    /// When the name gives no port, a port is taken, the data directory can't be used, or the tags
    /// are too large. Nothing is left running.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let started = start(options).await?;
        let callers = Callers::new(started.rim.clone());
        Ok(Self(Arc::new(Inner { started, callers })))
    }

    /// The node's name.
    pub fn name(&self) -> &NodeName {
        self.0.started.rim.name()
    }

    /// Where the node listens for gossip.
    pub fn gossip_address(&self) -> SocketAddr {
        self.0.started.gossip_address
    }

    /// Where the node listens for calls of other nodes.
    pub fn rpc_address(&self) -> SocketAddr {
        self.0.started.rpc_address
    }

    /// What an operator should know about how the node started, a sentence each.
    pub fn warnings(&self) -> &[String] {
        &self.0.started.warnings
    }

    /// The cluster as the node sees it now. Waits for nobody.
    pub fn view(&self) -> Arc<View> {
        self.0.started.published.view.load_full()
    }

    /// What happens from now on.
    pub fn subscribe(&self) -> Subscription {
        self.0.started.published.subscribe()
    }

    /// Leaves the present cluster, if any, and joins the one of `peer`. Returns when this node
    /// holds every member that the peer held, or after the join timeout (10 s by default).
    ///
    /// Dropping the future does not stop the join.
    ///
    /// # Errors
    /// When the peer can't be found or reached, refuses, or is in the cluster already. But for
    /// [`convoke_core::output::JoinError::Incomplete`] the node is still in the cluster it was in.
    pub async fn join(&self, peer: &Peer) -> Result<(), JoinError> {
        let target = self.resolve(peer).await?;
        let joined = self.command(|reply| Command::Join(target, reply)).await;
        joined
            .ok_or(JoinError::Stopped)?
            .map_err(JoinError::Cluster)
    }

    /// Leaves the cluster and goes on alone, under a new cluster id, with discovery off.
    ///
    /// Dropping the future does not stop the leave.
    ///
    /// # Errors
    /// When there is nobody to leave.
    pub async fn leave(&self) -> Result<(), LeaveError> {
        let left = self
            .command(|reply| Command::Leave(Departure::Leave, reply))
            .await;
        left.ok_or(LeaveError::Stopped)?
            .map_err(LeaveError::Cluster)
    }

    /// Removes a member from the cluster, running or not. It stays out until it joins anew. Returns
    /// when the removal is on this node's disk and under way to the others. Where there are none
    /// ([`View::size`] is 1), it is told to them once they are met, unless this node leaves first.
    ///
    /// # Errors
    /// When nobody of that name is known, or it is this node.
    pub async fn force_leave(&self, name: &NodeName) -> Result<(), ForceLeaveError> {
        let removed = self
            .command(|reply| Command::ForceLeave(name.clone(), reply))
            .await;
        removed
            .ok_or(ForceLeaveError::Stopped)?
            .map_err(ForceLeaveError::Cluster)
    }

    /// Replaces this node's tags, for all to see.
    ///
    /// # Errors
    /// When they take more than [`convoke_core::member::TAGS_BYTES_MAX`] bytes.
    pub async fn set_tags(&self, tags: BTreeMap<String, String>) -> Result<(), TagsError> {
        let set = self.command(|reply| Command::SetTags(tags, reply)).await;
        set.ok_or(TagsError::Stopped)?.map_err(TagsError::Cluster)
    }

    /// Says whether discovery may bring this node together with others. Remembered over restarts
    /// where a strategy is configured.
    pub async fn set_discovery(&self, on: bool) {
        // No answer means that the node has ended, and discovery with it.
        let _ = self.command(|reply| Command::SetDiscovery(on, reply)).await;
    }

    /// Changes after how long this node forgets a member that failed or left; `None` keeps it.
    /// Whoever is absent for longer already is forgotten within a second or so, unless this side
    /// lacks quorum. To be set alike on all nodes; not remembered over restarts.
    ///
    /// Dropping the future does not undo the change.
    pub async fn set_autoclean(&self, autoclean: Option<Duration>) {
        // No answer means that the node has ended, and forgets nobody.
        let set = self.command(|reply| Command::SetAutoclean(autoclean, reply));
        let _ = set.await;
    }

    /// Whether it may: false after a leave and after a removal.
    pub fn discovery_enabled(&self) -> bool {
        self.0.started.published.discovery.load(Ordering::Relaxed)
    }

    /// Tells the node of a peer that discovery found. The node joins its cluster, or has it join,
    /// if that is not the same one; members are ignored.
    ///
    /// # Errors
    /// When the peer's host is not known.
    pub async fn propose(&self, peer: &Peer) -> Result<(), ResolveError> {
        let target = self.resolve(peer).await?;
        self.0
            .started
            .rim
            .hand_in(Input::Command(Command::Propose(target)))
            .await;
        Ok(())
    }

    /// Asks every running member over its RPC port for its fingerprint, this node included. Equal
    /// ones mean that all hold the same. Waits for each `limit` at the most. Cancel safe.
    pub async fn fingerprints(
        &self,
        limit: Duration,
    ) -> Vec<(NodeName, Result<Fingerprint, RpcError>)> {
        self.0.callers.fingerprints(&self.view(), limit).await
    }

    /// Asks this node, the member itself if it runs, its observers and some others what they found
    /// about a member of late: [`crate::why::WITNESSES_MAX`] nodes at the most, this one first.
    /// Also of one that is no member any more something may be known. Waits for each `limit` at the
    /// most. Cancel safe.
    pub async fn why(&self, about: &NodeName, limit: Duration) -> Vec<Witness> {
        let (view, started) = (self.view(), &self.0.started);
        let findings = started.published.findings.load_full();
        let told = why::tell(&findings, about, started.rim.now());
        let own = Witness {
            node: self.name().clone(),
            answer: Ok(why::read(&told, SystemTime::now())),
        };
        let others = why::witnesses(&view, about, &findings);
        let mut witnesses = vec![own];
        witnesses.extend(self.0.callers.why(&view, about, others, limit).await);
        witnesses
    }

    /// Looks at every step on the way to another node, from this one's standpoint and by its own
    /// socket, whether that is a member or not. Takes some seconds at the most, and changes
    /// nothing. Cancel safe.
    pub async fn diagnose(&self, peer: &Peer) -> Diagnosis {
        diagnose::from_node(&self.0.started, peer).await
    }

    /// QUIC's estimate of the round trip to a member, where a connection to it is open.
    pub fn rtt(&self, name: &NodeName) -> Option<Duration> {
        let rim = &self.0.started.rim;
        rim.pool.any(name.id(), rim.now()).map(|link| link.rtt())
    }

    /// Counters.
    pub fn stats(&self) -> NodeStats {
        let (engine, awareness) = &**self.0.started.published.stats.load();
        self.0
            .started
            .rim
            .counters
            .together(engine, *awareness, self.0.started.rim.pool.len())
    }

    /// Says goodbye, so that the others see this node as left at once, and ends it. Its cluster
    /// is remembered: a node that starts on the same data directory returns to it. Returns when
    /// the ports are free, after about four seconds at the most.
    ///
    /// Not cancel safe: a shutdown that is dropped leaves the node somewhere on the way.
    pub async fn shutdown(&self) {
        let goodbye = self.command(|reply| Command::Leave(Departure::Shutdown, reply));
        let _ = timeout(GOODBYE_TIMEOUT, goodbye).await;
        let _ = timeout(GOODBYE_TIMEOUT, self.command(Command::Persist)).await;
        self.0.started.rim.pool.close_all(Close::Bye, "goodbye");
        if let Some(endpoints) = self.0.started.rim.endpoints() {
            endpoints
                .gossip
                .close((Close::Bye as u32).into(), b"goodbye");
            endpoints.rpc.close((Close::Bye as u32).into(), b"goodbye");
            let idle =
                async { tokio::join!(endpoints.gossip.wait_idle(), endpoints.rpc.wait_idle()) };
            let _ = timeout(CLOSING_TIMEOUT, idle).await;
        }
        self.abort();
        self.closed().await;
    }

    /// Ends the node without a goodbye: the others will find it failed, and it stays one of those
    /// whom a quorum is of. Returns when all that is to be remembered is written and the ports are
    /// free.
    ///
    /// Not cancel safe: what is dropped leaves the node running, or ends as [`Node::abort`] does.
    pub async fn halt(&self) {
        let _ = timeout(GOODBYE_TIMEOUT, self.command(Command::Persist)).await;
        self.abort();
        self.closed().await;
    }

    /// Ends the node at once and without a word, as a kill would: the others will find it failed.
    /// The ports are free a moment later: see [`Node::closed`].
    pub fn abort(&self) {
        self.0.end();
    }

    /// Waits until the node has ended and its ports are free. Cancel safe.
    pub async fn closed(&self) {
        self.0.started.rim.tasks.ended().await;
    }

    async fn resolve(&self, peer: &Peer) -> Result<Target, ResolveError> {
        let started = &self.0.started;
        peer.resolve(started.gossip_address.ip(), &*started.port_map)
            .await
    }

    /// Hands a command to the driver and waits for its outcome; `None` when the node has ended.
    async fn command<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Option<T> {
        let (reply, outcome) = oneshot::channel();
        self.0
            .started
            .rim
            .hand_in(Input::Command(command(reply)))
            .await;
        outcome.await.ok()
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("name", self.name())
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn end(&self) {
        self.started.rim.abort();
        self.callers.clear();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.end();
    }
}
