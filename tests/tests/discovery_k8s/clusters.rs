//! Fleets of real nodes that find each other by Kubernetes, as pods.

use std::time::Duration;

use convoke_tests::discovering::{
    die_and_find_each_other_again, leave_and_stay_left, start_and_tell, start_at_once, stay_whole,
};
use convoke_tests::server::{KubernetesReplay, Pod};
use convoke_tests::{Fleet, Launch, Node, eventually, lasting};

/// How long anything that is not timed by a test may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Node `n`, as pods are: all of one name before the `@`, each at an address of its own.
fn launch(fleet: &Fleet, n: u8) -> Launch {
    fleet
        .launch_named(&format!("convoke@{}", fleet.address(n)))
        .env("CONVOKE_CLUSTER_DISCOVERY", "k8s")
        .env("CONVOKE_CLUSTER_DISCOVERY_INTERVAL", "1s")
}

fn by_kubeconfig(replay: &KubernetesReplay, fleet: &Fleet, n: u8) -> Launch {
    launch(fleet, n).env("KUBECONFIG", replay.kubeconfig().display().to_string())
}

/// With a service account's files where pods have them.
fn in_pod(replay: &KubernetesReplay, fleet: &Fleet, n: u8) -> Launch {
    let (host, port) = replay
        .url()
        .strip_prefix("https://")
        .and_then(|at| {
            at.split_once(':')
                .map(|(host, port)| (host.to_owned(), port.to_owned()))
        })
        .expect("a URL");
    launch(fleet, n)
        .env("KUBERNETES_SERVICE_HOST", host)
        .env("KUBERNETES_SERVICE_PORT", port)
        .with_files_at(
            "/run/secrets/kubernetes.io/serviceaccount",
            &replay.service_account(),
        )
}

/// Lists nodes `1..=ready` as ready pods, and those up to `all` as pods that are not.
fn list(replay: &KubernetesReplay, fleet: &Fleet, ready: u8, all: u8) {
    let pod = |n| Pod {
        address: fleet.address(n),
        hostname: None,
        ready: n <= ready,
    };
    let pods: Vec<Pod> = (1..=all).map(pod).collect();
    replay.set("convoke-a", &pods);
}

fn all(nodes: &[Node]) -> Vec<&Node> {
    nodes.iter().collect()
}

#[test]
fn five_pods_that_start_at_once_are_one_and_need_the_api_server_only_to_find_a_sixth() {
    let fleet = Fleet::new();
    let mut replay = KubernetesReplay::start(&fleet);
    // None is ready: they become so by finding each other.
    list(&replay, &fleet, 0, 5);
    let pods = (1..=5).map(|n| in_pod(&replay, &fleet, n)).collect();
    let mut nodes = start_and_tell("five with k8s", pods);
    list(&replay, &fleet, 5, 5);
    replay.kill();
    stay_whole(&nodes, lasting(5, 30));
    nodes.push(in_pod(&replay, &fleet, 6).start());
    nodes[5].expect_alone();
    eventually("it is told that nobody answers", PATIENCE, || {
        let log = nodes[5].log();
        log.contains("discovery fails").then_some(()).ok_or(log)
    });
    replay.start_again();
    list(&replay, &fleet, 5, 6);
    Node::wait_until_one_within(&all(&nodes), PATIENCE);
    for node in &nodes {
        let log = node.log();
        let told = log.matches("discovery fails").count();
        assert!(told <= 2, "told once, not at every try: {log}");
        assert!(
            !log.contains("kube_client"),
            "in the library's words: {log}"
        );
    }
}

#[test]
fn a_pod_that_leaves_stays_left_until_discovery_is_enabled() {
    let fleet = Fleet::new();
    let replay = KubernetesReplay::start(&fleet);
    list(&replay, &fleet, 3, 3);
    let pods = (1..=3).map(|n| by_kubeconfig(&replay, &fleet, n)).collect();
    leave_and_stay_left(&start_at_once(pods), "k8s", lasting(8, 60));
}

#[test]
fn after_a_total_outage_all_find_each_other_again() {
    let fleet = Fleet::new();
    let replay = KubernetesReplay::start(&fleet);
    list(&replay, &fleet, 3, 3);
    let mut nodes = start_at_once((1..=3).map(|n| in_pod(&replay, &fleet, n)).collect());
    list(&replay, &fleet, 0, 3);
    die_and_find_each_other_again(&mut nodes);
}

#[test]
fn a_missing_rule_is_told_by_the_status() {
    let fleet = Fleet::new();
    let replay = KubernetesReplay::start(&fleet);
    list(&replay, &fleet, 2, 2);
    replay.forbid(Some("list"));
    let nodes = Node::start_all((1..=2).map(|n| in_pod(&replay, &fleet, n)));
    eventually("the status tells the rule", PATIENCE, || {
        let status = nodes[0].convoke(&["cluster", "status"]);
        match status.stdout.contains("resources: [\"endpointslices\"]") {
            true => Ok(()),
            false => Err(format!("{status:?}")),
        }
    });
    replay.forbid(None);
    Node::wait_until_one_within(&all(&nodes), PATIENCE);
}

#[test]
fn outside_a_cluster_and_without_a_kubeconfig_the_status_says_so() {
    let fleet = Fleet::new();
    let node = launch(&fleet, 1).start();
    eventually("the status tells what is missing", PATIENCE, || {
        let status = node.convoke(&["cluster", "status"]);
        let words = ["not in a pod", "no kubeconfig", "set KUBECONFIG"];
        match words.iter().all(|word| status.stdout.contains(word)) {
            true => Ok(()),
            false => Err(format!("{status:?}")),
        }
    });
}
