//! chitchat over its UDP transport: an exchange a second, and the failure detector's defaults.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chitchat::transport::UdpTransport;
use chitchat::{
    ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig, ProtocolVersion,
    spawn_chitchat,
};

use super::super::ground::Ground;
use super::super::subject::Subject;
use super::super::views::{Sight, Watcher};

const PORT: u16 = 7946;
const GOSSIP_INTERVAL: Duration = Duration::from_secs(1);
/// How long a deleted key is remembered. There are none.
const DELETED_KEPT: Duration = Duration::from_secs(3600);

/// chitchat.
#[derive(Debug)]
pub(super) struct Chitchat;

/// A node. It is told its seed where it starts, and so starts where it joins; the seed starts when
/// the first joins it.
#[derive(Clone)]
pub(super) struct Node {
    watcher: Watcher,
    running: Arc<OnceLock<ChitchatHandle>>,
}

impl Subject for Chitchat {
    type Node = Node;

    async fn start(&self, watcher: Watcher) -> Result<Node, String> {
        let node = Node {
            watcher,
            running: Arc::default(),
        };
        // The one that the others join.
        if node.watcher.observer() == 0 {
            node.run(Vec::new()).await?;
        }
        Ok(node)
    }

    async fn join(node: Node, seed: Node) -> Result<(), String> {
        let seed = address(seed.watcher.observer());
        node.run(vec![seed.to_string()]).await
    }

    async fn leave(_: Node) -> Result<(), String> {
        Err("chitchat says no goodbye".to_owned())
    }

    fn abort(node: &Node) {
        if let Some(running) = node.running.get() {
            running.abort();
        }
    }
}

impl Node {
    async fn run(&self, seed_nodes: Vec<String>) -> Result<(), String> {
        let number = self.watcher.observer();
        let config = ChitchatConfig {
            chitchat_id: ChitchatId::new(format!("n{number}"), 0, address(number)),
            cluster_id: "convergence".to_owned(),
            gossip_interval: GOSSIP_INTERVAL,
            listen_addr: address(number),
            seed_nodes,
            failure_detector_config: FailureDetectorConfig::default(),
            marked_for_deletion_grace_period: DELETED_KEPT,
            catchup_callback: None,
            extra_liveness_predicate: None,
            protocol_version: ProtocolVersion::V0,
        };
        let handle = spawn_chitchat(config, Vec::new(), &UdpTransport).await;
        let handle = handle.map_err(|error| error.to_string())?;
        tokio::spawn(watch(handle.chitchat(), self.watcher.clone()));
        self.running
            .set(handle)
            .map_err(|_| "the node runs already".to_owned())
    }
}

fn address(number: usize) -> SocketAddr {
    (Ground::address(number), PORT).into()
}

/// Hands on who is live and who is no more, each time when that changes.
async fn watch(chitchat: Arc<tokio::sync::Mutex<chitchat::Chitchat>>, watcher: Watcher) {
    let mut live = chitchat.lock().await.live_nodes_watcher();
    // The node ends with its task, not with this one.
    drop(chitchat);
    let mut before = BTreeSet::new();
    loop {
        let ids = live.borrow_and_update().keys().filter_map(number).collect();
        for up in BTreeSet::difference(&ids, &before) {
            watcher.saw(*up, Sight::Up);
        }
        for down in before.difference(&ids) {
            watcher.saw(*down, Sight::Failed);
        }
        before = ids;
        if live.changed().await.is_err() {
            return;
        }
    }
}

fn number(id: &ChitchatId) -> Option<usize> {
    id.node_id.strip_prefix('n')?.parse().ok()
}
