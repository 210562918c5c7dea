//! What every strategy of discovery is put through: nodes that start and find each other with no
//! command.

use std::time::{Duration, Instant};

use crate::figures::tell;
use crate::fleet::Launch;
use crate::node::Node;
use crate::wait::{eventually, throughout};

/// The deadline of a few nodes that start at once.
pub const TOGETHER: Duration = Duration::from_secs(5);
/// The deadline of everything that is not timed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts them at once and waits until they are one cluster, [`TOGETHER`] after the last serves.
pub fn start_at_once(launches: Vec<Launch>) -> Vec<Node> {
    let nodes = Node::start_all(launches.into_iter());
    Node::wait_until_one_within(&nodes.iter().collect::<Vec<_>>(), TOGETHER);
    nodes
}

/// As [`start_at_once`], and tells how long that took.
pub fn start_and_tell(what: &str, launches: Vec<Launch>) -> Vec<Node> {
    let began = Instant::now();
    let nodes = start_at_once(launches);
    let what = format!("{what}: from the start until one cluster");
    tell(&what, &[began.elapsed()]);
    nodes
}

/// Starts one more and waits until all are one cluster.
pub fn start_another(nodes: &mut Vec<Node>, launch: Launch) {
    nodes.push(launch.start());
    Node::wait_until_one_within(&nodes.iter().collect::<Vec<_>>(), PATIENCE);
}

/// Starts as many nodes as there are launches at once, round after round, each from nothing: one
/// cluster every time.
pub fn start_in_rounds(what: &str, rounds: usize, mut launches: impl FnMut() -> Vec<Launch>) {
    let mut times = Vec::new();
    for _ in 0..rounds {
        let launches = launches();
        let began = Instant::now();
        let nodes = Node::start_all(launches.into_iter());
        Node::wait_until_one_within(&nodes.iter().collect::<Vec<_>>(), PATIENCE);
        times.push(began.elapsed());
    }
    tell(&format!("{what}: from the start until one cluster"), &times);
}

/// Every node sees all of them alive, for `span`.
pub fn stay_whole(nodes: &[Node], span: Duration) {
    throughout("the cluster is whole", span, || {
        for node in nodes {
            let seen = node.status()?;
            if seen.running_nodes.len() != nodes.len() || !seen.stopped_nodes.is_empty() {
                return Err(format!("{seen:#?}"));
            }
        }
        Ok(())
    });
}

/// All die at once, and half of them lose what they remember: started again, they are one cluster.
pub fn die_and_find_each_other_again(nodes: &mut [Node]) {
    for node in nodes.iter_mut() {
        node.kill();
    }
    for (n, node) in nodes.iter_mut().enumerate() {
        if n % 2 == 0 {
            std::fs::remove_dir_all(node.data_dir()).expect("the folder is the test's");
        }
        node.restart();
    }
    Node::wait_until_one_within(&nodes.iter().collect::<Vec<_>>(), PATIENCE);
}

/// The last one leaves, and stays alone for `span` though the others are still to be found; until
/// it is told to discover again.
pub fn leave_and_stay_left(nodes: &[Node], strategy: &str, span: Duration) {
    let (left, rest) = nodes.split_last().expect("there are nodes");
    let run = left.convoke(&["cluster", "leave"]);
    run.expect_code(0);
    let said = format!("Discovery ({strategy}) is stopped");
    assert!(run.stdout.contains(&said), "{run:#?}");
    Node::wait_until_one(&rest.iter().collect::<Vec<_>>());
    throughout("who left stays away", span, || {
        left.expect_alone();
        for node in rest {
            let seen = node.status()?;
            if seen.running_nodes.len() != rest.len() {
                return Err(format!("{seen:#?}"));
            }
        }
        Ok(())
    });
    let run = left.convoke(&["cluster", "discovery", "enable"]);
    run.expect_code(0);
    Node::wait_until_one_within(&nodes.iter().collect::<Vec<_>>(), PATIENCE);
}

/// Each of these clusters is whole by itself, and stays so for `span`.
pub fn never_meet(clusters: &[Vec<Node>], span: Duration) {
    for cluster in clusters {
        Node::wait_until_one_within(&cluster.iter().collect::<Vec<_>>(), PATIENCE);
    }
    throughout("the clusters do not meet", span, || {
        for cluster in clusters {
            for node in cluster {
                let seen = node.status()?;
                let known: Vec<&str> = seen.members.iter().map(|m| m.name.as_str()).collect();
                let own = known
                    .iter()
                    .all(|name| cluster.iter().any(|n| n.name == *name));
                if !own || seen.running_nodes.len() != cluster.len() {
                    return Err(format!("{seen:#?}"));
                }
            }
        }
        Ok(())
    });
}

/// Waits until the discovery of a node fails, and returns in which words.
pub fn wait_for_trouble(node: &Node) -> String {
    eventually("discovery fails", PATIENCE, || {
        let log = node.log();
        let line = log.lines().find(|line| line.contains("discovery fails"));
        line.map(str::to_owned).ok_or(log.clone())
    })
}
