//! Nodes over real QUIC on loopback: they come, go, fail, and agree.
#![allow(clippy::unwrap_used)] // A failing test is to panic.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use common::{address, all_hold, converged, fleet, name, options, until};
use convoke::faults::FaultyNetwork;
use convoke::{
    EngineConfig, Event, ForceLeaveError, JoinError, LeaveError, MemberState, Node, NodeName, Peer,
    Received, Secret,
};

#[tokio::test]
async fn two_nodes_become_one_cluster_and_both_see_the_same() {
    let nodes = fleet(2, |_| {}).await;
    let view = nodes[1].view();
    let names: Vec<_> = view.running().map(NodeName::as_str).collect();
    assert_eq!(names, ["n0@127.0.0.1", "n1@127.0.0.1"]);
    assert_eq!(view.cluster_id(), nodes[0].view().cluster_id());
    let member = view.member(nodes[0].name()).unwrap();
    assert_eq!(member.address, nodes[0].gossip_address());
    assert_eq!(member.rpc_address, nodes[0].rpc_address());
    assert_eq!(member.version.as_ref(), env!("CARGO_PKG_VERSION"));
    assert!(nodes[1].rtt(nodes[0].name()).is_some());
}

#[tokio::test]
async fn a_join_says_what_is_wrong_with_its_target() {
    let nodes = fleet(2, |_| {}).await;
    let myself = nodes[0]
        .join(&Peer::Name(nodes[0].name().clone()))
        .await
        .unwrap_err();
    assert!(myself.is_myself(), "{myself}");
    let myself = nodes[0].join(&address(&nodes[0])).await.unwrap_err();
    assert!(myself.is_myself(), "{myself}");
    let member = nodes[0].join(&address(&nodes[1])).await.unwrap_err();
    assert_eq!(member.to_string(), "already in the cluster");
    let nowhere = nodes[0]
        .join(&"x@no-such-host.invalid".parse().unwrap())
        .await
        .unwrap_err();
    assert!(matches!(nowhere, JoinError::Resolve(_)), "{nowhere}");
    let free = std::net::UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let silent = nodes[0].join(&Peer::Address(free)).await.unwrap_err();
    assert!(silent.to_string().contains(&free.to_string()), "{silent}");
    converged(&nodes).await;
}

