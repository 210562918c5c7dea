//! Fleets of real nodes that find each other by etcd.

use std::time::{Duration, Instant};

use convoke_tests::server::Etcd;
use convoke_tests::{Fleet, Launch, Node, eventually, throughout};

/// In which nodes that start at once are one cluster.
const FIVE_SECONDS: Duration = Duration::from_secs(5);
/// How long anything that is not timed by a test may take.
const PATIENCE: Duration = Duration::from_secs(30);
const TTL: Duration = Duration::from_secs(3);

/// With `TESTS_LONG=1` things are repeated as often, and last as long, as they are promised.
fn is_long() -> bool {
    std::env::var_os("TESTS_LONG").is_some_and(|value| value == "1")
}

/// Finds others by etcd, and asks it every second beside what it is told.
fn by(etcd: &Etcd, launch: Launch) -> Launch {
    launch
        .env("CONVOKE_CLUSTER_DISCOVERY", "etcd")
        .env("CONVOKE_CLUSTER_DISCOVERY_INTERVAL", "1s")
        .env("CONVOKE_CLUSTER_ETCD_SERVER", etcd.urls().join(","))
        .env(
            "CONVOKE_CLUSTER_ETCD_NODE_TTL",
            format!("{}s", TTL.as_secs()),
        )
}

fn start(etcd: &Etcd, fleet: &Fleet, nodes: std::ops::RangeInclusive<u8>) -> Vec<Node> {
    Node::start_all(nodes.map(|n| by(etcd, fleet.launch(n))))
}

fn all(nodes: &[Node]) -> Vec<&Node> {
    nodes.iter().collect()
}

