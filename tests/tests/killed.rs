//! A process that is killed on a host that lives: its port refuses, and nobody waits for an answer.

use std::process::Command;
use std::time::Duration;

use convoke_tests::{Fleet, Host, Node, run};

/// Nobody may find a silent member dead before this, and everybody must find a refused one.
const PATIENCE: Duration = Duration::from_secs(60);

/// Nodes `1..=n`, all on a host if one is named, in one cluster; silence is given long to refute.
fn patient_cluster(fleet: &Fleet, n: u8, host: Option<&Host>) -> Vec<Node> {
    let nodes: Vec<Node> = (1..=n)
        .map(|n| {
            let launch = fleet
                .launch(n)
                .env("CONVOKE_DETECTOR_SUSPICION_MIN", "120s")
                .env("CONVOKE_DETECTOR_SUSPICION_MAX", "480s");
            match host {
                Some(host) => launch.on(host).start(),
                None => launch.start(),
            }
        })
        .collect();
    for node in &nodes[1..] {
        node.join(&nodes[0].name);
    }
    Node::wait_until_one(&nodes.iter().collect::<Vec<_>>());
    nodes
}

/// Kills the last one; all others find it dead by the refusal of its port, and see no partition.
#[track_caller]
fn expect_refused(mut nodes: Vec<Node>) {
    let mut victim = nodes.pop().expect("a cluster");
    victim.kill();
    for node in &nodes {
        node.wait_for_state(&victim.name, "failed", PATIENCE);
        assert!(node.view().cluster.partition.is_none(), "{}", node.name);
        let verdicts = node.events_of("member_failed", &victim.name);
        let refused: Vec<_> = verdicts.iter().map(|event| event.refused).collect();
        assert_eq!(refused, [Some(true)], "{}: {verdicts:?}", node.name);
    }
}

#[test]
fn a_killed_process_is_failed_by_the_refusal_of_its_port() {
    for n in [2, 3, 8] {
        expect_refused(patient_cluster(&Fleet::new(), n, None));
    }
}

#[test]
fn so_it_is_on_a_host_of_its_own() {
    let host = Host::new();
    expect_refused(patient_cluster(&Fleet::new(), 5, Some(&host)));
}

#[test]
fn behind_a_firewall_that_drops_a_killed_process_is_silent() {
    let (fleet, host) = (Fleet::new(), Host::new());
    let mut nodes: Vec<Node> = (1..=4).map(|n| fleet.launch(n).on(&host).start()).collect();
    for node in &nodes[1..] {
        node.join(&nodes[0].name);
    }
    Node::wait_until_one(&nodes.iter().collect::<Vec<_>>());
    let mut victim = nodes.pop().expect("four were started");
    let rules = format!(
        "table inet filtered {{ chain input {{ type filter hook input priority 0; ip daddr {} drop; }}; }}",
        fleet.address(4)
    );
    let mut nft = Command::new("nft");
    nft.arg(rules)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    run(&mut host.wrap(&nft)).expect_code(0);
    victim.kill();
    for node in &nodes {
        node.wait_for_state(&victim.name, "failed", PATIENCE);
        let verdicts = node.events_of("member_failed", &victim.name);
        let refused: Vec<_> = verdicts.iter().map(|event| event.refused).collect();
        assert_eq!(refused, [Some(false)], "{}: {verdicts:?}", node.name);
    }
}
