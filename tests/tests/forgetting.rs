//! Autoclean: the failed are forgotten after the configured time, which can be changed while the
//! nodes run; and what is forgotten stays so.

use std::path::PathBuf;
use std::time::Duration;

use convoke_tests::{Fleet, Launch, Node, eventually, throughout};

/// The end of patience, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn file(fleet: &Fleet, n: u8) -> PathBuf {
    fleet.folder().join(format!("convoke{n}.toml"))
}

fn configure(fleet: &Fleet, n: u8, autoclean: &str) {
    let text = format!("[cluster]\nautoclean = \"{autoclean}\"\n");
    std::fs::write(file(fleet, n), text).expect("the fleet's folder is writable");
}

/// Node `n`, which has its configuration from a file.
fn launch(fleet: &Fleet, n: u8, autoclean: &str) -> Launch {
    configure(fleet, n, autoclean);
    let file = file(fleet, n).display().to_string();
    fleet.launch(n).args(&["--config", &file])
}

/// Changes the time of a node that runs.
fn reconfigure(fleet: &Fleet, n: u8, node: &Node, autoclean: &str) {
    configure(fleet, n, autoclean);
    let taken = |node: &Node| node.log().matches("autoclean are taken over").count();
    let before = taken(node);
    node.reload();
    eventually("it has read the file again", PATIENCE, || {
        (taken(node) > before)
            .then_some(())
            .ok_or_else(|| node.log())
    });
}

fn one_cluster(nodes: &[Node]) {
    for node in &nodes[1..] {
        node.join(&nodes[0].name);
    }
    Node::wait_until_one(&nodes.iter().collect::<Vec<_>>());
}

#[test]
fn never_keeps_the_failed_until_a_running_node_is_told_otherwise() {
    let fleet = Fleet::new();
    // The others learn it while they run.
    let mut nodes: Vec<Node> = (1..=4)
        .map(|n| launch(&fleet, n, if n == 1 { "never" } else { "1s" }).start())
        .collect();
    one_cluster(&nodes);
    let mut victim = nodes.pop().expect("four were started");
    for (n, node) in (1..).zip(&nodes).skip(1) {
        reconfigure(&fleet, n, node, "never");
    }
    victim.kill();
    for node in &nodes {
        node.wait_for_state(&victim.name, "failed", PATIENCE);
    }
    throughout("it is kept", Duration::from_secs(6), || {
        nodes.iter().try_for_each(|node| {
            let seen = node.status()?;
            let kept = seen.state_of(&victim.name) == "failed";
            kept.then_some(()).ok_or_else(|| format!("{seen:#?}"))
        })
    });
    for (n, node) in (1..).zip(&nodes) {
        reconfigure(&fleet, n, node, "1s");
    }
    for node in &nodes {
        node.wait_for_state(&victim.name, "unknown", PATIENCE);
    }
}

#[test]
fn what_was_forgotten_does_not_come_back_by_a_sleeper_though_all_who_knew_were_restarted() {
    let fleet = Fleet::new();
    let mut nodes: Vec<Node> = (1..=5).map(|n| launch(&fleet, n, "2s").start()).collect();
    one_cluster(&nodes);
    let (mut victim, sleeper) = (nodes.pop(), nodes.pop());
    let victim = victim.as_mut().expect("five were started");
    let sleeper = sleeper.expect("five were started");
    // It never hears of the death.
    sleeper.freeze();
    victim.kill();
    for node in &nodes {
        node.wait_for_state(&victim.name, "unknown", PATIENCE);
    }
    for place in 0..nodes.len() {
        assert_eq!(nodes[place].terminate().0, Some(0));
        nodes[place].restart();
        Node::wait_until_one(&nodes.iter().collect::<Vec<_>>());
    }
    sleeper.thaw();
    eventually("the sleeper is back", PATIENCE, || {
        let seen = nodes[0].status()?;
        let back = seen.state_of(&sleeper.name) == "alive";
        back.then_some(()).ok_or_else(|| format!("{seen:#?}"))
    });
    throughout("nobody takes its word", Duration::from_secs(6), || {
        nodes.iter().try_for_each(|node| {
            let seen = node.status()?;
            let lives = seen.running_nodes.contains(&victim.name);
            (!lives).then_some(()).ok_or_else(|| format!("{seen:#?}"))
        })
    });
    nodes.push(sleeper);
    Node::wait_until_one_within(&nodes.iter().collect::<Vec<_>>(), PATIENCE);
}

#[test]
fn a_fleet_that_is_restarted_whole_does_not_wait_for_those_whom_it_forgot() {
    let fleet = Fleet::new();
    let mut nodes: Vec<Node> = (1..=5).map(|n| launch(&fleet, n, "1s").start()).collect();
    one_cluster(&nodes);
    // One after the other: the rest has quorum each time, and forgets it.
    while nodes.len() > 2 {
        let mut victim = nodes.pop().expect("more than two are left");
        victim.kill();
        for node in &nodes {
            node.wait_for_state(&victim.name, "unknown", PATIENCE);
        }
    }
    for node in &mut nodes {
        assert_eq!(node.terminate().0, Some(0));
    }
    nodes.iter_mut().for_each(Node::restart);
    Node::wait_until_one(&nodes.iter().collect::<Vec<_>>());
    eventually("they have quorum", PATIENCE, || {
        nodes.iter().try_for_each(|node| {
            let seen = node.status()?;
            let has = seen.cluster.quorum;
            has.then_some(()).ok_or_else(|| format!("{seen:#?}"))
        })
    });
}