/// Every node sees all others alive for a while.
fn stays_whole(nodes: &[Node], span: Duration) {
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

fn key(name: &str) -> String {
    format!("convokecl/convoke/nodes/{name}")
}

#[test]
fn five_that_start_at_once_are_one_and_need_etcd_only_to_find_a_sixth() {
    let fleet = Fleet::new();
    let mut etcd = Etcd::start(&fleet);
    let mut nodes = start(&etcd, &fleet, 1..=5);
    Node::wait_until_one_within(&all(&nodes), FIVE_SECONDS);
    let mut keys: Vec<String> = nodes.iter().map(|node| key(&node.name)).collect();
    keys.sort_unstable();
    eventually("all are written down", PATIENCE, || match etcd.keys("") {
        found if found == keys => Ok(()),
        found => Err(format!("{found:?}")),
    });
    let found = nodes[0].convoke(&["cluster", "discovery", "run"]);
    found.expect_code(0);
    assert!(found.stdout.contains("Discovery (etcd) found"), "{found:?}");

    etcd.kill(0);
    stays_whole(&nodes, Duration::from_secs(5));
    // Comes up without etcd too, and waits for it.
    nodes.push(by(&etcd, fleet.launch(6)).start());
    nodes[5].expect_alone();
    eventually("the status tells why", PATIENCE, || {
        let status = nodes[5].convoke(&["cluster", "status"]);
        match status.stdout.contains("can't connect") {
            true => Ok(()),
            false => Err(format!("{status:?}")),
        }
    });
    etcd.start_again(0);
    Node::wait_until_one_within(&all(&nodes), PATIENCE);
}

#[test]
fn ten_that_start_at_once_are_one_every_time() {
    let rounds = if is_long() { 20 } else { 3 };
    for _ in 0..rounds {
        let fleet = Fleet::new();
        let etcd = Etcd::start(&fleet);
        let nodes = start(&etcd, &fleet, 1..=10);
        Node::wait_until_one_within(&all(&nodes), PATIENCE);
    }
}

#[test]
fn clusters_of_other_names_or_secrets_in_one_etcd_never_meet() {
    let fleet = Fleet::new();
    let etcd = Etcd::start(&fleet);
    let named = |n: u8| by(&etcd, fleet.launch(n)).env("CONVOKE_CLUSTER_NAME", "other/nodes");
    let secret = |n: u8| by(&etcd, fleet.launch(n)).at_home("elsewhere");
    let ours = start(&etcd, &fleet, 1..=2);
    let others = Node::start_all([named(3), named(4)].into_iter());
    let strangers = Node::start_all([secret(5), secret(6)].into_iter());
    let clusters = [ours, others, strangers];
    for cluster in &clusters {
        Node::wait_until_one_within(&all(cluster), PATIENCE);
    }
    for cluster in &clusters {
        stays_whole(cluster, Duration::from_secs(2));
    }
    assert_eq!(etcd.keys("convokecl/other%2Fnodes/nodes/").len(), 2);
    assert_eq!(etcd.keys("convokecl/convoke/nodes/").len(), 4);
}

#[test]
fn who_leaves_stays_left_and_is_written_down_no_more_until_discovery_is_enabled() {
    let fleet = Fleet::new();
    let etcd = Etcd::start(&fleet);
    // Longer than the test is patient: only a revocation makes the key go.
    let patient = |n| by(&etcd, fleet.launch(n)).env("CONVOKE_CLUSTER_ETCD_NODE_TTL", "5m");
    let nodes = Node::start_all((1..=3).map(patient));
    Node::wait_until_one_within(&all(&nodes), PATIENCE);
    let left = nodes[2].convoke(&["cluster", "leave"]);
    left.expect_code(0);
    let said = format!("{}{}", left.stdout, left.stderr);
    assert!(said.contains("Discovery (etcd) is stopped"), "{left:?}");
    eventually("its key is gone", PATIENCE, || {
        match etcd.keys(&key(&nodes[2].name)) {
            none if none.is_empty() => Ok(()),
            some => Err(format!("{some:?}")),
        }
    });
    let span = Duration::from_secs(if is_long() { 60 } else { 6 });
    throughout("it is alone, and nobody finds it", span, || {
        let alone = nodes[2].status()?.running_nodes.len() == 1;
        let others = nodes[..2]
            .iter()
            .all(|node| node.view().running_nodes.len() == 2);
        (alone && others)
            .then_some(())
            .ok_or_else(|| "they met".into())
    });
    assert_eq!(etcd.keys("").len(), 2);
    nodes[2]
        .convoke(&["cluster", "discovery", "enable"])
        .expect_code(0);
    Node::wait_until_one_within(&all(&nodes), PATIENCE);
}

#[test]
fn who_ends_gracefully_is_written_down_no_more_and_who_is_killed_for_as_long_as_its_lease() {
    let fleet = Fleet::new();
    let etcd = Etcd::start(&fleet);
    let mut nodes = start(&etcd, &fleet, 1..=3);
    Node::wait_until_one_within(&all(&nodes), PATIENCE);
    eventually("all are written down", PATIENCE, || {
        match etcd.keys("").len() {
            3 => Ok(()),
            other => Err(format!("{other}")),
        }
    });
    let (code, _) = nodes[1].terminate();
    assert_eq!(code, Some(0));
    assert_eq!(
        etcd.keys(&key(&nodes[1].name)),
        [""; 0],
        "gone when the process is"
    );
    nodes[2].kill();
    let killed = Instant::now();
    eventually("its lease runs out", PATIENCE, || {
        match etcd.keys("").len() {
            1 => Ok(()),
            other => Err(format!("{other}")),
        }
    });
    // It was kept alive up to a third of its time before; etcd looks twice a second.
    assert!(killed.elapsed() < TTL * 3, "{:?}", killed.elapsed());
}

#[test]
fn over_tls_with_a_user_it_works_as_configured_and_says_what_is_wrong() {
    let fleet = Fleet::new();
    let mut etcd = Etcd::start_tls(&fleet);
    etcd.enable_users("convoke", "a word", "convokecl/convoke/nodes/");
    let shown = |file: &std::path::Path| file.display().to_string();
    let configured = |n: u8, password: &str| {
        let tls = etcd.tls();
        by(&etcd, fleet.launch(n))
            .env(
                "CONVOKE_CLUSTER_ETCD_SSL_CACERTFILE",
                shown(&tls.authority.certificate()),
            )
            .env(
                "CONVOKE_CLUSTER_ETCD_SSL_CERTFILE",
                shown(&tls.client.certificate),
            )
            .env("CONVOKE_CLUSTER_ETCD_SSL_KEYFILE", shown(&tls.client.key))
            .env("CONVOKE_CLUSTER_ETCD_USERNAME", "convoke")
            .env("CONVOKE_CLUSTER_ETCD_PASSWORD", password)
    };
    let nodes = Node::start_all([configured(1, "a word"), configured(2, "a word")].into_iter());
    Node::wait_until_one_within(&all(&nodes), PATIENCE);
    let wrong = configured(3, "another word").start();
    eventually("the status tells what is wrong", PATIENCE, || {
        let status = wrong.convoke(&["cluster", "status"]);
        match status.stdout.contains("etcd refuses the user \"convoke\"") {
            true => Ok(()),
            false => Err(format!("{status:?}")),
        }
    });
    wrong.expect_alone();
    assert!(
        !wrong.log().contains("another word"),
        "the password is in the log"
    );
}
