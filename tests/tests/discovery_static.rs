//! The static strategy: nodes that have each other's names in their configuration, and no command
//! typed.

use convoke_tests::discovering::{
    die_and_find_each_other_again, leave_and_stay_left, never_meet, start_and_tell, start_another,
    start_at_once, start_in_rounds,
};
use convoke_tests::{Fleet, Launch, lasting, rounds};

/// Node `n`, with the names of nodes `1..=seeds` for seeds.
fn launch(fleet: &Fleet, n: u8, seeds: u8) -> Launch {
    let names: Vec<String> = (1..=seeds).map(|seed| fleet.name(seed)).collect();
    listed(fleet.launch(n), &names)
}

fn listed(launch: Launch, names: &[String]) -> Launch {
    launch
        .env("CONVOKE_CLUSTER_DISCOVERY", "static")
        .env("CONVOKE_CLUSTER_STATIC_SEEDS", names.join(","))
}

#[test]
fn five_nodes_that_start_at_once_are_one_cluster_and_a_sixth_comes_in() {
    let fleet = Fleet::new();
    let launches = (1..=5).map(|n| launch(&fleet, n, 5)).collect();
    let mut nodes = start_and_tell("five with static", launches);
    start_another(&mut nodes, launch(&fleet, 6, 2));
}

#[test]
fn ten_nodes_that_start_at_once_are_one_cluster_every_time() {
    start_in_rounds("ten with static", rounds(3, 20), || {
        let fleet = Fleet::new();
        (1..=10).map(|n| launch(&fleet, n, 3)).collect()
    });
}

#[test]
fn after_a_total_outage_all_find_each_other_again() {
    let fleet = Fleet::new();
    let mut nodes = start_at_once((1..=3).map(|n| launch(&fleet, n, 3)).collect());
    die_and_find_each_other_again(&mut nodes);
}

#[test]
fn who_left_stays_left_though_it_is_everybodys_seed() {
    let fleet = Fleet::new();
    let launches = (1..=3).map(|n| launch(&fleet, n, 3));
    let launches = launches.map(|launch| launch.env("CONVOKE_CLUSTER_DISCOVERY_INTERVAL", "500ms"));
    let nodes = start_at_once(launches.collect());
    leave_and_stay_left(&nodes, "static", lasting(8, 60));
}

#[test]
fn clusters_of_other_names_and_secrets_never_meet() {
    let fleet = Fleet::new();
    let names: Vec<String> = (1..=6).map(|n| fleet.name(n)).collect();
    let of = |n: u8, name: &str, home: &str| {
        let launch = match home {
            "" => fleet.launch(n),
            home => fleet.launch(n).at_home(home),
        };
        let launch = launch.env("CONVOKE_CLUSTER_NAME", name);
        listed(launch, &names).env("CONVOKE_CLUSTER_DISCOVERY_INTERVAL", "500ms")
    };
    let clusters = [("one", ""), ("two", ""), ("one", "another")];
    let clusters: Vec<_> = (1..)
        .step_by(2)
        .zip(clusters)
        .map(|(n, (name, home))| {
            let launches = vec![of(n, name, home), of(n + 1, name, home)];
            start_at_once(launches)
        })
        .collect();
    never_meet(&clusters, lasting(5, 30));
}
