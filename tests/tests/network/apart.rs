//! Sides that stay apart, and what an operator does meanwhile.

use std::collections::BTreeSet;
use std::time::Duration;

use convoke_tests::{Cut, Hosts, Launch, Network, Node, Status, eventually, throughout};

use crate::ground::{PATIENCE, names};

/// Four times the mean time between two attempts at a lost member.
const HEALS: Duration = Duration::from_secs(20);

/// Longer than anything that was sent is repeated.
const UNDER_WAY: Duration = Duration::from_secs(10);

/// What a node of `side` must show where it has lost these.
fn check(seen: &Status, side: &Hosts, lost: &Hosts, quorum: bool) -> Result<(), String> {
    let (own, lost) = (names(side.clone()), names(lost.clone()));
    let partition = seen.cluster.partition.as_ref();
    let cut = partition.is_some_and(|found| found.kind == "cut" && found.unreachable == lost);
    let members = seen.running_nodes == own && seen.stopped_nodes == lost;
    (members && cut && seen.cluster.quorum == quorum)
        .then_some(())
        .ok_or_else(|| format!("{seen:#?}"))
}

#[test]
fn without_autoheal_sides_wait_for_a_join_and_one_makes_all_one() {
    let network = Network::new(6);
    let mut nodes =
        network.start_cluster_as(|launch| launch.env("CONVOKE_CLUSTER_AUTOHEAL", "false"));
    let sides: [Hosts; 2] = [1..=3, 4..=6];
    network.cut(&Cut::sides(&sides));
    let apart = |nodes: &[Node]| {
        nodes.iter().enumerate().try_for_each(|(place, node)| {
            let side = usize::from(place >= 3);
            check(&node.status()?, &sides[side], &sides[1 - side], false)
        })
    };
    eventually("both sides see the cut", PATIENCE, || apart(&nodes));
    // What was sent to the lost before they were found dead would arrive after all.
    throughout("nothing is under way any more", UNDER_WAY, || apart(&nodes));
    network.mend();
    throughout("they stay apart", HEALS, || apart(&nodes));
    // One that is started anew is back on its own side, and sees what it lacks as the others do.
    nodes[5].kill();
    nodes[5].restart();
    eventually("the one that was started anew is back", PATIENCE, || {
        apart(&nodes)
    });
    throughout("they stay apart after that", UNDER_WAY, || apart(&nodes));
    nodes[0].join(&nodes[4].name);
    Node::wait_until_one_within(&nodes.iter().collect::<Vec<_>>(), PATIENCE);
    for node in &nodes {
        eventually("it tells that the partition is healed", PATIENCE, || {
            let mut events = node.events();
            events.retain(|event| event.event == "partition_healed");
            let sides: Vec<_> = events.iter().map(|event| event.sides).collect();
            (sides == [Some(2)])
                .then_some(())
                .ok_or_else(|| format!("{events:?}"))
        });
    }
}

/// Discovery brings a newcomer to one of the sides, and makes them one as little as they do themselves.
#[test]
fn without_autoheal_a_newcomer_whom_discovery_leads_to_both_sides_is_on_one() {
    let by_hand = |launch: Launch| launch.env("CONVOKE_CLUSTER_AUTOHEAL", "false");
    let network = Network::new(7);
    let mut nodes = Node::start_all((1..=4).map(|n| by_hand(network.launch(n))));
    for node in &nodes[1..] {
        node.join(&nodes[0].name);
    }
    Node::wait_until_one(&nodes.iter().collect::<Vec<_>>());
    let sides: [Hosts; 2] = [1..=2, 3..=4];
    network.cut(&Cut::sides(&sides));
    let two_sides = |nodes: &[Node]| {
        let seen: Result<BTreeSet<_>, String> = nodes
            .iter()
            .map(|node| Ok(node.status()?.running_nodes))
            .collect();
        let seen = seen?;
        let members: usize = seen.iter().map(Vec::len).sum();
        (seen.len() == 2 && members == nodes.len())
            .then_some(())
            .ok_or_else(|| format!("{seen:#?}"))
    };
    eventually("both sides see the cut", PATIENCE, || two_sides(&nodes));
    throughout("nothing is under way any more", UNDER_WAY, || {
        two_sides(&nodes)
    });
    network.mend();
    let seeds = [Network::name(1), Network::name(3)].join(",");
    for n in 5..=7 {
        let newcomer = by_hand(network.launch(n))
            .env("CONVOKE_CLUSTER_DISCOVERY", "static")
            .env("CONVOKE_CLUSTER_STATIC_SEEDS", &seeds)
            .env("CONVOKE_CLUSTER_DISCOVERY_INTERVAL", "500ms");
        nodes.push(newcomer.start());
        let what = format!("newcomer {n} is on one of the sides");
        eventually(&what, PATIENCE, || two_sides(&nodes));
    }
    throughout("they stay apart", HEALS, || two_sides(&nodes));
}

/// The operator's contract has no quorum among the reasons to refuse a join: a fleet that has lost
/// most of its hosts for good takes in new ones. They count as everybody does, who lacks them.
#[test]
fn a_side_without_quorum_lets_newcomers_in_who_see_what_it_lacks() {
    let network = Network::new(6);
    let mut nodes = Node::start_all((1..=5).map(|n| network.launch(n)));
    for node in &nodes[1..] {
        node.join(&nodes[0].name);
    }
    Node::wait_until_one(&nodes.iter().collect::<Vec<_>>());
    let (most, few): (Hosts, Hosts) = (1..=3, 4..=5);
    network.cut(&Cut::sides(&[most.clone(), 4..=6]));
    eventually("both sides see the cut", PATIENCE, || {
        let (large, small) = nodes.split_at(3);
        let mut large = large.iter();
        large.try_for_each(|node| check(&node.status()?, &most, &few, true))?;
        let mut small = small.iter();
        small.try_for_each(|node| check(&node.status()?, &few, &most, false))
    });
    let newcomer = network.launch(6).start();
    newcomer.join(&nodes[4].name);
    nodes.push(newcomer);
    // Three of six are no majority.
    eventually("all of them see the same", PATIENCE, || {
        let mut small = nodes[3..].iter();
        small.try_for_each(|node| check(&node.status()?, &(4..=6), &most, false))
    });
    network.mend();
    Node::wait_until_one_within(&nodes.iter().collect::<Vec<_>>(), PATIENCE);
    for node in &nodes {
        assert!(node.view().cluster.quorum, "{:#?}", node.view());
    }
}
