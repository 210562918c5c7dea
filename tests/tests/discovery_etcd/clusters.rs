//! Fleets of real nodes that find each other by etcd.

use std::time::{Duration, Instant};

use convoke_tests::discovering::{
    die_and_find_each_other_again, leave_and_stay_left, never_meet, start_and_tell, start_another,
    start_at_once, start_in_rounds, stay_whole,
};
use convoke_tests::server::Etcd;
use convoke_tests::{Fleet, Launch, Node, eventually, lasting, rounds};

/// How long anything that is not timed by a test may take.
const PATIENCE: Duration = Duration::from_secs(30);
const TTL: Duration = Duration::from_secs(3);

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

fn launches(etcd: &Etcd, fleet: &Fleet, nodes: std::ops::RangeInclusive<u8>) -> Vec<Launch> {
    nodes.map(|n| by(etcd, fleet.launch(n))).collect()
}

fn key(name: &str) -> String {
    format!("convokecl/convoke/nodes/{name}")
}

#[test]
fn five_that_start_at_once_are_one_and_need_etcd_only_to_find_a_sixth() {
    let fleet = Fleet::new();
    let mut etcd = Etcd::start(&fleet);
    let mut nodes = start_and_tell("five with etcd", launches(&etcd, &fleet, 1..=5));
    let mut keys: Vec<String> = nodes.iter().map(|node| key(&node.name)).collect();
    keys.sort_unstable();
    eventually("all are written down", PATIENCE, || match etcd.keys("") {
        found if found == keys => Ok(()),
        found => Err(format!("{found:?}")),
    });
    let found = nodes[0].convoke(&["cluster", "discovery", "run"]);
    found.expect_code(0);
    assert!(found.stdout.contains("Discovery (etcd) found"), "{found:?}");
    let asked = format!(
        "Asked: keys under convokecl/convoke/nodes/ at {}",
        etcd.urls()[0]
    );
    assert!(found.stdout.contains(&asked), "{found:?}");

    etcd.kill(0);
    stay_whole(&nodes, lasting(5, 30));
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
    Node::wait_until_one_within(&nodes.iter().collect::<Vec<_>>(), PATIENCE);
    let told = nodes[0].log().matches("discovery fails").count();
    assert!(told <= 2, "told once, not at every try: {}", nodes[0].log());
}

#[test]
fn one_of_three_servers_is_lost_and_neither_the_cluster_nor_a_newcomer_notices() {
    let fleet = Fleet::new();
    let mut etcd = Etcd::start_three(&fleet);
    let mut nodes = start_at_once(launches(&etcd, &fleet, 1..=2));
    for lost in 0..3 {
        etcd.kill(lost);
        start_another(&mut nodes, by(&etcd, fleet.launch(3 + lost as u8)));
        etcd.start_again(lost);
    }
    for node in &nodes {
        let log = node.log();
        assert!(!log.contains("discovery fails"), "{log}");
        assert!(!log.contains("can't find this node"), "{log}");
    }
}

#[test]
fn after_a_total_outage_all_find_each_other_again() {
    let fleet = Fleet::new();
    let mut etcd = Etcd::start(&fleet);
    let mut nodes = start_at_once(launches(&etcd, &fleet, 1..=3));
    etcd.kill(0);
    etcd.start_afresh(0);
    die_and_find_each_other_again(&mut nodes);
}

#[test]
fn ten_that_start_at_once_are_one_every_time() {
    let mut ground = Vec::new();
    start_in_rounds("ten with etcd", rounds(3, 20), || {
        // One server at a time.
        ground.clear();
        let fleet = Fleet::new();
        let etcd = Etcd::start(&fleet);
        let launches = launches(&etcd, &fleet, 1..=10);
        ground.push((fleet, etcd));
        launches
    });
}

#[test]
fn clusters_of_other_names_or_secrets_in_one_etcd_never_meet() {
    let fleet = Fleet::new();
    let etcd = Etcd::start(&fleet);
    let named = |n: u8| by(&etcd, fleet.launch(n)).env("CONVOKE_CLUSTER_NAME", "other/nodes");
    let secret = |n: u8| by(&etcd, fleet.launch(n)).at_home("elsewhere");
    let clusters = [
        start_at_once(launches(&etcd, &fleet, 1..=2)),
        start_at_once(vec![named(3), named(4)]),
        start_at_once(vec![secret(5), secret(6)]),
    ];
    never_meet(&clusters, lasting(5, 30));
    assert_eq!(etcd.keys("convokecl/other%2Fnodes/nodes/").len(), 2);
    assert_eq!(etcd.keys("convokecl/convoke/nodes/").len(), 4);
}

#[test]
fn who_leaves_stays_left_and_is_written_down_no_more_until_discovery_is_enabled() {
    let fleet = Fleet::new();
    let etcd = Etcd::start(&fleet);
    // Longer than the test is patient: only a revocation makes the key go.
    let patient = |n| by(&etcd, fleet.launch(n)).env("CONVOKE_CLUSTER_ETCD_NODE_TTL", "5m");
    let nodes = start_at_once((1..=3).map(patient).collect());
    let all_written = || {
        eventually("all are written down", PATIENCE, || {
            let keys = etcd.keys("");
            (keys.len() == 3).then_some(()).ok_or(format!("{keys:?}"))
        });
    };
    all_written();
    std::thread::scope(|scope| {
        let gone = scope.spawn(|| {
            eventually("its key is gone", PATIENCE, || {
                let keys = etcd.keys(&key(&nodes[2].name));
                keys.is_empty().then_some(()).ok_or(format!("{keys:?}"))
            });
        });
        leave_and_stay_left(&nodes, "etcd", lasting(8, 60));
        gone.join().expect("its key went");
    });
    all_written();
}

#[test]
fn who_ends_gracefully_is_written_down_no_more_and_who_is_killed_for_as_long_as_its_lease() {
    let fleet = Fleet::new();
    let etcd = Etcd::start(&fleet);
    let mut nodes = start_at_once(launches(&etcd, &fleet, 1..=3));
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
    start_at_once(vec![configured(1, "a word"), configured(2, "a word")]);
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
