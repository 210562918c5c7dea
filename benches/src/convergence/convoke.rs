//! Convoke's own nodes, with its defaults.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use convoke::{
    Event, MemberState, Node, NodeName, Options, Peer, Received, Secret, Subscription, View,
};

use super::ground::Ground;
use super::subject::Subject;
use super::views::{Sight, Watcher};

/// The ports of every node: each has an address of its own.
const GOSSIP_PORT: u16 = 4370;
const RPC_PORT: u16 = 5370;

/// Nodes of one secret.
#[derive(Debug)]
pub(super) struct Convoke {
    secret: Secret,
}

impl Default for Convoke {
    fn default() -> Self {
        let secret = Secret::generate();
        Self { secret }
    }
}

impl Subject for Convoke {
    type Node = Node;

    async fn start(&self, watcher: Watcher) -> Result<Node, String> {
        let address = IpAddr::V4(Ground::address(watcher.observer()));
        let name = name(watcher.observer(), address);
        let options = Options {
            listen: Some(SocketAddr::new(address, GOSSIP_PORT)),
            rpc_listen: Some(SocketAddr::new(address, RPC_PORT)),
            ..Options::new(name, self.secret.clone())
        };
        let node = Node::start(options).await;
        let node = node.map_err(|error| error.to_string())?;
        tokio::spawn(watch(node.clone(), node.subscribe(), watcher));
        Ok(node)
    }

    async fn join(node: Node, seed: Node) -> Result<(), String> {
        let joined = node.join(&Peer::Address(seed.gossip_address())).await;
        joined.map_err(|error| error.to_string())
    }

    async fn leave(node: Node) -> Result<(), String> {
        node.leave().await.map_err(|error| error.to_string())
    }

    fn connections(node: &Node) -> Option<u64> {
        Some(node.stats().connections)
    }

    fn abort(node: &Node) {
        node.abort();
    }
}

/// `n<number>@<address>`.
fn name(number: usize, address: IpAddr) -> NodeName {
    let name = format!("n{number}@{address}").parse();
    name.expect("a node name by its form")
}

fn number(name: &NodeName) -> Option<usize> {
    name.local_part().strip_prefix('n')?.parse().ok()
}

/// Hands on what the node says, until it has ended.
async fn watch(node: Node, mut subscription: Subscription, watcher: Watcher) {
    while let Some(received) = subscription.next().await {
        match received {
            Received::Notice(notice) => hand_on(&notice.event, &watcher),
            Received::Missed(_) => look(&node.view(), &watcher),
        }
    }
}

fn hand_on(event: &Event, watcher: &Watcher) {
    let (name, sight) = match event {
        Event::MemberJoined(profile) => (&profile.name, Sight::Up),
        Event::MemberFailed { member, .. } => (&member.name, Sight::Failed),
        Event::MemberLeft(member)
        | Event::MemberRemoved(member)
        | Event::MemberForgotten(member) => (&member.name, Sight::Gone),
        _ => return,
    };
    if let Some(number) = number(name) {
        watcher.saw(number, sight);
    }
}

/// All that it holds now, where events were missed.
fn look(view: &Arc<View>, watcher: &Watcher) {
    for member in view.members() {
        let sight = match member.state {
            MemberState::Alive | MemberState::Suspect => Sight::Up,
            MemberState::Failed => Sight::Failed,
            MemberState::Left => Sight::Gone,
        };
        if let Some(number) = number(&member.name) {
            watcher.saw(number, sight);
        }
    }
}
