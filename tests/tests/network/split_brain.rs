//! The side of a partition that gives up, where a policy says so.

use std::time::Duration;

use convoke_tests::{Cut, Hosts, Launch, Network, Node, eventually, throughout};

use crate::ground::PATIENCE;

const SIDES: [Hosts; 2] = [1..=3, 4..=5];
/// For so long a side that is restarted while it is cut off can't see the cut; and longer.
const UNSEEN: Duration = Duration::from_secs(20);
/// The exit code of a node that is down, where `on_down` is `exit`.
const DOWNED: i32 = 79;

/// Five nodes of one cluster, whose smaller side gives up when a partition has stood for twelve seconds, the least.
fn start(change: impl Fn(Launch) -> Launch) -> (Vec<Node>, Network) {
    let network = Network::new(5);
    let nodes = network.start_cluster_as(|launch| {
        let launch = launch.env("CONVOKE_CLUSTER_SPLIT_BRAIN", "keep-majority");
        change(launch.env("CONVOKE_CLUSTER_STABLE_AFTER", "12s"))
    });
    (nodes, network)
}

fn count(node: &Node, event: &str) -> usize {
    let events = node.events();
    events.iter().filter(|found| found.event == event).count()
}

/// Waits until all are one cluster, with quorum, and nobody is down.
fn wait_until_up(nodes: &[Node]) {
    Node::wait_until_one_within(&nodes.iter().collect::<Vec<_>>(), PATIENCE);
    eventually("all are up", PATIENCE, || {
        nodes.iter().try_for_each(|node| {
            let seen = node.status()?;
            let up = seen.cluster.quorum && seen.cluster.down.is_none();
            up.then_some(()).ok_or_else(|| format!("{seen:#?}"))
        })
    });
}

#[test]
fn the_smaller_side_is_down_until_the_network_is_whole() {
    let (nodes, network) = start(|launch| launch);
    let (kept, lost) = nodes.split_at(3);
    network.cut(&Cut::sides(&SIDES));
    eventually("the smaller side is down", PATIENCE, || {
        lost.iter().try_for_each(|node| {
            let seen = node.status()?;
            let down = seen.cluster.down.as_ref();
            let down = down.is_some_and(|down| down.policy == "keep-majority");
            (down && !seen.cluster.quorum)
                .then_some(())
                .ok_or_else(|| format!("{seen:#?}"))
        })
    });
    for node in lost {
        let log = node.log();
        assert!(log.contains("ERROR") && log.contains("down"), "{log}");
    }
    network.mend();
    wait_until_up(&nodes);
    for node in lost {
        assert_eq!((count(node, "downed"), count(node, "restored")), (1, 1));
    }
    for node in kept {
        assert_eq!((count(node, "downed"), count(node, "quorum_lost")), (0, 0));
    }
}

#[test]
fn a_side_that_gives_up_can_end_with_a_code_of_its_own_and_comes_back_when_it_is_started_again() {
    let (mut nodes, network) = start(|launch| launch.env("CONVOKE_CLUSTER_ON_DOWN", "exit"));
    network.cut(&Cut::sides(&SIDES));
    for node in &mut nodes[3..] {
        assert_eq!(node.wait_until_ended(PATIENCE), Some(DOWNED));
        let log = node.log();
        assert!(log.contains("downed by cluster.split_brain"), "{log}");
    }
    // As a service manager does: it runs, and has no quorum as long as it reaches nobody.
    nodes[3].restart();
    assert!(!nodes[3].view().cluster.quorum, "{:#?}", nodes[3].view());
    for node in &nodes[..3] {
        let seen = node.view();
        let goes_on = seen.cluster.quorum && seen.cluster.down.is_none();
        assert!(goes_on && count(node, "downed") == 0, "{seen:#?}");
    }
    network.mend();
    nodes[4].restart();
    wait_until_up(&nodes);
}

/// The larger side, which has not the oldest, is restarted while it is down: with more than half of all
/// it would have gone on.
#[test]
fn a_side_that_gave_up_is_down_after_a_restart_too() {
    let (mut nodes, network) = start(|launch| {
        launch
            .env("CONVOKE_CLUSTER_SPLIT_BRAIN", "keep-oldest")
            .env("CONVOKE_CLUSTER_QUORUM", "none")
    });
    let age = |node: &Node| {
        let seen = node.view();
        let own = seen.members.into_iter().find(|held| held.name == node.name);
        own.expect("it is a member").incarnation
    };
    let oldest = (0..4).min_by_key(|&n| age(&nodes[n]));
    let oldest = oldest.expect("there are four") as u8 + 1;
    // The oldest of the first four and the next one, unless the fifth is older still.
    let kept: Hosts = match age(&nodes[4]) < age(&nodes[usize::from(oldest) - 1]) {
        true => 4..=5,
        false => oldest..=oldest + 1,
    };
    let (before, after): (Hosts, Hosts) = (1..=kept.start() - 1, kept.end() + 1..=5);
    network.cut(&Cut::between(&kept, &before).and(&Cut::between(&kept, &after)));
    let lost: Vec<_> = before
        .chain(after)
        .map(|host| usize::from(host) - 1)
        .collect();
    let all_down = |nodes: &[Node]| {
        lost.iter().try_for_each(|&host| {
            let seen = nodes[host].status()?;
            let down = seen.cluster.down.is_some();
            down.then_some(()).ok_or_else(|| format!("{seen:#?}"))
        })
    };
    eventually("the larger side is down", PATIENCE, || all_down(&nodes));
    for &host in &lost {
        nodes[host].kill();
    }
    for &host in &lost {
        nodes[host].restart();
    }
    throughout("it stays down", UNSEEN, || all_down(&nodes));
    eventually("it sees whom it lacks", PATIENCE, || {
        lost.iter().try_for_each(|&host| {
            let seen = nodes[host].status()?;
            let partition = seen.cluster.partition.as_ref();
            let unreachable = partition.map(|partition| partition.unreachable.len());
            let sees = unreachable == Some(2) && seen.stopped_nodes.len() == 2;
            sees.then_some(()).ok_or_else(|| format!("{seen:#?}"))
        })
    });
    all_down(&nodes).expect("it is down still");
    for host in kept {
        let seen = nodes[usize::from(host) - 1].view();
        assert!(seen.cluster.down.is_none(), "{seen:#?}");
    }
    network.mend();
    wait_until_up(&nodes);
}
