//! Introductions have a bound: whoever holds the secret and asks without end gets few at a time,
//! and the membership does not notice.
#![allow(clippy::unwrap_used)] // A failing test is to panic.

mod common;

use std::net::SocketAddr;

use common::*;
use convoke::identity::server_name;
use convoke::{Identity, Node, Secret};
use quinn::{Connection, ConnectionError, Endpoint};

const PROTOCOL: &[u8] = b"convoke-hello/1";
/// Far more than get an answer at a time.
const ASKERS: usize = 100;

async fn ask(endpoint: &Endpoint, identity: &Identity, node: &Node) -> Connection {
    let config = identity.client_config(PROTOCOL);
    let name = server_name(node.name().id());
    let connecting = endpoint.connect_with(config, node.gossip_address(), &name);
    connecting.unwrap().await.unwrap()
}

fn is_put_off(connection: &Connection) -> bool {
    let reason = connection.close_reason();
    reason.is_some_and(|end| matches!(end, ConnectionError::ApplicationClosed(close) if close.reason == "too many ask"))
}

#[tokio::test]
async fn of_many_who_ask_at_once_few_are_answered_and_the_rest_is_put_off() {
    let secret = Secret::generate();
    let nodes = [
        Node::start(options("a@127.0.0.1", &secret)).await.unwrap(),
        Node::start(options("b@127.0.0.1", &secret)).await.unwrap(),
    ];
    nodes[1].join(&address(&nodes[0])).await.unwrap();
    let endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let identity = Identity::new(&name("asker@127.0.0.1"), &secret).unwrap();
    // Nobody listens to what is said: each would keep its place until the node gives it up.
    let mut asking = Vec::new();
    for _ in 0..ASKERS {
        asking.push(ask(&endpoint, &identity, &nodes[0]).await);
    }
    until("most were put off, or were given up", || {
        let open = asking.iter().filter(|of| of.close_reason().is_none());
        let open = open.count();
        (open > 16).then(|| format!("{open} are open"))
    })
    .await;
    assert!(asking.iter().any(is_put_off), "the bound was met");

    until("the places are free again", || {
        let open = asking.iter().filter(|of| of.close_reason().is_none());
        let open = open.count();
        (open > 0).then(|| format!("{open} are open"))
    })
    .await;
    let last = ask(&endpoint, &identity, &nodes[0]).await;
    let mut said = last.accept_uni().await.unwrap();
    assert!(!said.read_to_end(4096).await.unwrap().is_empty());
    converged(&nodes).await;
    let view = nodes[0].view();
    assert_eq!(
        view.members().count(),
        2,
        "who asked is no member: {view:?}"
    );
}