#[tokio::test]
async fn five_join_and_one_leaves_and_goes_on_alone() {
    let nodes = fleet(5, |_| {}).await;
    let leaver = nodes[4].name().clone();
    let cluster = nodes[0].view().cluster_id();
    nodes[4].leave().await.unwrap();
    all_hold(&nodes[..4], &leaver, Some(MemberState::Left)).await;
    let alone = nodes[4].view();
    assert_eq!(alone.size(), 1);
    assert_ne!(alone.cluster_id(), cluster);
    assert_eq!(
        nodes[4].leave().await.unwrap_err().to_string(),
        "not in a cluster"
    );
    nodes[4].join(&address(&nodes[2])).await.unwrap();
    converged(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dies_is_failed_everywhere_and_revives_by_a_new_start() {
    let secret = Secret::generate();
    let mut nodes = Vec::new();
    for at in 0..6 {
        let node = Node::start(options(&format!("n{at}@127.0.0.1"), &secret))
            .await
            .unwrap();
        if at > 0 {
            node.join(&address(&nodes[0])).await.unwrap();
        }
        nodes.push(node);
    }
    converged(&nodes).await;
    let dead = nodes.pop().unwrap();
    let (victim, listen) = (dead.name().clone(), dead.gossip_address());
    let old = nodes[0].view().member(&victim).unwrap().incarnation;
    dead.abort();
    dead.closed().await;
    all_hold(&nodes, &victim, Some(MemberState::Failed)).await;
    // Nobody else: whoever a busy host made look dead for a moment has said that it lives.
    until("it alone is stopped", || {
        nodes.iter().find_map(|node| {
            let view = node.view();
            let alone = view.stopped().eq([&victim]);
            (!alone).then(|| format!("{:?}", view.stopped().collect::<Vec<_>>()))
        })
    })
    .await;

    let again = convoke::Options {
        listen: Some(listen),
        ..options(victim.as_str(), &secret)
    };
    let again = Node::start(again).await.unwrap();
    again.join(&address(&nodes[1])).await.unwrap();
    nodes.push(again);
    converged(&nodes).await;
    assert!(nodes[0].view().member(&victim).unwrap().incarnation > old);
}

#[tokio::test]
async fn a_removed_node_goes_on_alone_and_stays_out() {
    let nodes = fleet(4, |_| {}).await;
    let removed = nodes[3].name().clone();
    nodes[1].force_leave(&removed).await.unwrap();
    all_hold(&nodes[..3], &removed, None).await;
    until("the removed one is alone", || {
        let view = nodes[3].view();
        (view.size() != 1).then(|| format!("{view:?}"))
    })
    .await;
    assert!(!nodes[3].discovery_enabled());
    converged(&nodes[..3]).await;
    let unknown = nodes[0].force_leave(&removed).await.unwrap_err();
    assert_eq!(unknown.to_string(), "not in the cluster");
    let myself = nodes[0].force_leave(nodes[0].name()).await.unwrap_err();
    assert!(matches!(myself, ForceLeaveError::Cluster(_)));
}

#[tokio::test]
async fn tags_travel_and_have_a_bound() {
    let nodes = fleet(3, |_| {}).await;
    let tags = BTreeMap::from([("role".to_owned(), "db".to_owned())]);
    nodes[2].set_tags(tags.clone()).await.unwrap();
    until("all see the tags", || {
        let view = |node: &Node| {
            node.view()
                .member(nodes[2].name())
                .map(|m| m.tags().clone())
        };
        nodes
            .iter()
            .find(|node| view(node) != Some(tags.clone()))
            .map(|node| format!("{node:?}"))
    })
    .await;
    let large = BTreeMap::from([("x".to_owned(), "y".repeat(600))]);
    assert!(nodes[2].set_tags(large).await.is_err());
}

#[tokio::test]
async fn all_members_answer_over_the_rpc_port_with_one_fingerprint() {
    let nodes = fleet(4, |_| {}).await;
    let first = nodes[0].view().fingerprint();
    for _ in 0..2 {
        let asked = nodes[2].fingerprints(Duration::from_secs(5)).await;
        let expected: Vec<_> = nodes
            .iter()
            .map(|node| (node.name().clone(), Ok(first)))
            .collect();
        assert_eq!(asked, expected);
    }
    nodes[3].abort();
    let asked = nodes[2].fingerprints(Duration::from_secs(1)).await;
    assert!(asked[..3].iter().all(|(_, answer)| *answer == Ok(first)));
    assert!(asked[3].1.is_err());
}

#[tokio::test]
async fn every_event_is_seen_in_the_view_when_it_is_heard() {
    let secret = Secret::generate();
    let first = Node::start(options("first@127.0.0.1", &secret))
        .await
        .unwrap();
    let joiner = Node::start(options("joiner@127.0.0.1", &secret))
        .await
        .unwrap();
    let mut events = first.subscribe();
    joiner.join(&address(&first)).await.unwrap();
    let Some(Received::Notice(notice)) = events.next().await else {
        panic!("no notice")
    };
    let Event::MemberJoined(profile) = &notice.event else {
        panic!("{notice:?}")
    };
    assert_eq!((notice.seq, &profile.name), (1, joiner.name()));
    assert!(first.view().member(joiner.name()).is_some());
    joiner.shutdown().await;
    let Some(Received::Notice(notice)) = events.next().await else {
        panic!("no notice")
    };
    assert!(matches!(&notice.event, Event::MemberLeft(member) if member.name == *joiner.name()));
}

#[tokio::test]
async fn a_shutdown_frees_the_ports_and_ends_the_handle() {
    let nodes = fleet(2, |_| {}).await;
    let (gossip, rpc) = (nodes[1].gossip_address(), nodes[1].rpc_address());
    let mut events = nodes[1].subscribe();
    nodes[1].shutdown().await;
    for address in [gossip, rpc] {
        std::net::UdpSocket::bind(address).unwrap();
    }
    assert!(matches!(nodes[1].leave().await, Err(LeaveError::Stopped)));
    assert!(matches!(
        nodes[1].join(&address(&nodes[0])).await,
        Err(JoinError::Stopped)
    ));
    while let Some(received) = events.next().await {
        assert!(matches!(received, Received::Notice(_)));
    }
    all_hold(&nodes[..1], nodes[1].name(), Some(MemberState::Left)).await;
    // Alone, too.
    nodes[0].shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenth_of_all_datagrams_lost_fails_nobody() {
    let (network, faults) = FaultyNetwork::new(11);
    let network = Arc::new(network);
    let nodes = fleet(8, |options| {
        options.network = network.clone();
        options.engine = EngineConfig::lan();
    })
    .await;
    let mut events: Vec<_> = nodes.iter().map(Node::subscribe).collect();
    faults.set_loss(0.1);
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert!(
        faults.dropped() > 50,
        "the loss was real: {}",
        faults.dropped()
    );
    faults.heal();
    converged(&nodes).await;
    nodes.iter().for_each(Node::abort);
    for events in &mut events {
        while let Some(received) = events.next().await {
            let Received::Notice(notice) = received else {
                panic!("missed")
            };
            assert!(
                !matches!(notice.event, Event::MemberFailed { .. }),
                "{notice:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_halves_see_the_cut_and_become_one_again() {
    let (network, faults) = FaultyNetwork::new(12);
    let network = Arc::new(network);
    let nodes = fleet(6, |options| options.network = network.clone()).await;
    let side = |nodes: &[Node]| nodes.iter().map(Node::gossip_address).collect::<Vec<_>>();
    faults.cut(&[side(&nodes[..3]), side(&nodes[3..])]);
    for (ours, theirs) in [(&nodes[..3], &nodes[3..]), (&nodes[3..], &nodes[..3])] {
        for node in theirs {
            all_hold(ours, node.name(), Some(MemberState::Failed)).await;
        }
        until("the cut is seen", || {
            let blind = ours.iter().find(|node| node.view().partition().is_none());
            blind.map(|node| format!("{node:?}"))
        })
        .await;
    }
    faults.heal();
    converged(&nodes).await;
    until("no partition is left", || {
        let sees = nodes.iter().find(|node| node.view().partition().is_some());
        sees.map(|node| format!("{node:?}"))
    })
    .await;
}

#[tokio::test]
async fn a_node_that_is_dialed_by_another_ones_name_is_not_taken_for_it() {
    let secret = Secret::generate();
    let convoke = |text: &str, port| {
        let mut options = options(text, &secret);
        options.listen = Some(std::net::SocketAddr::from(([127, 91, 0, 1], port)));
        Node::start(options)
    };
    let joiner = convoke("joiner@127.91.0.1", 0).await.unwrap();
    let _other = convoke("other@127.91.0.1", 4377).await.unwrap();
    let wrong = joiner
        .join(&Peer::Name(name("meant7@127.91.0.1")))
        .await
        .unwrap_err();
    let text = wrong.to_string();
    assert!(
        text.contains("is another node (other@127.91.0.1), not meant7@127.91.0.1"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_joins_settles_on_one_connection_a_pair() {
    const SIZE: usize = 5;
    let secret = Secret::generate();
    let mut nodes = Vec::new();
    for at in 0..SIZE {
        nodes.push(
            Node::start(options(&format!("n{at}@127.0.0.1"), &secret))
                .await
                .unwrap(),
        );
    }
    let joins: Vec<_> = nodes[1..]
        .iter()
        .map(|node| {
            let (node, seed) = (node.clone(), address(&nodes[0]));
            tokio::spawn(async move { node.join(&seed).await })
        })
        .collect();
    for join in joins {
        join.await.unwrap().unwrap();
    }
    converged(&nodes).await;
    // So few are all ring neighbours of each other.
    until("there is one connection a pair", || {
        let open: Vec<_> = nodes
            .iter()
            .map(|node| node.stats().connections as usize)
            .collect();
        open.iter()
            .any(|&open| open != SIZE - 1)
            .then(|| format!("{open:?}"))
    })
    .await;
}
