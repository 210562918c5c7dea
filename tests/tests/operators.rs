//! What join, leave and force-leave mean: every row of the operator's table, on real processes.

use std::time::Duration;

use convoke_tests::{Fleet, Node, Run, eventually, throughout};

/// "At once", for what crosses one network: a tenth of what the failure detector takes at least.
const AT_ONCE: Duration = Duration::from_millis(500);
const SECONDS_10: Duration = Duration::from_secs(10);
/// The detector's bound for a silent crash, with the tests' machine under load.
const DETECTED: Duration = Duration::from_secs(10);

#[track_caller]
fn expect_lines(run: &Run, first: &str, running: &[&str], stopped: &[&str]) {
    run.expect_code(0);
    let status = format!(
        "Cluster status: running_nodes: [{}], stopped_nodes: [{}]",
        running.join(", "),
        stopped.join(", ")
    );
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.first(), Some(&first), "{run:#?}");
    assert!(
        lines.contains(&status.as_str()),
        "no line {status:?} in {run:#?}"
    );
}

/// Waits until none of these knows `name` any more, neither as running nor as stopped.
#[track_caller]
fn wait_until_forgotten(nodes: &[&Node], name: &str, limit: Duration) {
    eventually(&format!("{name} is removed everywhere"), limit, || {
        for node in nodes {
            let seen = node.status()?;
            if seen
                .running_nodes
                .iter()
                .chain(&seen.stopped_nodes)
                .any(|n| n == name)
            {
                return Err(format!("{seen:#?}"));
            }
        }
        Ok(())
    });
}

