//! Processes that end on hosts that live: the port refuses, and nobody waits for an answer.
#![allow(clippy::unwrap_used)] // A failing test is to panic.

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{PATIENCE, all_hold, converged, fleet};
use convoke::faults::FaultyNetwork;
use convoke::{EngineConfig, Event, MemberState, Node, NodeName, Received, Subscription};
use tokio::net::UdpSocket;

/// A detector that waits far longer for a silent member than a test does.
fn patient() -> EngineConfig {
    EngineConfig {
        suspicion_min: Duration::from_secs(120),
        suspicion_max: Duration::from_secs(480),
        ..EngineConfig::local()
    }
}

/// Whether the verdict about a member was by refusal, as a node tells it.
async fn refused(events: &mut Subscription, of: &NodeName) -> bool {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let next = tokio::time::timeout(left, events.next()).await;
        let Some(Received::Notice(notice)) = next.expect("a verdict comes in time") else {
            panic!("all events are there");
        };
        match &notice.event {
            Event::MemberFailed { member, refused } if member.name == *of => return *refused,
            _ => {}
        }
    }
}

/// Ends the last node without a word, and waits until the others hold it as failed.
async fn abort_last(nodes: &mut Vec<Node>) -> Vec<bool> {
    let victim = nodes.pop().unwrap();
    let mut events: Vec<_> = nodes.iter().map(Node::subscribe).collect();
    victim.abort();
    all_hold(nodes, victim.name(), Some(MemberState::Failed)).await;
    let mut verdicts = Vec::new();
    for events in &mut events {
        verdicts.push(refused(events, victim.name()).await);
    }
    verdicts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_whose_port_refuses_is_failed_without_the_time_to_refute() {
    for size in [2, 3, 6] {
        let mut nodes = fleet(size, |options| options.engine = patient()).await;
        let verdicts = abort_last(&mut nodes).await;
        assert!(verdicts.iter().all(|refused| *refused), "of {size}");
        assert!(nodes.iter().all(|n| n.view().partition().is_none()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_behind_a_port_that_is_filtered_is_failed_by_its_silence() {
    let (network, faults) = FaultyNetwork::new(3);
    let network = Arc::new(network);
    let mut nodes = fleet(3, |options| options.network = network.clone()).await;
    faults.silence(nodes[2].gossip_address());
    let verdicts = abort_last(&mut nodes).await;
    assert_eq!(verdicts, [false, false]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_lives_neither_refuses_a_knock_nor_minds_it() {
    let nodes = fleet(2, |_| {}).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(nodes[0].gossip_address()).await.unwrap();
    for _ in 0..100 {
        socket.send(&[0]).await.unwrap();
    }
    let answer = tokio::time::timeout(Duration::from_millis(300), socket.recv(&mut [0; 64])).await;
    assert!(answer.is_err(), "{answer:?}");
    converged(&nodes).await;
}
