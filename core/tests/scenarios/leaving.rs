//! Nodes say goodbye.

use convoke_core::output::LeaveError;
use convoke_core::{Departure, Target};

use crate::World;
use crate::{ms, s};
use convoke_core::sim::Health;

#[test]
fn a_leave_is_known_by_all_of_128_within_30_ms_at_a_few_messages_a_node() {
    let mut world = World::cluster(1, 128);
    let sent = |world: &World| {
        world
            .nodes
            .iter()
            .map(|n| n.sent.datagrams + n.sent.reliable)
            .sum::<u64>()
    };
    world.run_for(s(10));
    let since = world.now;
    let before = sent(&world);
    world
        .tell(77, |engine, now| engine.leave(now, Departure::Leave))
        .expect("a leave");
    let took = world.run_until(s(5), |w| w.all_hold(77, Health::Left));
    assert!(took.is_some_and(|took| took <= ms(30)), "{took:?}");
    world.run_for(s(1));
    let a_node = (sent(&world) - before) as f64 / 128.0;
    // One second of probing (a ping and an answer, two of each at most) and the news.
    assert!(a_node < 16.0, "{a_node} messages a node");
    world.run_for(s(20));
    assert_eq!(world.count("failed", since), 0);
}

#[test]
fn a_leaver_goes_on_alone_under_a_new_cluster_id_and_without_discovery() {
    let mut world = World::cluster(2, 5);
    world.tell(3, |engine, _| engine.set_discovery(true));
    let before = world.nodes[3].engine().membership();
    world.leave(3, Departure::Leave);
    let after = world.nodes[3].engine().membership();
    assert_eq!(world.nodes[3].engine().size(), 1);
    assert_ne!(after.cluster, before.cluster);
    assert!(!after.discovery && !after.admitted);
    assert_eq!(world.nodes[3].memory.membership, after, "it was persisted");
}

#[test]
fn the_one_who_is_left_behind_does_not_follow_the_leaver_by_discovery() {
    for seed in 0..8 {
        let mut world = World::cluster(300 + seed, 2);
        for number in 0..2 {
            world.tell(number, |engine, _| engine.set_discovery(true));
        }
        match seed % 2 {
            0 => world.leave(1, Departure::Leave),
            _ => {
                let name = world.nodes[1].name.clone();
                world
                    .tell(0, |engine, now| engine.force_leave(now, &name))
                    .expect("it is a member");
            }
        }
        for _ in 0..4 {
            for (number, other) in [(0, 1), (1, 0)] {
                let other = Target::Address(world.nodes[other].address);
                world.tell(number, |engine, now| engine.propose(now, other));
            }
            world.run_for(s(5));
            for number in 0..2 {
                assert_eq!(world.nodes[number].engine().size(), 1, "seed {seed}");
            }
        }
        assert_eq!(world.join(1, 0), Ok(()));
    }
}

#[test]
fn a_leaver_does_not_come_back_by_itself_but_may_join_again() {
    let mut world = World::cluster(3, 5);
    for number in 0..5 {
        world.tell(number, |engine, _| engine.set_discovery(true));
    }
    world.leave(3, Departure::Leave);
    for _ in 0..6 {
        for (number, seed) in [(3, 0), (0, 3), (1, 3)] {
            let seed = Target::Address(world.nodes[seed].address);
            world.tell(number, |engine, now| engine.propose(now, seed));
        }
        world.run_for(s(5));
        assert_eq!(world.nodes[3].engine().size(), 1, "{}", world.describe());
        assert!(world.agree(&[0, 1, 2, 4]), "{}", world.describe());
    }
    assert_eq!(world.join(3, 0), Ok(()));
    world
        .run_until(s(1), World::is_converged)
        .expect("it is back");
}

#[test]
fn a_lone_node_has_nobody_to_leave() {
    let mut world = World::new(4);
    world.add();
    let result = world.tell(0, |engine, now| engine.leave(now, Departure::Leave));
    assert_eq!(result, Err(LeaveError::NotInCluster));
}

#[test]
fn a_leave_is_never_taken_for_a_failure_under_churn() {
    for seed in 0..4 {
        let mut world = World::cluster(100 + seed, 32);
        let since = world.now;
        for round in 0..16 {
            world
                .tell(1 + round, |engine, now| engine.leave(now, Departure::Leave))
                .expect("leave");
            world.run_for(ms(37));
            let joiner = world.add();
            world.begin_join(joiner, 20 + round % 4);
            world.run_for(ms(150));
        }
        world.run_for(s(20));
        let leavers: Vec<usize> = (1..17).collect();
        let stayers: Vec<usize> = (0..48).filter(|n| !leavers.contains(n)).collect();
        assert!(world.agree(&stayers), "seed {seed}:\n{}", world.describe());
        assert_eq!(world.count("failed", since), 0, "seed {seed}");
        for &leaver in &leavers {
            for &stayer in &stayers {
                let left = matches!(world.health(stayer, leaver), Health::Left | Health::Unknown);
                assert!(
                    left,
                    "seed {seed}, n{stayer} of n{leaver}:\n{}",
                    world.describe()
                );
            }
        }
    }
}

#[test]
fn a_leave_is_known_by_all_though_a_fifth_of_the_packets_is_lost() {
    for seed in 0..4 {
        let mut world = World::cluster(200 + seed, 64);
        world.network.loss = 0.2;
        let since = world.now;
        world
            .tell(9, |engine, now| engine.leave(now, Departure::Leave))
            .expect("a leave");
        let took = world.run_until(s(3), |w| w.all_hold(9, Health::Left));
        assert!(took.is_some(), "seed {seed}:\n{}", world.describe());
        world.run_for(s(20));
        assert_eq!(world.count("failed", since), 0, "seed {seed}");
    }
}

#[test]
fn all_but_one_may_leave_at_once() {
    let mut world = World::cluster(5, 12);
    let since = world.now;
    for leaver in 1..12 {
        world
            .tell(leaver, |engine, now| engine.leave(now, Departure::Leave))
            .expect("a leave");
    }
    world.run_for(s(20));
    assert!(
        world.nodes.iter().all(|node| node.engine().size() == 1),
        "{}",
        world.describe()
    );
    assert_eq!(world.count("failed", since), 0);
}