#[test]
fn a_joiner_takes_over_the_cluster_of_its_target() {
    let fleet = Fleet::new();
    let members = fleet.start_cluster(3);
    let joiner = fleet.start(4);
    let before = joiner.view();
    assert_ne!(before.cluster.id, members[0].view().cluster.id);

    let joined = joiner.join(&members[1].name);
    assert!(joined.took < SECONDS_10, "{joined:?}");
    let names: Vec<String> = (1..=4).map(|n| fleet.name(n)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    expect_lines(&joined, "Join the cluster successfully.", &names, &[]);

    // The joiner holds every member when the command ends, not some time later.
    let after = joiner.view();
    assert_eq!(after.running_nodes, names);
    assert_eq!(after.cluster.id, members[0].view().cluster.id);
    let all: Vec<&Node> = members.iter().chain([&joiner]).collect();
    Node::wait_until_one_within(&all, AT_ONCE);
}

#[test]
fn a_joiner_that_is_in_a_cluster_of_several_leaves_it_gracefully_first() {
    let fleet = Fleet::new();
    let old = fleet.start_cluster(3);
    let target = fleet.start(4);
    let mover = &old[2];

    mover.join(&target.name);
    for left_behind in &old[..2] {
        left_behind.wait_for_state(&mover.name, "left", AT_ONCE);
        assert_eq!(
            left_behind.events_of("member_failed", &mover.name).len(),
            0,
            "it was seen to leave"
        );
        assert_eq!(left_behind.events_of("member_left", &mover.name).len(), 1);
    }
    Node::wait_until_one(&[&old[0], &old[1]]);
    Node::wait_until_one(&[mover, &target]);
    assert_ne!(old[0].view().cluster.id, target.view().cluster.id);
}

#[test]
fn a_joiner_is_untouched_when_the_target_cannot_be_reached() {
    let fleet = Fleet::new();
    let members = fleet.start_cluster(2);
    let before = members[1].view();

    let nobody = fleet.name(99);
    let refused = members[1].convoke(&["cluster", "join", &nobody]);
    refused
        .expect_code(1)
        .expect_complaint(&[&format!("{}:4469", fleet.address(99)), "answer"]);
    assert!(refused.took < SECONDS_10, "{refused:?}");
    assert!(!refused.stdout.contains("successfully"), "{refused:?}");

    let unknown_host = members[1].convoke(&["cluster", "join", "convoke5@no-such-host.invalid"]);
    unknown_host
        .expect_code(1)
        .expect_complaint(&["no-such-host.invalid"]);
    assert!(unknown_host.took < SECONDS_10, "{unknown_host:?}");

    let after = members[1].view();
    assert_eq!(after.cluster.id, before.cluster.id);
    assert_eq!(after.cluster.fingerprint, before.cluster.fingerprint);
    assert_eq!(
        members[0].events_of("member_left", &members[1].name).len(),
        0,
        "it never left"
    );
}

#[test]
fn joining_itself_is_ignored() {
    let fleet = Fleet::new();
    let node = fleet.start(1);
    let joined = node.convoke(&["cluster", "join", &node.name]);
    joined.expect_code(0);
    assert_eq!(joined.stdout.lines().next(), Some("Ignore."), "{joined:?}");
    node.expect_alone();
}

#[test]
fn joining_a_member_of_the_own_cluster_is_refused() {
    let fleet = Fleet::new();
    let members = fleet.start_cluster(3);
    let before = members[0].view();
    let again = members[0].convoke(&["cluster", "join", &members[2].name]);
    again
        .expect_code(1)
        .expect_complaint(&["already in the cluster"]);
    assert_eq!(members[0].view().cluster.id, before.cluster.id);
}

#[test]
fn a_name_that_a_live_node_has_is_refused_until_that_node_is_gone() {
    let fleet = Fleet::new();
    let mut members = fleet.start_cluster(3);
    let name = fleet.name(3);
    let elsewhere = fleet.address(30);
    let newcomer = fleet
        .launch(3)
        .at_home_with_secret("elsewhere")
        .env("CONVOKE_NODE_LISTEN", format!("{elsewhere}:4999"))
        .env("CONVOKE_NODE_RPC_LISTEN", format!("{elsewhere}:5999"))
        .start();
    let before = newcomer.view();

    let refused = newcomer.convoke(&["cluster", "join", &members[0].name]);
    refused
        .expect_code(1)
        .expect_complaint(&["name", &format!("{}:4373", fleet.address(3))]);
    assert_eq!(newcomer.view().cluster.id, before.cluster.id);
    assert_eq!(
        members[0].view().member(&name).expect("a member").address,
        format!("{}:4373", fleet.address(3))
    );

    members[2].kill();
    let what = "the newcomer takes the place of a node that no longer answers";
    eventually(what, Duration::from_secs(15), || {
        let joined = newcomer.convoke(&["cluster", "join", &members[0].name]);
        if joined.code == Some(0) {
            Ok(())
        } else {
            Err(format!("{joined:?}"))
        }
    });
    Node::wait_until_one(&[&members[0], &members[1], &newcomer]);
    assert_eq!(
        members[0].view().member(&name).expect("a member").address,
        format!("{elsewhere}:4999")
    );
}

#[test]
fn a_leaver_is_seen_as_left_at_once_and_goes_on_alone() {
    let fleet = Fleet::new();
    let seed = fleet.name(1);
    let launch = |n| {
        let launch = fleet
            .launch(n)
            .args(&["--discovery", "static", "--seed", &seed]);
        launch.env("CONVOKE_CLUSTER_DISCOVERY_INTERVAL", "500ms")
    };
    let nodes: Vec<Node> = (1..=3).map(|n| launch(n).start()).collect();
    Node::wait_until_one(&nodes.iter().collect::<Vec<_>>());
    let before = nodes[2].view();

    let left = nodes[2].convoke(&["cluster", "leave"]);
    expect_lines(
        &left,
        "Leave the cluster successfully.",
        &[&nodes[2].name],
        &[],
    );
    assert!(
        left.stdout.contains("iscovery"),
        "it says that discovery is off: {left:?}"
    );
    for other in &nodes[..2] {
        other.wait_for_state(&nodes[2].name, "left", AT_ONCE);
    }
    nodes[2].expect_alone();
    assert_ne!(
        nodes[2].view().cluster.id,
        before.cluster.id,
        "a new cluster id"
    );

    // Eight intervals of discovery, on both sides.
    throughout("the leaver stays out", Duration::from_secs(4), || {
        let (inside, outside) = (nodes[0].status()?, nodes[2].status()?);
        let apart = inside.running_nodes.len() == 2 && outside.running_nodes.len() == 1;
        if apart {
            Ok(())
        } else {
            Err(format!("{inside:#?} {outside:#?}"))
        }
    });
    assert_eq!(nodes[0].events_of("member_failed", &nodes[2].name).len(), 0);

    // What was left can be joined again.
    nodes[2].join(&nodes[0].name);
    Node::wait_until_one(&nodes.iter().collect::<Vec<_>>());
}

#[test]
fn leaving_alone_is_refused() {
    let fleet = Fleet::new();
    let node = fleet.start(1);
    let before = node.view();
    node.convoke(&["cluster", "leave"])
        .expect_code(1)
        .expect_complaint(&["not in a cluster"]);
    assert_eq!(node.view().cluster.id, before.cluster.id);
}

#[test]
fn a_running_node_that_is_removed_is_told_and_stays_out() {
    let fleet = Fleet::new();
    let members = fleet.start_cluster(4);
    let before = members[3].view();

    let removed = members[0].convoke(&["cluster", "force-leave", &members[3].name]);
    let rest: Vec<&str> = members[..3].iter().map(|node| node.name.as_str()).collect();
    expect_lines(
        &removed,
        "Remove the node from cluster successfully.",
        &rest,
        &[],
    );
    let others: Vec<&Node> = members[..3].iter().collect();
    wait_until_forgotten(&others, &members[3].name, AT_ONCE);

    eventually("the removed node is told", AT_ONCE, || {
        let seen = members[3].status()?;
        let alone = seen.running_nodes.len() == 1 && seen.cluster.id != before.cluster.id;
        if alone {
            Ok(())
        } else {
            Err(format!("{seen:#?}"))
        }
    });
    throughout("it does not come back", Duration::from_secs(8), || {
        let (inside, outside) = (members[0].status()?, members[3].status()?);
        let apart = inside.running_nodes.len() == 3 && outside.running_nodes.len() == 1;
        if apart {
            Ok(())
        } else {
            Err(format!("{inside:#?} {outside:#?}"))
        }
    });
    Node::wait_until_one(&others);

    // Only a new join lets it in.
    members[3].join(&members[1].name);
    Node::wait_until_one(&members.iter().collect::<Vec<_>>());
}

#[test]
fn a_failed_node_that_is_removed_learns_it_when_it_comes_back() {
    let fleet = Fleet::new();
    let mut members = fleet.start_cluster(4);
    let mut dead = members.pop().expect("four members");
    dead.kill();
    for member in &members {
        member.wait_for_state(&dead.name, "failed", DETECTED);
    }
    assert_eq!(members[0].view().stopped_nodes, [dead.name.as_str()]);

    let removed = members[1].convoke(&["cluster", "force-leave", &dead.name]);
    let rest: Vec<&str> = members.iter().map(|node| node.name.as_str()).collect();
    expect_lines(
        &removed,
        "Remove the node from cluster successfully.",
        &rest,
        &[],
    );
    let others: Vec<&Node> = members.iter().collect();
    wait_until_forgotten(&others, &dead.name, AT_ONCE);
    let cluster = members[0].view().cluster.id;

    dead.restart();
    eventually(
        "the node learns that it was removed, and goes on alone",
        SECONDS_10,
        || {
            let seen = dead.status()?;
            let alone = seen.running_nodes.len() == 1 && seen.cluster.id != cluster;
            if alone {
                Ok(())
            } else {
                Err(format!("{seen:#?}"))
            }
        },
    );
    throughout("it does not come back", Duration::from_secs(6), || {
        let (inside, outside) = (members[0].status()?, dead.status()?);
        let apart = inside.running_nodes.len() == 3 && outside.running_nodes.len() == 1;
        if apart {
            Ok(())
        } else {
            Err(format!("{inside:#?} {outside:#?}"))
        }
    });
    Node::wait_until_one(&others);
}

#[test]
fn removing_an_unknown_node_is_refused_and_removing_itself_is_ignored() {
    let fleet = Fleet::new();
    let members = fleet.start_cluster(2);
    let before = members[0].view();
    let unknown = fleet.name(77);
    let refused = members[0].convoke(&["cluster", "force-leave", &unknown]);
    refused
        .expect_code(1)
        .expect_complaint(&["not in the cluster", &unknown]);
    let ignored = members[0].convoke(&["cluster", "force-leave", &members[0].name]);
    assert_eq!(
        ignored.expect_code(0).stdout.lines().next(),
        Some("Ignore."),
        "{ignored:?}"
    );
    assert_eq!(
        members[0].view().cluster.fingerprint,
        before.cluster.fingerprint
    );
}

#[test]
fn sigterm_leaves_gracefully_and_the_next_start_rejoins() {
    let fleet = Fleet::new();
    let mut members = fleet.start_cluster(3);
    let incarnation = |node: &Node, of: &str| node.view().member(of).expect("a member").incarnation;
    let name = members[2].name.clone();
    let before = incarnation(&members[0], &name);

    let (code, took) = members[2].terminate();
    assert_eq!(code, Some(0), "{}", members[2].log());
    assert!(took < Duration::from_secs(5), "{took:?}");
    for other in &members[..2] {
        other.wait_for_state(&name, "left", AT_ONCE);
        assert_eq!(other.events_of("member_failed", &name).len(), 0);
    }

    members[2].restart();
    Node::wait_until_one_within(&members.iter().collect::<Vec<_>>(), SECONDS_10);
    assert!(incarnation(&members[0], &name) > before);
}

#[test]
fn a_node_that_left_does_not_rejoin_at_its_next_start() {
    let fleet = Fleet::new();
    let mut members = fleet.start_cluster(3);
    members[2].convoke(&["cluster", "leave"]).expect_code(0);
    let own = members[2].view().cluster.id;
    assert_eq!(members[2].terminate().0, Some(0));
    members[2].restart();
    throughout("it stays alone", Duration::from_secs(7), || {
        let seen = members[2].status()?;
        let alone = seen.running_nodes.len() == 1 && seen.cluster.id == own;
        if alone {
            Ok(())
        } else {
            Err(format!("{seen:#?}"))
        }
    });
    Node::wait_until_one(&[&members[0], &members[1]]);
}

#[test]
fn a_killed_node_is_failed_and_rejoins_by_itself_with_a_higher_incarnation() {
    let fleet = Fleet::new();
    let mut members = fleet.start_cluster(5);
    let name = members[4].name.clone();
    let before = members[0]
        .view()
        .member(&name)
        .expect("a member")
        .incarnation;
    let cluster = members[0].view().cluster.id;
    members[4].kill();
    for other in &members[..4] {
        other.wait_for_state(&name, "failed", DETECTED);
        assert_eq!(other.view().stopped_nodes, [name.as_str()]);
    }

    members[4].restart();
    Node::wait_until_one_within(&members.iter().collect::<Vec<_>>(), SECONDS_10);
    for member in &members {
        let seen = member.view();
        assert_eq!(seen.cluster.id, cluster);
        assert!(
            seen.member(&name).expect("a member").incarnation > before,
            "{seen:#?}"
        );
    }
}
